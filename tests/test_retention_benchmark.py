from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "retention.py"), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
    )


def test_without_the_data_the_benchmark_says_why_it_skips(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path))
    assert done.stdout == ""
    assert done.stderr.startswith("Skipped: no locomo-dev/*.json")


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "locomo-dev").is_dir(), reason=f"no locomo-dev in {DATA}; set CTXPLUG_DATA"
)
def test_at_30_percent_the_digest_keeps_what_later_questions_ask_for() -> None:
    result = json.loads(run("--json", "--data", str(DATA)).stdout)
    (row,) = [r for r in result["rows"] if r["method"] == "digest" and r["share"] == 0.3]
    assert row["used"] <= 0.3
    for group in ("all", "held out"):
        assert row[group]["anywhere"] >= 95
        assert row[group]["in_evidence"] >= 84
    assert row["all"]["in_evidence"] >= 85
    kept = {(r["method"], r["share"]): r["all"]["in_evidence"] for r in result["rows"]}
    for share in (0.1, 0.2, 0.3, 0.5):
        assert kept["digest", share] > kept["extractive", share] > kept["most recent", share]
    chinese = {r["method"]: r["kept"] for r in result["chinese"] if r["share"] == 0.3}
    assert chinese["digest"] > chinese["random sentences"] + 5 > chinese["most recent"]
