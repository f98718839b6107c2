"""What does a source file keep when it is made smaller, and by what?

An agent has read the Python files of some installed packages, one call each. The strategy "code"
of ctxplug-code makes outlines of them; every other way is then given as many tokens for each file
as the outline took (`digest` takes less: it keeps 200 values of a result at most). Asked is what is
still there, by Python's own `ast`:

- names: of the names that the file defines (functions, classes, constants);
- signatures: of the lines with `def` and `class`;
- imports: of the names that are imported;
- raises: of the exceptions that are raised;
- values: of the numbers of two digits and more and the texts of 3 to 40 characters without a
  space that stand anywhere in the code.

    python benchmarks/code_outline.py [--json] [--files N]

Packages: those that ctxplug itself needs. Files of 100 to 800 lines, alphabetically.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ctxplug_code.strategy import Code

from ctxplug.compression import CompressionTools, Unit, total
from ctxplug.compression.clear_tool_results import ClearToolResults
from ctxplug.compression.digest import Digest
from ctxplug.compression.shape_tool_results import ShapeToolResults
from ctxplug.messages import Logged, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.tokens.estimate import estimate

PACKAGES = ("jsonschema", "pluggy", "pydantic", "rich", "typer")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
COUNTER = estimate()
TOOLS = CompressionTools(COUNTER, lambda unit: f"@{unit.versions[0]}")
KEPT = ("names", "signatures", "imports", "raises", "values")

Way = Callable[[Sequence[Unit], int], Sequence[Unit]]


def sources(most: int) -> list[Path]:
    """Return the files to read, the same number of each package."""
    found: list[Path] = []
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        files = sorted(Path(spec.origin).parent.glob("*.py"))
        fitting = [f for f in files if 100 <= f.read_text(encoding="utf-8").count("\n") <= 800]
        found += fitting[: most // len(PACKAGES)]
    return found


def unit_of(file: Path, text: str) -> Unit:
    """Return the call that read a file, and its result."""
    call = ToolCallPart("c1", "read_file", {"path": f"{file.parent.name}/{file.name}"})
    messages = [
        Message("assistant", call, created_at=WHEN, id="a"),
        Message("tool", ToolResultPart("c1", (TextPart(text),), name="read_file"), created_at=WHEN),
    ]
    items = tuple(Logged(i + 1, m, COUNTER.count(m)) for i, m in enumerate(messages))
    return Unit(items)


def facts(text: str) -> dict[str, set[str]]:
    """Return what there is to keep in a Python file."""
    lines = text.split("\n")
    kept: dict[str, set[str]] = {name: set() for name in KEPT}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            kept["names"].add(node.name)
            kept["signatures"].add(lines[node.lineno - 1].strip())
        elif isinstance(node, ast.Import | ast.ImportFrom):
            kept["imports"].update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Raise) and node.exc is not None:
            kept["raises"].add(lines[node.lineno - 1].strip())
        elif isinstance(node, ast.Constant):
            value = node.value
            if isinstance(value, str) and 3 <= len(value) <= 40 and not re.search(r"\s", value):
                kept["values"].add(value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                kept["values"].update(n for n in (str(value),) if len(n) > 1)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            kept["names"].update(t.id for t in node.targets if isinstance(t, ast.Name))
    return kept


def still_there(fact: str, text: str) -> bool:
    """Say whether `fact` stands in `text`, as a word where it is one."""
    if fact.isidentifier() or fact.isdecimal():
        return re.search(rf"(?<!\w){fact}(?!\w)", text) is not None
    return fact in text


def cut_off(units: Sequence[Unit], target: int) -> Sequence[Unit]:
    """Return the file's beginning, as much as fits."""
    (unit,) = units
    result = unit.items[1].message.tool_results[0]
    text = result.text
    while text and COUNTER.count_text(text) > target - 20:
        text = text[: int(len(text) * 0.95)]
    message = Message("tool", ToolResultPart("c1", (TextPart(text),)), created_at=WHEN)
    return (unit.changed("cut", [unit.items[0].message, message], COUNTER),)


WAYS: dict[str, Way] = {
    "`code`": lambda units, _: Code().compress(units, total(units) - 1, TOOLS),
    "the file's beginning": cut_off,
    "`shape-tool-results`": lambda u, n: ShapeToolResults(n - 20).compress(u, n, TOOLS),
    "`clear-tool-results`": lambda u, n: ClearToolResults(n - 20).compress(u, 0, TOOLS),
    "`digest`": lambda u, n: Digest(chain=1.0, share=0.99).compress(u, n, TOOLS),
    "`code`, as short as it can": lambda units, _: Code().compress(units, 0, TOOLS),
}


def measure(files: Sequence[Path]) -> dict[str, dict[str, float]]:
    """Return, for each way, the share of tokens and of facts that are left."""
    counts = {way: dict.fromkeys(("tokens", "seconds", *KEPT), 0.0) for way in WAYS}
    whole = dict.fromkeys(("tokens", *KEPT), 0)
    for file in files:
        text = file.read_text(encoding="utf-8")
        unit, wanted = unit_of(file, text), facts(text)
        whole["tokens"] += unit.tokens
        for name in KEPT:
            whole[name] += len(wanted[name])
        size = 0
        for way, compress in WAYS.items():
            began = time.process_time()
            result = compress((unit,), size)
            counts[way]["seconds"] += time.process_time() - began
            size = size or total(result)
            said = "\n".join(_texts(item.message) for one in result for item in one.items)
            counts[way]["tokens"] += total(result)
            for name in KEPT:
                counts[way][name] += sum(still_there(fact, said) for fact in wanted[name])
    for row in counts.values():
        for name, n in whole.items():
            row[name] /= max(n, 1)
    return counts


def _texts(message: Message) -> str:
    return "\n".join([message.text, *(result.text for result in message.tool_results)])


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    files = sources(options.files)
    rows = measure(files)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    lines = sum(file.read_text(encoding="utf-8").count("\n") for file in files)
    print(f"{len(files)} files, {lines:,} lines\n")
    print(f"| | tokens left | {' | '.join(KEPT)} | CPU ms a file |")
    print("|---" * (len(KEPT) + 3) + "|")
    for way, row in rows.items():
        shares = " | ".join(f"{100 * row[name]:.0f} %" for name in ("tokens", *KEPT))
        print(f"| {way} | {shares} | {1000 * row['seconds'] / len(files):.0f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
