"""What it costs to run tools through ctxplug instead of bare.

    python benchmarks/tool_overhead.py [--calls N] [--ms N] [--rounds N] [--json]

Every round runs N tools of so many milliseconds at once: bare (`asyncio.gather`, or a pool of N
threads) and through `memory.tools`, which validates the arguments, records the start of all
durably before the first runs and the end of each durably before it is told, in an SQLite file
with full synchronisation. The rounds of both alternate; medians are shown. With a limit, no
more than so many run at once; the most that did is counted. At last a tool that hangs, with a
child that hangs, runs in a process of its own: what is shown is when both were gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from ctxplug import AgentMemory
from ctxplug.messages import ToolCallPart
from ctxplug.tools import ToolPolicy

LIMIT = 100


@dataclass(frozen=True)
class Row:
    """Medians in milliseconds of one way to run the calls."""

    what: str
    bare_ms: float
    ctxplug_ms: float
    ratio: float
    best_ratio: float
    most_at_once: int


class Work:
    """Tools that take a while and count how many of them run."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()

    async def look_up(self, number: int) -> str:
        """Look a number up, without holding a thread."""
        self._count(1)
        await asyncio.sleep(self.seconds)
        self._count(-1)
        return f"number {number}"

    def read(self, number: int) -> str:
        """Look a number up, in a thread."""
        self._count(1)
        time.sleep(self.seconds)
        self._count(-1)
        return f"number {number}"

    def _count(self, change: int) -> None:
        with self._lock:
            self._running += change
            self.most = max(self.most, self._running)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Return the milliseconds that `work` takes."""
    start = time.perf_counter()
    await work()
    return (time.perf_counter() - start) * 1_000


async def compare(
    what: str, folder: Path, name: str, calls: int, seconds: float, rounds: int, limit: int | None
) -> Row:
    """Run one tool bare and through ctxplug, in turns."""
    bare_work, work = Work(seconds), Work(seconds)
    policy = ToolPolicy(concurrency=limit or 10 * calls, per_user=None)
    pool = ThreadPoolExecutor(calls)
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(limit or calls)

    async def one(number: int) -> str:
        async with gate:
            if name == "look_up":
                return await bare_work.look_up(number)
            return await loop.run_in_executor(pool, bare_work.read, number)

    bare, ours = [], []
    with AgentMemory.open(
        folder / f"{what}.db", namespace="acme/alice", counter="estimate", tool_policy=policy
    ) as memory:
        memory.tools.add(getattr(work, name))
        for turn in range(-1, rounds):  # the first only warms up
            wanted = [ToolCallPart(f"{turn}-{n}", name, {"number": n}) for n in range(calls)]
            bare.append(await timed(lambda: asyncio.gather(*map(one, range(calls)))))
            ours.append(await timed(lambda: memory.tools.arun(wanted)))  # noqa: B023
    pool.shutdown()
    ratios = [b / a for a, b in zip(bare[1:], ours[1:], strict=True)]
    return Row(what, median(bare[1:]), median(ours[1:]), median(ratios), min(ratios), work.most)


def hang(file: str) -> str:
    """Hang, and start what hangs."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(file).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
    return "late"


def gone(pid: int) -> bool:
    """Say whether a process has ended, waited for or not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return True


def hanging(folder: Path, timeout: float = 1.0) -> float:
    """Return how long after its timeout a hanging tool and its child are gone, in ms."""
    file = folder / "pids"
    with AgentMemory.open(folder / "hang.db", namespace="acme/alice") as memory:
        memory.tools.add(hang, isolation="process", timeout=timeout)
        start = time.perf_counter()
        run = memory.tools.call("hang", {"file": str(file)})
        while not all(gone(int(pid)) for pid in file.read_text().split()):
            time.sleep(0.001)
        assert run.outcome == "timeout"
        return (time.perf_counter() - start - timeout) * 1_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--ms", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    calls, seconds, rounds = options.calls, options.ms / 1_000, options.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = [
            ("async", "look_up", None),
            (f"async, {LIMIT} at once", "look_up", LIMIT),
            ("threads", "read", None),
            (f"threads, {LIMIT} at once", "read", LIMIT),
        ]
        rows = [
            asyncio.run(compare(what, folder, tool, calls, seconds, rounds, limit))
            for what, tool, limit in plan
        ]
        late = hanging(folder) if os.name == "posix" else None
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "gone_after_ms": late}))
        return
    print(f"{calls} tools of {options.ms:g} ms, {rounds} rounds, medians")
    for row in rows:
        print(
            f"{row.what:20} bare {row.bare_ms:7.1f} ms   ctxplug {row.ctxplug_ms:7.1f} ms"
            f"   x{row.ratio:.2f} (best x{row.best_ratio:.2f})   most at once {row.most_at_once}"
        )
    if late is not None:
        print(f"a hanging tool and its child were gone {late:.0f} ms after the timeout")


if __name__ == "__main__":
    main()
