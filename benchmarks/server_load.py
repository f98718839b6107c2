"""Many agents on one server, which is killed in the middle: `python benchmarks/server_load.py`.

Each client has a namespace, a key and a history of its own, and takes turns as an agent does:
it stores what its user said, asks for the window with what is recalled for that, recalls once
more, and stores the answer; then it waits for its next turn (a model would be talking). In the
middle the server process is killed with SIGKILL and started again; clients send again what was
not answered, under the same idempotency key. At the end every acknowledged message must be in
the store exactly once and in order, and no answer may have held a word of another client.
Times are those of answered requests, as a client sees them, on this machine, which also runs
the clients; beside them stand the same verbs called in process, and those of a single client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

import httpx
from ctxplug_server.keys import Keys

from ctxplug import AgentMemory, Message

MARK = re.compile(r"client\d\dx\d+")
TOPICS = (
    "hotel in Lisbon",
    "里斯本的酒店",
    "the night train to Porto",
    "去成都的火车",
    "a violin lesson",
)
VERBS = ("add", "context", "recall")
START_SECONDS = 60.0


@dataclass
class Client:
    """One agent: what it was told is stored, and how long each verb took, in milliseconds."""

    number: int
    key: str = ""
    stored: list[str] = field(default_factory=list)
    times: dict[str, list[float]] = field(default_factory=lambda: {verb: [] for verb in VERBS})
    foreign: list[str] = field(default_factory=list)
    sent_again: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    turns: int = 0

    @property
    def namespace(self) -> str:
        """Where its memories are."""
        return f"load/client{self.number:02}"


@dataclass(frozen=True)
class Row:
    """What one run showed: milliseconds, and counts of requests."""

    clients: int
    pace: float
    turns: int
    requests_per_second: float
    times: dict[str, tuple[float, float, float]]
    sent_again: int
    refused: dict[int, int]
    stored: int
    lost: int
    doubled: int
    disordered: int
    foreign: int
    killed: int


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--paces", type=float, nargs="+", default=[2.0, 1.0, 0.0])
    parser.add_argument("--history", type=int, default=200, help="messages of each client before")
    parser.add_argument("--no-kill", action="store_true", help="let the server live")
    parser.add_argument("--dir", default=".", help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        alone = in_process(Path(folder) / "alone.db", options.history)
        for number, (clients, pace) in enumerate(
            [(1, 0.0), *((options.clients, pace) for pace in options.paces)]
        ):
            seconds = options.seconds if clients > 1 else min(10.0, options.seconds)
            path = Path(folder) / f"load{number}.db"
            kill = clients > 1 and not options.no_kill
            rows.append(run(path, clients, seconds, pace, options.history, kill=kill))
    if options.json:
        data = {"in_process": alone, "rows": [vars(row) for row in rows]}
        print(json.dumps(data, indent=2))
        return
    print_table(alone, rows)
    if any(row.lost or row.doubled or row.disordered or row.foreign for row in rows):
        sys.exit("Something was lost, doubled, out of order or seen by another; see the table.")


def run(path: Path, clients: int, seconds: float, pace: float, history: int, *, kill: bool) -> Row:
    """Run `clients` for `seconds` on a new store at `path`; `pace` is from turn to turn."""
    agents = [Client(number) for number in range(clients)]
    fill(path, agents, history)
    for agent in agents:
        agent.key = make_key(path, agent.namespace)
    port = free_port()
    server = Server(path, port)
    began = time.perf_counter()
    try:
        asyncio.run(_load(agents, server, seconds, pace, kill=kill))
        took = time.perf_counter() - began
    finally:
        code = server.stop()
    if code != 0:
        sys.exit(f"The server ended with code {code} when it was asked to stop.")
    return checked(path, agents, pace, took, killed=server.killed)


async def _load(
    agents: Sequence[Client], server: Server, seconds: float, pace: float, *, kill: bool
) -> None:
    deadline = time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=30.0) as http:
        work = [_talk(agent, http, deadline, pace) for agent in agents]
        if kill:
            work.append(_kill(server, seconds / 2))
        await asyncio.gather(*work)


async def _kill(server: Server, after: float) -> None:
    await asyncio.sleep(after)
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def _talk(agent: Client, http: httpx.AsyncClient, deadline: float, pace: float) -> None:
    """Take turns until the deadline."""
    dice = random.Random(agent.number)
    await asyncio.sleep(dice.random() * pace)
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        topic = dice.choice(TOPICS)
        await _add(agent, http, "user", f"Tell me about {topic}.")
        await _ask(agent, http, "context", "/v1/sessions/talk/context", {"query": topic})
        await _ask(agent, http, "recall", "/v1/recall", {"query": topic, "k": 10})
        await _add(agent, http, "assistant", f"Here is something about {topic}. " * 5)
        agent.turns += 1
        await asyncio.sleep(max(0.0, began + pace - time.perf_counter()))


async def _add(agent: Client, http: httpx.AsyncClient, role: str, text: str) -> None:
    mark = f"client{agent.number:02}x{agent.turns}"
    said = f"{text} [{mark}] {role}"
    body = {"messages": [Message(role, said).to_dict()]}
    await _ask(agent, http, "add", "/v1/sessions/talk/messages", body)
    agent.stored.append(said)


async def _ask(
    agent: Client, http: httpx.AsyncClient, verb: str, path: str, body: dict[str, object]
) -> None:
    """Send until it is answered; note how long the answered request took and what it held."""
    headers = {
        "Authorization": f"Bearer {agent.key}",
        "Idempotency-Key": f"{agent.number}-{verb}-{len(agent.stored)}-{agent.turns}",
    }
    first = True
    while True:
        began = time.perf_counter()
        try:
            answer = await http.post(path, json=body, headers=headers)
        except httpx.TransportError:
            agent.sent_again += 1
            first = False
            await asyncio.sleep(0.1)
            continue
        if answer.status_code in (200, 201):
            break
        if answer.status_code not in (429, 503):
            raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text:.500}")
        agent.refused[answer.status_code] += 1
        await asyncio.sleep(float(answer.headers.get("Retry-After", "0.1")))
    if first:
        agent.times[verb].append(1e3 * (time.perf_counter() - began))
    own = f"client{agent.number:02}x"
    agent.foreign += [mark for mark in MARK.findall(answer.text) if not mark.startswith(own)]


class Server:
    """`ctxplug serve` in a process of its own."""

    def __init__(self, path: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.killed = 0
        program = [sys.executable, "-m", "ctxplug.cli", "serve", str(path), "--port", str(port)]
        self._command = program
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                sys.exit(f"The server ended with code {self._process.returncode}.")
            try:
                if httpx.get(f"{self.url}/ready", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        sys.exit("The server did not answer.")

    def kill(self) -> None:
        """Kill it, as a crash or the kernel would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.killed += 1

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)


def fill(path: Path, agents: Sequence[Client], history: int) -> None:
    """Give each client a history in which something can be recalled."""
    for agent in agents:
        mark = f"client{agent.number:02}x0"
        with AgentMemory.open(path, namespace=agent.namespace, session="before") as memory:
            memory.extend(
                Message("user" if n % 2 == 0 else "assistant", _line(agent.number, n, mark))
                for n in range(history)
            )
            for n in range(10):
                memory.remember(f"{TOPICS[n % len(TOPICS)]}, wish number {n} of {mark}")


def _line(number: int, n: int, mark: str) -> str:
    dice = random.Random(f"{number}-{n}")
    return f"Note {n} on {dice.choice(TOPICS)}: {dice.randrange(10**6)} and {dice.random()}. {mark}"


def make_key(path: Path, namespace: str) -> str:
    """Return a new key for `namespace`."""
    return Keys(f"{path}.keys.json").make("load", namespace)[1]


def checked(path: Path, agents: Sequence[Client], pace: float, took: float, *, killed: int) -> Row:
    """Compare what the store holds with what was acknowledged."""
    lost = doubled = disordered = 0
    for agent in agents:
        with AgentMemory.open(path, namespace=agent.namespace, session="talk") as memory:
            found = [message.text for message in memory.messages()]
        counts = Counter(found)
        lost += sum(text not in counts for text in agent.stored)
        doubled += sum(count - 1 for count in counts.values())
        disordered += [text for text in found if text in set(agent.stored)] != agent.stored
    times = {verb: [ms for agent in agents for ms in agent.times[verb]] for verb in VERBS}
    refused = sum((agent.refused for agent in agents), Counter[int]())
    return Row(
        clients=len(agents),
        pace=pace,
        turns=sum(agent.turns for agent in agents),
        requests_per_second=sum(map(len, times.values())) / took,
        times={verb: spread(found) for verb, found in times.items()},
        sent_again=sum(agent.sent_again for agent in agents),
        refused=dict(refused),
        stored=sum(len(agent.stored) for agent in agents),
        lost=lost,
        doubled=doubled,
        disordered=disordered,
        foreign=sum(len(agent.foreign) for agent in agents),
        killed=killed,
    )


def in_process(path: Path, history: int, turns: int = 200) -> dict[str, tuple[float, float, float]]:
    """Return how long the verbs take without a server."""
    agent = Client(0)
    fill(path, [agent], history)
    times: dict[str, list[float]] = {verb: [] for verb in VERBS}
    with AgentMemory.open(path, namespace=agent.namespace, session="talk") as memory:
        for turn in range(turns):
            topic = TOPICS[turn % len(TOPICS)]
            for verb, call in (
                ("add", lambda: memory.add("user", f"Tell me about {topic}. {turn}")),  # noqa: B023
                ("context", lambda: memory.context(topic)),  # noqa: B023
                ("recall", lambda: memory.recall(topic)),  # noqa: B023
                ("add", lambda: memory.add("assistant", f"About {topic}. {turn} " * 5)),  # noqa: B023
            ):
                began = time.perf_counter()
                call()
                times[verb].append(1e3 * (time.perf_counter() - began))
    return {verb: spread(found) for verb, found in times.items()}


def spread(times: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the largest."""
    if len(times) < 2:
        return (0.0, 0.0, 0.0)
    return (median(times), quantiles(times, n=20)[-1], max(times))


def print_table(alone: dict[str, tuple[float, float, float]], rows: Sequence[Row]) -> None:
    """Print what was measured as Markdown."""
    print("| clients | a turn every | requests/s | add p50 / p95 ms | context | recall | slowest |")
    print("|---|---|---:|---:|---:|---:|---:|")
    print(_line_of("in process", "at once", None, alone))
    for row in rows:
        who = f"{row.clients} over HTTP" + (", killed once" if row.killed else "")
        pace = f"{row.pace:g} s" if row.pace else "at once"
        print(_line_of(who, pace, row.requests_per_second, row.times))
    print("\n| clients | a turn every | turns | stored | sent again | 429/503 | lost | twice |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        pace = f"{row.pace:g} s" if row.pace else "at once"
        print(
            f"| {row.clients} | {pace} | {row.turns:,} | {row.stored:,} | {row.sent_again}"
            f" | {sum(row.refused.values())} | {row.lost} | {row.doubled} |"
        )
    print(
        f"\nOut of order: {sum(row.disordered for row in rows)}. Answers that held a word of"
        f" another client: {sum(row.foreign for row in rows)}. {os.cpu_count()} processors, shared"
        " by the server and the clients."
    )


def _line_of(
    who: str, pace: str, rate: float | None, times: dict[str, tuple[float, float, float]]
) -> str:
    cells = [f"{times[verb][0]:.1f} / {times[verb][1]:.1f}" for verb in VERBS]
    slowest = max(found[2] for found in times.values())
    speed = "" if rate is None else f"{rate:.0f}"
    return f"| {who} | {pace} | {speed} | {' | '.join(cells)} | {slowest:.0f} |"


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


if __name__ == "__main__":
    main()
