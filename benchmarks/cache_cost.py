"""What long sessions cost in input tokens where the provider caches prefixes.

    python benchmarks/cache_cost.py [--json] [--data DIR] [--budgets 8000 32000 100000]

Transcripts: all recorded tau-bench runs chained into one agent session, and LoCoMo
conversations chained into one chat, from the folder CTXPLUG_DATA or ../shared/data beside
the checkout. Cost is in plain input tokens: 0.1 for a cached one, 1.25 for one that is
written to the cache; the cached part of a request is what it has in common, from its
beginning, with the request before it. Goals: at most 0.25 of the sliding window's cost at
32k and 100k, at least 90 % read from the cache at 32k, and no more than any usual policy
that shows as much history.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from recorded_data import data_folder, default_counter

from ctxplug.comparison import POLICIES, Comparison, compare
from ctxplug.messages import Message
from ctxplug.transcripts import read_transcript

OURS = ("aggressive", "balanced", "conservative")


def agent_session(folder: Path, runs: int) -> list[Message]:
    """Return the tau-bench runs as one session: one system prompt, then run after run."""
    chained: list[Message] = []
    for i, run in enumerate(read_transcript(folder / "tau-bench-dev" / "airline.jsonl")):
        if i == runs:
            break
        chained += [m for m in run.messages if m.role != "system" or not chained]
    return chained


def chat_session(folder: Path) -> list[Message]:
    """Return the LoCoMo conversations as one chat."""
    files = sorted((folder / "locomo-dev").glob("*.json"))
    return [
        m for file in files for conversation in read_transcript(file) for m in conversation.messages
    ]


def table(name: str, result: Comparison) -> Iterator[str]:
    """Yield the lines of one Markdown table."""
    sliding = next(row.cost for row in result.rows if row.policy == "sliding window")
    yield f"### {name}, budget {result.budget:,}, {result.messages:,} messages, {result.counter}"
    yield ""
    yield (
        "| policy | calls | cost, M | of sliding | from cache | history, tokens | of messages"
        " | word for word | values lost | results removed |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in result.rows:
        lost = f"{row.lost} of {row.needed}" if row.needed else "none needed"
        yield (
            f"| {row.policy} | {row.calls}{f' (+{row.skipped} skipped)' if row.skipped else ''}"
            f" | {row.cost / 1e6:.2f} | {row.cost / sliding:.3f} | {row.hit_share:.1%}"
            f" | {row.history:,.0f} | {row.covered:.0%} | {row.words:.0%} | {lost}"
            f" | {row.results_removed:.0%} |"
        )
    yield ""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data")
    parser.add_argument("--budgets", type=int, nargs="+", default=[8_000, 32_000, 100_000])
    parser.add_argument("--runs", type=int, default=100, help="tau-bench runs to chain")
    options = parser.parse_args(argv)
    folder = data_folder(options.data)
    if folder is None:
        print("skipped: no transcripts; set CTXPLUG_DATA to their folder", file=sys.stderr)
        return 0
    sessions = {
        "tau-bench runs, chained": agent_session(folder, options.runs),
        "LoCoMo conversations, chained": chat_session(folder),
    }
    results = [
        (
            name,
            compare(
                messages, budget=budget, counter=default_counter(), policies=(*OURS, *POLICIES)
            ),
        )
        for name, messages in sessions.items()
        for budget in options.budgets
    ]
    if options.json:
        print(json.dumps([{"session": name, **r.to_dict()} for name, r in results], indent=1))
    else:
        print("\n".join(line for name, result in results for line in table(name, result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
