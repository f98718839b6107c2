"""Transcripts with next to nothing personal in them stay as they are, as the README says."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
BENCHMARK = ROOT / "benchmarks" / "pii_false_positives.py"
DATA = Path(os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    if not BENCHMARK.exists():
        pytest.skip("this is not a checkout: there are no benchmarks")
    spec = importlib.util.spec_from_file_location("pii_false_positives", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARK.parent)  # as when it is run
        spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["locomo-dev", "tau-bench-dev", "madial-zh-dev"])
def test_nothing_but_mail_addresses_is_taken_out(script: ModuleType, folder: str) -> None:
    files = sorted((DATA / folder).glob("*.json*"))
    if not files:
        pytest.skip(f"{folder} is not on this machine; CTXPLUG_DATA names the folder of the data")
    row = script.measure([text for file in files for text in script.read(file)])
    assert row["numbers"] > 30
    assert set(row["taken"]) <= {"email"}


def test_the_benchmark_counts_what_is_taken_out(script: ModuleType) -> None:
    row = script.measure(["a@example.com, order 12345678", "卡 4111111111111111 [card]", "你好"])
    assert (row["texts"], row["taken"], row["numbers"]) == (3, {"card": 1, "email": 1}, 2)
