"""The figures of the README hold: what an outline saves, and what it keeps."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "code_outline.py"


@pytest.mark.skipif(not BENCHMARK.exists(), reason="this is not a checkout: no benchmarks")
def test_an_outline_keeps_signatures_that_other_ways_lose() -> None:
    spec = importlib.util.spec_from_file_location("code_outline", BENCHMARK)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    rows = benchmark.measure(benchmark.sources(5))
    code = rows["`code`"]
    assert code["tokens"] < 0.55
    assert min(code[name] for name in ("names", "signatures", "imports")) > 0.9
    others = [row for way, row in rows.items() if "code" not in way]
    assert all(row["tokens"] <= code["tokens"] * 1.02 for row in others)
    assert all(row["signatures"] + 0.2 < code["signatures"] for row in others)
