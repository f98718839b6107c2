"""`ctxplug usage`: the recorded model calls as a table and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ctxplug.cli.app import app
from ctxplug.cli.usage import bar
from ctxplug.scope import Scope
from ctxplug.storage.sqlite import open_sqlite
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tokens.usage import Usage


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = str(tmp_path / "agent.db")
    backend = open_sqlite(path)
    yesterday = UsageLedger(
        backend, Scope(("acme",), "trip"), clock=lambda: datetime.now(UTC) - timedelta(days=1)
    )
    yesterday.record(Usage(1_000, 500, 9_000, model="claude-sonnet-4-5"), agent="计划者")
    UsageLedger(backend, Scope(("acme",), "聊天")).record(Usage(2_000, 50, model="mystery"))
    backend.close()
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["usage", *arguments], env={"COLUMNS": "140"})


def test_the_last_days_are_a_table_with_bars(store: str) -> None:
    done = run(store)
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("20")]
    assert len(lines) == 7
    assert "█" * 24 in lines[-2] and "$0.0132" in lines[-2] and "90%" in lines[-2]
    assert "█" in lines[-1] and "unknown" in lines[-1]
    assert "█" not in lines[0] and "$0.0000" in lines[0]
    assert "mystery" in done.output and "as of 20" in done.output


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("session", ("trip", "聊天")),
        ("agent", ("计划者", "(none)")),
        ("model", ("claude-sonnet-4-5", "mystery")),
    ],
)
def test_usage_is_added_up_by_what_is_asked(store: str, by: str, names: tuple[str, ...]) -> None:
    done = run(store, "--by", by)
    assert done.exit_code == 0
    rows = {name: line for line in done.output.splitlines() for name in names if name in line}
    assert set(rows) >= set(names)
    assert "9,000" not in done.output and "10,000" in rows[names[0]]


def test_the_report_is_printed_as_json(store: str) -> None:
    data = json.loads(run(store, "--json", "--days", "2").output)
    assert data["total"]["tokens"] == 12_550
    assert data["total"]["cost"] is None
    assert data["by_model"]["claude-sonnet-4-5"]["cost"] == pytest.approx(0.0132)
    assert len(data["by_day"]) == 2


def test_a_price_file_makes_an_unknown_cost_known(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"models": {"mystery": {"input": 1, "output": 2}}}))
    monkeypatch.setenv("CTXPLUG_PRICES", str(file))
    data = json.loads(run(store, "--json").output)
    assert data["total"]["cost"] == pytest.approx(0.0132 + 0.0021)


def test_without_calls_it_says_how_to_record_one(store: str) -> None:
    backend = open_sqlite(store)
    UsageLedger(backend, Scope(("other",), "s")).reserve(1)
    backend.close()
    done = run(store, "--namespace", "other")
    assert done.exit_code == 0 and "memory.record_usage" in done.output


def test_a_store_that_is_not_there_and_a_wrong_choice_are_errors(
    store: str, tmp_path: Path
) -> None:
    assert run(str(tmp_path / "none.db")).exit_code == 1
    assert run(store, "--by", "moon").exit_code == 2
    assert run(store, "--days", "0").exit_code == 2


def test_bars_are_in_proportion_and_never_vanish() -> None:
    assert bar(100, 100) == "█" * 24 and bar(50, 100) == "█" * 12
    assert bar(1, 10**9) == "▏" and bar(0, 10) == bar(0, 0) == ""
    assert bar(17, 24 * 8) == "██▏"
