from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import ctxplug
from ctxplug import AgentMemory, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.cli.app import app

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "trip_planner.jsonl"
PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200", "CTXPLUG_PLUGINS": ""}
COMMANDS = (
    *("demo", "replay", "sessions", "show", "chat-log", "context", "recall", "stats"),
    *("check", "backup", "export", "import", "plugins", "memories", "maintain", "archive"),
    *("erase", "reindex", "usage", "compare", "tools", "session", "trace", "audit", "access"),
    "inspect",
)


def _run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner(env=PLAIN).invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def _json(*arguments: object, code: int = 0) -> Any:
    return json.loads(_run(*arguments, "--json", code=code).stdout)


def _refused(*arguments: object) -> str:
    """Return the one sentence that a command fails with."""
    result = _run(*arguments, code=1)
    assert result.stderr.startswith("Error: ") and "Traceback" not in result.output
    assert result.stderr.count("Error: ") == 1
    return " ".join(result.stderr.split())


def _process(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ctxplug.cli", *map(str, arguments)]
    env = {**os.environ, **PLAIN, **environ}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one namespace, one session and two memories."""
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/alice", session="trip") as memory:
        memory.add("system", "You plan trips.")
        memory.add("user", "I moved to Lisbon [last week].", name="alice")
        memory.add(Message("assistant", ToolCallPart("c1", "find_hotel", {"city": "里斯本"})))
        memory.add(Message("tool", ToolResultPart("c1", (TextPart("Casa Nova"),))))
        memory.add("assistant", "Casa Nova 酒店。\x1b[31m\u202e\ud800")
        memory.remember("Prefers window seats", kind="preference", tags=["travel", "seat"])
        memory.remember("女儿对花生过敏", importance=0.9)
    return path


@pytest.fixture
def crowd(store: Path) -> Path:
    """A store with two namespaces, one of which has two sessions."""
    with AgentMemory.open(store, namespace="acme/alice", session="work") as memory:
        memory.add("user", "The invoice is 4711.")
    with AgentMemory.open(store, namespace="acme/bob", session="talk") as memory:
        memory.add("user", "Bob's secret.")
    return store


# -- the whole ---------------------------------------------------------------------


def test_help_names_every_command_and_each_has_an_example() -> None:
    page = _run("--help").stdout
    for command in COMMANDS:
        assert command in page
        text = " ".join(_run(command, "--help").stdout.split())
        assert "Example: ctxplug" in text or command == "chat-log", command


def test_the_lines_of_a_paragraph_of_help_fill_the_terminal() -> None:
    page = _run("compare", "--help").stdout
    assert "Cost is in plain input tokens at Anthropic's cache prices" in page
    assert 'needs the extra "plots"' in " ".join(page.replace("│", " ").split())
    assert "loops, slow steps; what takes the tokens" in _run("trace", "analyze", "--help").stdout


def test_the_version_is_printed() -> None:
    assert _run("--version").stdout.split() == ["ctxplug", ctxplug.__version__]


def test_wrong_usage_ends_with_code_2() -> None:
    assert CliRunner(env=PLAIN).invoke(app, ["show"]).exit_code == 2
    assert CliRunner(env=PLAIN).invoke(app, ["no-such-command"]).exit_code == 2


def test_the_command_loads_typer_and_rich_only_when_it_runs() -> None:
    code = "import sys, ctxplug.cli; print([m for m in ('typer', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_process_reports_an_error_as_one_sentence_without_colour() -> None:
    done = _process("show", "no-such-store.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: There is no store at 'no-such-store.db'")
    assert "\x1b" not in done.stderr and "Traceback" not in done.stderr


def test_a_terminal_of_another_encoding_gets_escapes(store: Path) -> None:
    done = _process("recall", store, "花生", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0 and "\\u82b1\\u751f" in done.stdout


def test_an_export_to_stdout_can_be_piped(store: Path) -> None:
    done = _process("export", store)
    assert done.returncode == 0
    kinds = [json.loads(line).get("type") for line in done.stdout.splitlines()]
    assert kinds == [None, *["entry"] * 5, *["record"] * 2, "end"]


# -- reading creates nothing -------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["sessions"],
        ["show"],
        ["context"],
        ["recall", "{}", "x"],
        ["stats"],
        ["check"],
        ["backup", "{}", "copy.db"],
        ["export"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("spec", ["{}", "sqlite:///{}"])
def test_reading_a_store_that_is_not_there_creates_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], spec: str
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *rest = arguments
    target = spec.format("missing.db")
    message = _refused(command, *([part.format(target) for part in rest] or [target]))
    assert "missing.db" in message and "no store" in message
    assert list(tmp_path.iterdir()) == []


def test_looking_changes_nothing(store: Path) -> None:
    before = _run("export", store).stdout_bytes
    for arguments in (["show"], ["stats"], ["sessions"], ["check"], ["context", "-b", "100"]):
        _run(arguments[0], store, *arguments[1:])
    _run("context", store, "--query", "window seats")
    _run("recall", store, "Lisbon window")
    assert _run("export", store).stdout_bytes == before


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello, I am text")
    assert "not a ctxplug store" in _refused("show", file)
    assert file.read_text() == "hello, I am text"


# -- whose -------------------------------------------------------------------------


def test_the_only_namespace_and_session_are_the_default(store: Path) -> None:
    assert "Lisbon" in _run("show", store).stdout


def test_without_a_choice_the_namespaces_are_listed(crowd: Path) -> None:
    for arguments in (["show", crowd], ["context", crowd], ["recall", crowd, "x"]):
        message = _refused(*arguments)
        assert "--namespace" in message and "'acme/alice'" in message and "'acme/bob'" in message


def test_without_a_choice_the_sessions_are_listed(crowd: Path) -> None:
    message = _refused("context", crowd, "-n", "acme/alice")
    assert "--session" in message and "'trip'" in message and "'work'" in message
    listed = _run("show", crowd, "-n", "acme/alice").stdout
    assert "trip" in listed and "work" in listed and "Lisbon" not in listed


def test_an_unknown_namespace_or_session_is_an_error_with_the_choices(crowd: Path) -> None:
    assert "'acme/alice'" in _refused("show", crowd, "-n", "acme/carol")
    assert "'talk'" in _refused("show", crowd, "-n", "acme/bob", "-s", "trip")
    assert "'acme/alice'" in _refused("export", crowd, "-", "-n", "nobody")


def test_one_namespace_never_shows_in_another(crowd: Path) -> None:
    for command in (["show"], ["recall", "secret invoice Lisbon"], ["context"], ["stats"]):
        result = _run(command[0], crowd, *command[1:], "-n", "acme/bob")
        assert "Lisbon" not in result.output and "invoice is" not in result.output
        assert "alice" not in result.output


# -- look --------------------------------------------------------------------------


def test_sessions_lists_all(crowd: Path) -> None:
    listed = _json("sessions", crowd)
    assert [(one["namespace"], one["session"], one["entries"]) for one in listed] == [
        ("acme/alice", "trip", 5),
        ("acme/alice", "work", 1),
        ("acme/bob", "talk", 1),
    ]
    assert [one["session"] for one in _json("sessions", crowd, "-n", "acme/bob")] == ["talk"]


@pytest.mark.parametrize("command", ["show", "chat-log"])
def test_a_conversation_is_shown_with_its_calls_and_results(store: Path, command: str) -> None:
    text = _run(command, store).stdout
    for part in ("You plan trips.", "(alice)", "[last week]", "find_hotel(", "里斯本", "Casa Nova"):
        assert part in text


def test_stored_control_codes_are_shown_and_not_obeyed(store: Path) -> None:
    for arguments in (["show"], ["context"], ["recall", "酒店"], ["context", "-f", "openai"]):
        text = _run(arguments[0], store, *arguments[1:]).stdout
        assert "\x1b" not in text and "\u202e" not in text.replace("\\u202e", "")


def test_show_gives_the_last_ones_and_all(store: Path) -> None:
    last = _run("show", store, "--last", 1).stdout
    assert "酒店" in last and "Lisbon" not in last and "--last 0" in last
    assert "Lisbon" in _run("show", store, "--last", 0).stdout


def test_show_as_json_is_lossless(store: Path) -> None:
    shown = _json("show", store, "--last", 2)
    assert [one["version"] for one in shown] == [4, 5]
    message = Message.from_dict(shown[1]["message"])
    assert message.text == "Casa Nova 酒店。\x1b[31m\u202e\ud800"


def test_long_parts_are_cut_unless_full_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "long.db"
    with AgentMemory.open(path, namespace="a", session="s") as memory:
        memory.add("user", "开头" + "x" * 3_000 + "END")
    assert "END" not in _run("show", path).stdout
    assert "more characters" in _run("show", path).stdout
    assert "END" in _run("show", path, "--full").stdout


def test_context_shows_what_would_be_sent_and_why(store: Path) -> None:
    text = _run("context", store, "--budget", 500).stdout
    assert "You plan trips." in text and "of 500 tokens" in text


def test_context_gives_the_fields_of_a_provider_request(store: Path) -> None:
    openai = json.loads(_run("context", store, "--format", "openai").stdout)
    assert [m["role"] for m in openai["messages"]] == [
        *("system", "user", "assistant", "tool", "assistant")
    ]
    anthropic = json.loads(_run("context", store, "-f", "anthropic").stdout)
    assert anthropic["system"][0]["text"] == "You plan trips."
    assert anthropic["messages"][0]["role"] == "user"


def test_context_with_a_query_carries_what_is_recalled(store: Path) -> None:
    with AgentMemory.open(store, namespace="acme/alice", session="trip") as memory:
        memory.add("user", "And the train?")
    data = _json("context", store, "--query", "window seats", "-b", 2000)
    assert "Prefers window seats" in json.dumps(data["messages"])
    assert data["tokens"] <= 2000 and data["report"]["budget"] == 2000


def test_a_budget_that_cannot_hold_the_turn_is_an_error_with_numbers(store: Path) -> None:
    assert "5" in _refused("context", store, "--budget", 5)


def test_recall_finds_english_and_chinese(store: Path) -> None:
    english = _json("recall", store, "which seats does she prefer")
    assert english[0]["record"]["content"] == "Prefers window seats"
    chinese = _json("recall", store, "对什么过敏")
    assert chinese[0]["record"]["content"] == "女儿对花生过敏"
    assert "花生" in _run("recall", store, "过敏").stdout


def test_recall_is_narrowed_by_kind_tag_time_and_number(store: Path) -> None:
    query = "window seats Lisbon 酒店 花生"
    assert len(_json("recall", store, query)) >= 3
    assert {r["record"]["kind"] for r in _json("recall", store, query, "--kind", "message")} == {
        "message"
    }
    assert len(_json("recall", store, query, "--tag", "travel", "--tag", "seat")) == 1
    assert _json("recall", store, query, "--tag", "nothing") == []
    assert len(_json("recall", store, query, "-k", 1)) == 1
    assert _json("recall", store, query, "--since", "2990-01-01") == []
    assert _json("recall", store, query, "--until", "1990-01-01") == []
    assert "is not a time" in _refused("recall", store, query, "--since", "yesterday")
    assert "Nothing" in _run("recall", store, "zzzz").stdout


def test_stats_counts_each_namespace(crowd: Path) -> None:
    alice, bob = _json("stats", crowd)
    assert (alice["namespace"], alice["sessions"], alice["entries"]) == ("acme/alice", 2, 6)
    assert (alice["memories"]["long"], sum(bob["memories"].values())) == (2, 0)
    assert "acme/bob" in _run("stats", crowd).stdout
    assert [one["namespace"] for one in _json("stats", crowd, "-n", "acme/bob")] == ["acme/bob"]


# -- care --------------------------------------------------------------------------


def test_a_sound_store_passes_and_a_damaged_one_does_not(store: Path) -> None:
    assert _json("check", store)["ok"] is True
    assert "sound" in _run("check", store).stdout
    import apsw

    connection = apsw.Connection(str(store))
    connection.execute("DELETE FROM words")
    connection.close()
    report = _json("check", store, code=1)
    assert report["ok"] is False and report["problems"]
    assert "damaged" in _run("check", store, code=1).stdout


def test_a_backup_is_a_store_and_never_overwrites(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    _run("backup", store, copy)
    assert _run("export", copy).stdout == _run("export", store).stdout
    assert "exists already" in _refused("backup", store, copy)


# -- exchange ----------------------------------------------------------------------


def test_export_and_import_give_the_same_file_again(crowd: Path, tmp_path: Path) -> None:
    first, second, copy = tmp_path / "1.jsonl", tmp_path / "2.jsonl", tmp_path / "copy.db"
    _run("export", crowd, first)
    done = _json("import", copy, first)
    assert done == {"sessions": 3, "entries": 7, "records": 2, "present": 0}
    _run("export", copy, second)
    assert second.read_bytes() == first.read_bytes()
    assert "there already" in _run("import", copy, first).stdout
    assert "exists already" in _refused("export", crowd, first)


def test_one_namespace_can_be_exported_alone(crowd: Path, tmp_path: Path) -> None:
    file = tmp_path / "bob.jsonl"
    _run("export", crowd, file, "--namespace", "acme/bob")
    assert b"secret" in file.read_bytes() and b"Lisbon" not in file.read_bytes()


def test_a_transcript_becomes_sessions(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    assert "--namespace" in _refused("import", path, SAMPLE)
    assert not path.exists()
    done = _json("import", path, SAMPLE, "-n", "demo/alice")
    assert (done["sessions"], done["entries"]) == (2, 78)
    assert "QX7T4M" in _run("show", path, "-s", "lisbon", "--last", 0).stdout
    assert "39 entries already" in _refused("import", path, SAMPLE, "-n", "demo/alice")


def test_a_bad_file_imports_nothing(tmp_path: Path, store: Path) -> None:
    path, bad = tmp_path / "new.db", tmp_path / "bad.jsonl"
    bad.write_text('[{"role": "user", "content": "a"}]\n[{"role": "robot", "content": "b"}]\n')
    assert "line 2" in _refused("import", path, bad, "-n", "x")
    export = _run("export", store).stdout.splitlines(keepends=True)
    bad.write_text("".join(export[:-1]))
    assert "cut short" in _refused("import", path, bad)
    assert not path.exists()


# -- replay and demo ---------------------------------------------------------------


def test_replay_prints_each_turn_and_a_summary() -> None:
    text = _run("replay", SAMPLE, "--budget", 1200).stdout
    assert "lisbon: 39 messages" in text and "chengdu: 39 messages" in text
    assert text.count(" valid") >= 38
    assert "1,200 tokens" in text and "anthropic, openai" in text


def test_replay_as_json_has_every_turn(tmp_path: Path) -> None:
    data = _json("replay", SAMPLE, "--budget", 1200, "--limit", 1, "--provider", "openai")
    (one,) = data["conversations"]
    assert (one["name"], one["messages"], data["providers"]) == ("lisbon", 39, ["openai"])
    assert [turn["turn"] for turn in one["turns"]] == list(range(1, 20))
    assert all(turn["tokens_sent"] <= 1200 for turn in one["turns"])
    assert data["total"]["valid"] == 19 and 0 < data["total"]["reduction"] < 1


def test_a_turn_that_cannot_fit_is_a_row_and_not_a_crash(tmp_path: Path) -> None:
    file = tmp_path / "big.jsonl"
    said = [{"role": "user", "content": "word " * 400}, {"role": "assistant", "content": "ok"}]
    file.write_text(json.dumps(said) + "\n")
    text = _run("replay", file, "--budget", 200).stdout
    assert "over budget: this turn needs" in text and "1 turns are over budget" in text
    assert _json("replay", file, "--budget", 200)["total"]["over_budget"] == 1


def test_replay_into_a_file_keeps_what_was_said(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    _run("replay", SAMPLE, "--budget", 1200, "--store", path, "--summary", "-n", "demo/x")
    assert {one["session"] for one in _json("sessions", path)} == {"lisbon", "chengdu"}
    assert "39 messages" not in _run("replay", SAMPLE, "--summary").stdout
    message = _refused("replay", SAMPLE, "--store", path, "-n", "demo/x")
    assert "'lisbon'" in message and "--namespace" in message


def test_replay_of_a_bad_file_stores_nothing(tmp_path: Path) -> None:
    path, bad = tmp_path / "r.db", tmp_path / "bad.jsonl"
    bad.write_text('[{"role": "user", "content": "a"}]\n{"role": \n')
    message = _refused("replay", bad, "--store", path)
    assert "line 2" in message and "not JSON" in message and "bad.jsonl" in message
    assert not path.exists()
    assert "'acme'" in _run("replay", SAMPLE, "--provider", "acme", code=2).stderr


def test_the_demo_runs_as_a_process_and_answers_in_both_languages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ctxplug.cli", "demo"]
    env = {**os.environ, **PLAIN}
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=env, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("What you see", "QX7T4M", "花生", " 0 invalid", "% less"):
        assert part in done.stdout
    assert "\x1b" not in done.stdout and list(tmp_path.iterdir()) == []


def test_the_demo_as_json_finds_what_left_the_window() -> None:
    english, chinese = _json("demo")
    assert "QX7T4M" in english["found"]["content"]
    assert "花生" in chinese["found"]["content"]
    assert english["summary"]["invalid"] == chinese["summary"]["invalid"] == 0


# -- plugins -----------------------------------------------------------------------


def test_plugins_lists_the_built_in_components() -> None:
    text = _run("plugins").stdout
    assert "tiktoken" in text and "sqlite" in text and "built in" in text
    (builtin,) = [one for one in _json("plugins") if one["name"] == "ctxplug"]
    assert builtin["status"] == "loaded"
    assert "estimate" in builtin["components"]["token counter"]


BROKEN = "raise RuntimeError('no good')\n"


def test_plugins_lists_a_broken_one_with_its_reason(tmp_path: Path) -> None:
    """A distribution as it lies in site-packages, found through its entry point."""
    (tmp_path / "broken_plugin.py").write_text(BROKEN)
    info = tmp_path / "ctxplug_broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ctxplug-broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ctxplug]\nbroken = broken_plugin\n")
    environ = {"PYTHONPATH": str(tmp_path), "CTXPLUG_PLUGINS": "broken"}
    done = _process("plugins", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ctxplug-broken 1.0" in done.stdout and "RuntimeError: no good" in done.stdout
    listed = json.loads(_process("plugins", "--json", **environ).stdout)
    assert [one["status"] for one in listed if one["name"] == "broken"] == ["failed"]
    warned = _process("demo", **environ)
    assert warned.returncode == 0 and "Warning: ctxplug goes on without plugin" in warned.stderr
