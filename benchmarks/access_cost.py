"""What access rules cost: `python benchmarks/access_cost.py`.

A turn is the user's message, the window for the model, and the assistant's message, each
stored durably. The owner, for whom no rules are asked, and agents take turns at it in one run,
so that a disk or a neighbour that slows down slows down all of them: an agent where there are
no rules, one from whom nothing is kept, and one from whom half of all messages are. Now and
then each recalls, for words that half of the messages hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from ctxplug import AgentMemory, Message

QUIET = {"trace": False, "audit": False}
WORDS = [
    f"{a}{b}" for a in ("ka", "lo", "mi", "ne", "旅", "书") for b in ("ra", "to", "su", "酒店")
]
QUERY = "kara loto 旅酒店 misu"


@dataclass
class Who:
    """Who takes turns, at a store with or without rules, and how long each took."""

    name: str
    agent: str | None
    rules: bool
    turns: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """The medians, in milliseconds, of a turn, its time on processors, and of a recall.

    `turn_more` and `recall_more` is by how much they are longer than the owner's.
    """

    who: str
    turn_ms: float
    cpu_ms: float
    turn_more: float
    recall_ms: float
    recall_more: float


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=10_000, help="half of them are closed")
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--dir", default=".", help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        rows = measured(Path(folder), options.messages, options.turns)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print("| who | turn ms | CPU ms | longer | recall ms | longer |")
    print("|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.who} | {row.turn_ms:.2f} | {row.cpu_ms:.2f} | {row.turn_more:+.1%}"
            f" | {row.recall_ms:.1f} | {row.recall_more:+.0%} |"
        )
    print(f"\nMedians of {options.turns:,} turns, among {options.messages:,} messages.")


def measured(folder: Path, messages: int, turns: int) -> list[Row]:
    """Return a row for each who takes turns."""
    everybody = [
        Who("the owner", None, False),
        Who("an agent, no rules", "planner", False),
        Who("an agent who may everything", "hr-bot", True),
        Who("an agent who may not read half", "planner", True),
    ]
    memories = []
    for number, who in enumerate(everybody):
        path = folder / f"{number}.db"
        fill(path, messages, who.rules)
        memories.append(
            AgentMemory.open(path, namespace="bench", session="own", agent=who.agent, **QUIET)
        )
    os.sync()
    said = texts(2)
    for number in range(turns):
        order = [*range(len(everybody))]
        for place in order[number % 4 :] + order[: number % 4]:
            turn(everybody[place], memories[place], next(said), next(said))
            if number % 10 == 0:
                everybody[place].recalls.append(recall(memories[place]))
    for memory in memories:
        memory.close()
    base = everybody[0]
    return [
        Row(
            who.name,
            median(who.turns),
            median(who.cpu),
            median(who.turns) / median(base.turns) - 1,
            median(who.recalls),
            median(who.recalls) / median(base.recalls) - 1,
        )
        for who in everybody
    ]


def turn(who: Who, memory: AgentMemory, asked: str, answer: str) -> None:
    """Take a turn and note its milliseconds."""
    cpu, started = process_time(), perf_counter()
    memory.add("user", asked)
    memory.context()
    memory.add("assistant", answer)
    who.turns.append((perf_counter() - started) * 1000)
    who.cpu.append((process_time() - cpu) * 1000)


def recall(memory: AgentMemory) -> float:
    """Recall and return the milliseconds that it took."""
    started = perf_counter()
    memory.recall(QUERY)
    return (perf_counter() - started) * 1000


def fill(path: Path, messages: int, rules: bool) -> None:
    """Fill a store: half of the messages in a session that may be closed."""
    said = texts(1)
    for session in ("open", "hr-1"):
        with AgentMemory.open(path, namespace="bench", session=session, **QUIET) as memory:
            for _ in range(0, messages // 2, 500):
                memory.extend(Message("user", next(said)) for _ in range(500))
            if rules and session == "hr-1":
                memory.access.grant("hr-bot", ["read", "write", "share"], session="hr-*")


def texts(seed: int) -> Iterator[str]:
    """Yield texts of twenty words, English and Chinese."""
    chance = random.Random(seed)
    while True:
        yield " ".join(chance.choices(WORDS, k=20))


if __name__ == "__main__":
    main()
