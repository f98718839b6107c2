"""Many agents at once, and a kill in the middle: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "server_load.py"


@pytest.fixture(scope="module")
def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("server_load", BENCHMARK)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("clients", "seconds", "pace"),
    [(5, 3.0, 0.1), pytest.param(50, 60.0, 1.0, marks=pytest.mark.slow)],
)
def test_nothing_acknowledged_is_lost_or_seen_by_another(
    load: ModuleType, tmp_path: Path, clients: int, seconds: float, pace: float
) -> None:
    row = load.run(tmp_path / "agent.db", clients, seconds, pace, history=20, kill=True)
    assert row.killed == 1
    assert row.sent_again > 0, "the kill met requests on their way"
    assert row.stored >= 2 * clients
    assert (row.lost, row.doubled, row.disordered, row.foreign) == (0, 0, 0, 0)
