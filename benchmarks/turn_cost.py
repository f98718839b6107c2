"""What a turn costs as a session grows: `python benchmarks/turn_cost.py`.

A turn is `memory.add` of one message and `memory.context`, in an SQLite store that holds N
messages already and was opened afresh. It is measured beside the floor of the same work:
tiktoken's encoding of that message and one durable commit of its bytes with SQLite, in
the same folder. All sizes and the floor take turns, so that a disk or a neighbour that
slows down for a while slows down all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import apsw

from ctxplug import AgentMemory, Message
from ctxplug.errors import PluginError
from ctxplug.tokens.estimate import estimate
from ctxplug.tokens.tiktoken_counter import tiktoken_counter

SIZES = (100, 1_000, 10_000, 100_000)
BATCH = 1_000
START = datetime(2026, 3, 9, tzinfo=UTC)
ENGLISH = (
    "the flight to Lisbon leaves at noon and we still need a quiet hotel near the river with"
    " two rooms for three nights because my mother would like to see the old tram once more"
)
CHINESE = "我们想在十月去成都看大熊猫，女儿对花生过敏，请订一家安静的酒店。"


@dataclass(frozen=True)
class Row:
    """One size: medians and p95 in milliseconds; `multiple` is turn over floor, of medians.

    `backlog_ms` is the first window ever made of the whole log, `open_ms` a later process's
    first one.
    """

    messages: int
    backlog_ms: float
    open_ms: float
    floor_ms: float
    add_ms: float
    context_ms: float
    turn_ms: float
    p95_ms: float
    multiple: float


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--turns", type=int, default=500, help="measured turns for each size")
    parser.add_argument("--budget", type=int, default=8_000, help="tokens of one model call")
    parser.add_argument("--dir", default=".", help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        stores = [Store(Path(folder), size, options.budget) for size in options.sizes]
        os.sync()  # what filling left to write is no turn's cost
        floor = Floor(Path(folder, "floor.db"), floor_counter())
        for number in range(options.turns):
            for store in stores[number % len(stores) :] + stores[: number % len(stores)]:
                store.turn(floor)
        rows = [store.row() for store in stores]
        for store in stores:
            store.memory.close()
        floor.close()
    growth = rows[-1].multiple / rows[0].multiple
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "growth": growth}, indent=2))
    else:
        print_table(rows, growth, options.turns)


class Store:
    """A store filled with `size` messages and opened again, and the times of its turns."""

    def __init__(self, folder: Path, size: int, budget: int) -> None:
        self.size = size
        self._messages = conversation()
        self._floors: list[float] = []
        self._adds: list[float] = []
        self._contexts: list[float] = []
        path = folder / f"{size}.db"
        opened = partial(AgentMemory.open, path, namespace="bench/turn", session="s", budget=budget)
        with opened() as memory:
            for start in range(0, size, BATCH):
                memory.extend(next(self._messages) for _ in range(min(BATCH, size - start)))
            self._backlog = timed(memory.context)
        self.memory = opened()
        self._reopened = timed(self.memory.context)

    def turn(self, floor: Floor) -> None:
        """Time the floor and a turn with the next message."""
        message = next(self._messages)
        self._floors.append(timed(lambda: floor.turn(message)))
        self._adds.append(timed(lambda: self.memory.add(message)))
        self._contexts.append(timed(self.memory.context))

    def row(self) -> Row:
        """Return the medians of what was measured."""
        both = [a + c for a, c in zip(self._adds, self._contexts, strict=True)]
        return Row(
            messages=self.size,
            backlog_ms=self._backlog,
            open_ms=self._reopened,
            floor_ms=median(self._floors),
            add_ms=median(self._adds),
            context_ms=median(self._contexts),
            turn_ms=median(both),
            p95_ms=quantiles(both, n=20)[-1],
            multiple=median(both) / median(self._floors),
        )


class Floor:
    """The least that a turn can do: encode the text, and commit its bytes durably."""

    def __init__(self, path: Path, count: Callable[[str], int]) -> None:
        self._count = count
        self._connection = apsw.Connection(str(path))
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "full")
        self._connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, tokens INT, body BLOB)")

    def turn(self, message: Message) -> None:
        """Do the least for one message."""
        text = message.text
        row = (self._count(text), text.encode())
        self._connection.execute("INSERT INTO log (tokens, body) VALUES (?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def conversation() -> Iterator[Message]:
    """Yield messages for ever, of 20 to 60 words, one in four in Chinese; always the same."""
    chance = random.Random(20260309)
    number = 0
    while True:
        words = " ".join(chance.choices(ENGLISH.split(), k=chance.randint(20, 60)))
        text = CHINESE * chance.randint(1, 3) if number % 4 == 3 else words
        role = ("user", "assistant")[number % 2]
        yield Message(role, f"{number}: {text}", created_at=START + timedelta(seconds=number))
        number += 1


def floor_counter() -> Callable[[str], int]:
    """Return the count of tokens that the memory uses by default."""
    try:
        return tiktoken_counter().count_text
    except PluginError:  # no encoding on this machine: the memory estimates too
        return estimate().count_text


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds that `call` takes."""
    started = perf_counter()
    call()
    return (perf_counter() - started) * 1000


def print_table(rows: list[Row], growth: float, turns: int) -> None:
    """Print the rows as a table in Markdown, and how the multiple grows."""
    names = ("messages", "backlog", "open", "floor", "add", "context", "turn", "p95", "x floor")
    print(f"| {' | '.join(names)} |")
    print("|" + "---:|" * len(names))
    for row in rows:
        _, *cells = asdict(row).values()
        print(f"| {row.messages:,} | {' | '.join(f'{cell:,.2f}' for cell in cells)} |")
    print(f"\nMilliseconds, medians of {turns:,} turns; x floor is turn / floor. The multiple at")
    print(f"{rows[-1].messages:,} messages is {growth:.2f} times that at {rows[0].messages:,}.")


if __name__ == "__main__":
    main()
