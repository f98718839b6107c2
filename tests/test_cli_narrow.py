"""Pages of the command line in a terminal of 80 columns: one thing a line, nothing folded."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.cli.app import app

NARROW = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80", "CTXPLUG_PLUGINS": ""}


def page(*arguments: object, code: int = 0) -> list[str]:
    """Return the lines that a command prints, none of them wider than the terminal."""
    result = CliRunner(env=NARROW).invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert all(cell_len(line) <= 80 for line in lines), result.stdout
    return lines


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session in which a tool failed three times, and a fork of it."""
    path = tmp_path_factory.mktemp("narrow") / "agent.db"

    def find_order(number: str) -> str:
        """Find an order."""
        raise ValueError(number)

    options = {"namespace": "acme/陈伟", "session": "orders", "agent": "planner"}
    with AgentMemory.open(path, **options) as memory:
        memory.tools.add(find_order, side_effects=False)
        memory.add("user", "Where is ORD-7783? 订单到哪儿了？")
        for attempt in range(3):
            window = memory.context()
            call = ToolCallPart(f"c{attempt}", "find_order", {"number": "ORD-7783"})
            memory.add(Message("assistant", call))
            memory.tools.run([call], store=True)
        usage = {"input_tokens": window.tokens, "output_tokens": 5}
        memory.record_usage(usage, model="claude-sonnet-4-5")
        memory.remember("Lives in Lisbon 住在里斯本")
        memory.session.snapshot("before-voucher")
        memory.session.fork("by-voucher").close()
    return path


def test_a_step_takes_one_line_and_its_error_is_named(store: Path) -> None:
    lines = page("trace", "list", store, "-s", "orders")
    steps = [line for line in lines if line[6:14].strip() and line[6:14].isalnum()]
    with AgentMemory.open(store, namespace="acme/陈伟", session="orders") as memory:
        told = memory.trace.steps()
    assert [line[6:14] for line in steps[-len(told) :]] == [step.id[:8] for step in told]
    failed = [line for line in lines if " tool find" in line]
    assert len(failed) == 3 and all(line.endswith("error ValueError") for line in failed)
    assert not any("remember remember" in line for line in lines)


def test_a_cost_is_a_column_where_anything_has_one(store: Path) -> None:
    assert "cost $" in page("trace", "list", store, "-s", "orders")[0]
    assert "cost $" not in page("trace", "list", store, "-s", "orders", "--kind", "tool")[0]


def test_replay_says_what_was_called(store: Path) -> None:
    lines = page("trace", "replay", store, "-s", "orders", "--kind", "tool")
    assert sum('assistant: → find_order({"number":"ORD-7783"})' in line for line in lines) == 3
    assert lines[-1].startswith("3 stops in ")


def test_a_finding_names_its_steps_and_where_to_see_them(store: Path) -> None:
    lines = page("trace", "analyze", store, "-s", "orders")
    with AgentMemory.open(store, namespace="acme/陈伟", session="orders") as memory:
        finding = memory.trace.analyze().of("retry_loop")[0]
    evidence = " ".join(id[:8] for id in finding.steps[:5])
    assert any(line.startswith(f"  steps {evidence}") for line in lines)
    assert "ctxplug trace show TARGET STEP shows one of the steps." in lines
    page("trace", "show", store, finding.steps[0][:8], "-s", "orders")
    assert all(line.startswith(("  ", "high", "warning", "info", "ctxplug")) for line in lines)


def test_a_session_takes_one_line(store: Path) -> None:
    header, first, second, _hint = page("sessions", store)
    assert header.split()[:3] == ["namespace", "session", "state"]
    assert first.startswith("acme/陈伟  orders") and second.startswith("acme/陈伟  by-voucher")
    assert "orders @" in second


def test_an_entry_of_the_audit_log_takes_one_line(store: Path) -> None:
    lines = page("audit", "list", store, "--what", "remember", "--what", "snapshot")
    with AgentMemory.open(store, namespace="acme/陈伟") as memory:
        kept = memory.audit.entries("remember")[0].ids[0]
    assert lines[2].endswith(kept[:8]) and lines[3].endswith("orders")
    assert lines[4].startswith("2 entries")


def test_a_store_without_an_audit_log_says_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="a", audit=False) as memory:
        memory.add("user", "Hello 你好")
    assert "has no audit log" in " ".join(page("audit", "verify", path))


def test_a_snapshot_says_the_way_back(store: Path) -> None:
    told = " ".join(page("session", "snapshot", store, "it's 二", "-s", "by-voucher"))
    assert "The snapshot it's 二 is version " in told and "ctxplug session restore TARGET" in told


def test_ids_that_are_not_there_are_told_with_where_they_are(store: Path) -> None:
    for command, wanted in (
        (("trace", "show", store, "zz", "-s", "orders"), "ctxplug trace list"),
        (("access", "revoke", store, "zz"), "ctxplug access list"),
    ):
        result = CliRunner(env=NARROW).invoke(app, [str(one) for one in command])
        assert result.exit_code == 1 and wanted in " ".join(result.stderr.split())


def test_an_import_counts_the_conversations(store: Path, tmp_path: Path) -> None:
    page("export", store, tmp_path / "a.jsonl", "--traces")
    told = " ".join(page("import", tmp_path / "b.db", tmp_path / "a.jsonl"))
    assert told.startswith("Imported 2 sessions with ")
    lines = page("trace", "replay", tmp_path / "b.db", "-s", "orders", "--verify")
    assert lines == ["3 of 3 windows are exact."]


@pytest.mark.parametrize("days", ["0", "-1", "nan"])
def test_retire_says_what_days_it_takes(store: Path, days: str) -> None:
    result = CliRunner(env=NARROW).invoke(
        app, ["session", "retire", str(store), "--older-than", days]
    )
    assert result.exit_code == 1 and "--older-than takes days above zero" in result.stderr
