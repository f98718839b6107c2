"""The figures of docs/choose-a-policy.md are those of the benchmark that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
Cells = list[str]


def rows(text: str) -> list[Cells]:
    """Return the cells of the lines of tables."""
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def measured() -> dict[tuple[str, str, str], tuple[float, str]]:
    """Return cost beside a sliding window and values lost, by work, budget and policy."""
    text = (DOCS / "benchmarks" / "cache_cost.md").read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        work, budget = part.split()[0], re.search(r"budget ([\d,]+),", part)
        for row in rows(part)[2:]:
            found[work, budget[1] if budget else "", row[0]] = (float(row[3]), row[8])
    return found


def test_the_table_is_what_was_measured() -> None:
    page = (DOCS / "choose-a-policy.md").read_text(encoding="utf-8")
    table = rows(page[page.index("| budget | policy |") : page.index("- A larger budget")])[2:]
    known, budget, shown = measured(), "", []
    for row in table:
        budget = row[0] or budget
        (tools, lost), (chat, _) = (known[work, budget, row[1]] for work in ("tau-bench", "LoCoMo"))
        assert lost == row[3]
        assert [float(row[2]), float(row[4])] == pytest.approx([tools, chat], abs=0.0051), row
        shown.append((budget, row[1]))
    assert len(set(shown)) == 8
