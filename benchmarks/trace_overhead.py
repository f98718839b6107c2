"""What tracing adds to a turn: `python benchmarks/trace_overhead.py`.

A turn is the user's message, the window for the model, with system prompt and tools, and the
assistant's message, each stored durably; with recall, the window has a query too. Memories
that trace everything, a tenth, and nothing take turns at it in one run, in stores that hold N
messages already, so that a disk or a neighbour that slows down for a while slows down all.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from time import perf_counter, process_time

from turn_cost import conversation

from ctxplug import AgentMemory

SIZES = (100, 1_000, 10_000)
SAMPLES = (0.0, 0.1, 1.0)
BATCH = 1_000
SYSTEM = "You book journeys. Be brief, and never promise what is not booked. " * 10
TOOLS = [
    {
        "name": name,
        "description": f"{name} does what its name says, and answers in JSON.",
        "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
    }
    for name in ("find_flight", "book_flight", "find_hotel", "book_hotel", "cancel")
]


@dataclass(frozen=True)
class Row:
    """One size and share; `more` is by how much the median turn is longer than untraced.

    `more_cpu` is the same of the process's own time, by the mean; milliseconds.
    """

    messages: int
    recall: bool
    sample: float
    turn_ms: float
    mean_ms: float
    cpu_ms: float
    more: float
    more_cpu: float


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--turns", type=int, default=400, help="measured turns for each")
    parser.add_argument("--budget", type=int, default=8_000, help="tokens of one model call")
    parser.add_argument("--dir", default=".", help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.dir) as folder:
        for size in options.sizes:
            for recall in (False, True):
                rows += measured(Path(folder), size, recall, options.turns, options.budget)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print("| messages | recall | traced | turn ms | mean ms | CPU ms | longer | more CPU |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.messages:,} | {'yes' if row.recall else 'no'} | {row.sample:.0%}"
            f" | {row.turn_ms:.2f} | {row.mean_ms:.2f}"
            f" | {row.cpu_ms:.2f} | {row.more:+.1%} | {row.more_cpu:+.1%} |"
        )
    print(f"\nMedians of {options.turns:,} turns; a window of {options.budget:,} tokens.")


def measured(folder: Path, size: int, recall: bool, turns: int, budget: int) -> list[Row]:
    """Return a row for each share of traces that is kept."""
    stores = [Store(folder, size, recall, sample, budget) for sample in SAMPLES]
    os.sync()  # what filling left to write is no turn's cost
    for number in range(turns):
        for store in stores[number % len(stores) :] + stores[: number % len(stores)]:
            store.turn()
    base = stores[0]
    rows = [
        Row(
            messages=size,
            recall=recall,
            sample=store.sample,
            turn_ms=median(store.times),
            mean_ms=fmean(store.times),
            cpu_ms=fmean(store.cpu),
            more=median(store.times) / median(base.times) - 1,
            more_cpu=fmean(store.cpu) / fmean(base.cpu) - 1,
        )
        for store in stores
    ]
    for store in stores:
        store.memory.close()
    return rows


class Store:
    """A store filled with `size` messages and opened again, and the times of its turns."""

    def __init__(self, folder: Path, size: int, recall: bool, sample: float, budget: int) -> None:
        self.sample = sample
        self._query = "a quiet hotel" if recall else None
        self.times: list[float] = []
        self.cpu: list[float] = []
        self._messages = conversation()
        path = folder / f"{size}-{recall}-{sample}.db"
        options = {"namespace": "bench/trace", "session": "s", "budget": budget}
        with AgentMemory.open(path, trace=False, **options) as memory:
            for start in range(0, size, BATCH):
                memory.extend(next(self._messages) for _ in range(min(BATCH, size - start)))
            memory.context()
        self.memory = AgentMemory.open(path, trace=sample, **options)
        self.memory.context(system=SYSTEM, tools=TOOLS)

    def turn(self) -> None:
        """Time a turn."""
        user, assistant = next(self._messages), next(self._messages)
        cpu, started = process_time(), perf_counter()
        self.memory.add(user)
        self.memory.context(self._query, system=SYSTEM, tools=TOOLS)
        self.memory.add(assistant)
        self.times.append((perf_counter() - started) * 1000)
        self.cpu.append((process_time() - cpu) * 1000)


if __name__ == "__main__":
    main()
