"""What does the redactor of ctxplug-pii take out of transcripts that hold next to no such data?

LoCoMo (English talk), tau-bench airline (agents with tools: reservation numbers, payment ids,
dates, prices, as JSON) and MADial (Chinese talk). Every find is printed with `--list`, so that
one can judge it; nothing in these files is a real person's. Beside it, each file's runs of 7 to
19 digits, which is what a redactor without checksums and numbering plans would take.

    python benchmarks/pii_false_positives.py [--list] [--json] [--data DIR]

The data are in the folder CTXPLUG_DATA or ../shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ctxplug_pii import Redactor
from ctxplug_pii.kinds import PLACEHOLDER
from recorded_data import data_folder

FILES = {
    "locomo-dev (English talk)": "locomo-dev/*.json",
    "tau-bench-dev (tools, JSON)": "tau-bench-dev/*.jsonl",
    "madial-zh-dev (Chinese talk)": "madial-zh-dev/*.jsonl",
}
NUMBER = re.compile(r"(?<![\w.])\d(?:[ -]?\d){6,18}(?![\w.])")


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in JSON data, as a memory would store them."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def read(file: Path) -> list[str]:
    """Return the texts of a JSON or JSONL file."""
    said = file.read_text(encoding="utf-8")
    lines = said.splitlines() if file.suffix == ".jsonl" else [said]
    return [text for line in lines if line.strip() for text in texts(json.loads(line))]


def measure(said: list[str]) -> dict[str, Any]:
    """Return what is taken out of `said`, by kind, with the surroundings of each find."""
    clean = Redactor().clean
    kinds: Counter[str] = Counter()
    finds: list[str] = []
    began = time.process_time()
    for text in said:
        cleaned = clean(text)
        if cleaned != text:
            kinds.update(_placeholders(cleaned) - _placeholders(text))
            found = PLACEHOLDER.finditer(cleaned)
            finds += [cleaned[max(0, m.start() - 40) : m.end() + 10] for m in found]
    seconds = time.process_time() - began
    return {
        "texts": len(said),
        "characters": sum(map(len, said)),
        "numbers": sum(len(NUMBER.findall(text)) for text in said),
        "taken": dict(sorted(kinds.items())),
        "seconds": round(seconds, 2),
        "finds": finds,
    }


def _placeholders(text: str) -> Counter[str]:
    return Counter(match[0][1:-1] for match in PLACEHOLDER.finditer(text))


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="print every find")
    options = parser.parse_args(arguments)
    data = data_folder(options.data)
    rows = {}
    for name, pattern in FILES.items():
        files = sorted(data.glob(pattern)) if data else []
        if not files:
            print(f"Skipped: no {pattern}; set CTXPLUG_DATA or --data.", file=sys.stderr)
            return
        rows[name] = measure([text for file in files for text in read(file)])
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    print("| transcripts | texts | characters | numbers of 7 to 19 digits | taken out | CPU s |")
    print("|---|---|---|---|---|---|")
    for name, row in rows.items():
        taken = ", ".join(f"{n} {kind}" for kind, n in row["taken"].items()) or "nothing"
        sizes = f"{row['texts']:,} | {row['characters']:,} | {row['numbers']:,}"
        print(f"| {name} | {sizes} | {taken} | {row['seconds']} |")
        for find in row["finds"] if options.list else ():
            print(f"    {find!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
