"""ctxplug trace: list, show, replay, diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.cli.app import app
from ctxplug.storage import Append, Stream

PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "160", "CTXPLUG_PLUGINS": ""}


def run(*arguments: object, code: int = 0, typed: str | None = None) -> Result:
    result = CliRunner(env=PLAIN).invoke(app, ["trace", *map(str, arguments)], input=typed)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def data(*arguments: object, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


def refused(*arguments: object) -> str:
    result = run(*arguments, code=1)
    assert result.stderr.startswith("Error: ") and "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with windows, tools of which one fails, recalls and compactions."""
    path = tmp_path_factory.mktemp("trace") / "agent.db"

    def find(number: int) -> str:
        """Find an order."""
        if number == 3:
            raise ValueError("no such order")
        return f"order {number} is in Porto 波尔图"

    with AgentMemory.open(path, namespace="acme/alice", session="trip", budget=420) as memory:
        memory.tools.add(find, side_effects=False)
        for n in range(8):
            memory.add(
                "user", f"Where is order {n}, please? 订单{n}在哪里？\x1b[31m" + " Tell me." * 20
            )
            with memory.trace.span("answer", n=n):
                memory.context("order", system="You look orders up.")
                call = ToolCallPart(f"c{n}", "find", {"number": n})
                memory.add(Message("assistant", call))
                memory.tools.run([call])
            memory.add("assistant", f"It is in Porto, 在波尔图, shelf {n}. " * 4)
    return path


def windows(store: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data("list", store, "--kind", "window", "--last", 0)
    return found


# -- list --------------------------------------------------------------------------------


def test_list_shows_the_steps_and_what_is_within_what(store: Path) -> None:
    lines = run("list", store, "--last", 0).stdout.splitlines()
    assert sum("window" in line for line in lines) == 8
    spans = [line.index("span") for line in lines if "span answer" in line]
    inner = [line.index("tool") for line in lines if "tool find" in line]
    assert spans and inner and min(inner) > max(spans)
    assert any("error" in line and "tool find" in line for line in lines)


def test_without_a_command_it_lists(store: Path) -> None:
    assert run(store).stdout == run("list", store).stdout


def test_list_chooses_by_kind_outcome_and_trace(store: Path) -> None:
    every = data("list", store, "--last", 0)
    assert {one["kind"] for one in every} >= {"window", "tool", "span", "recall", "compaction"}
    (failed,) = data("list", store, "--failed", "--kind", "tool")
    assert (failed["name"], failed["outcome"]) == ("find", "error")
    trace = data("list", store, "--trace", failed["trace"][:12], "--last", 0)
    assert trace == [one for one in every if one["trace"] == failed["trace"]]
    assert [one["call"] for one in windows(store)] == list(range(1, 9))
    assert data("list", store, "--last", 2) == every[-2:]
    assert data("list", store, "--since", "2999-01-01") == []
    assert "There are none" in run("list", store, "--since", "2999-01-01").stdout
    assert "one of the kinds" in refused("list", store, "--kind", "windows")


# -- show --------------------------------------------------------------------------------


def test_show_says_exactly_what_was_sent_at_a_call(store: Path) -> None:
    page = run("show", store, "--call", 8).stdout
    assert "This is what was sent" in page and "You look orders up." in page
    assert "订单7在哪里" in page and "\x1b" not in page and "\\x1b[31m" in page
    found = data("show", store, "--call", 8)
    assert found["window"]["exact"] and found["window"]["hash"] == found["step"]["data"]["hash"]
    assert found["window"]["tokens"] == found["step"]["tokens"]
    assert {one["kind"] for one in found["children"]} >= {"recall"}
    assert data("show", store, "--call", -1) == found
    assert data("show", store, found["step"]["id"][:9]) == found


def test_show_of_another_step(store: Path) -> None:
    (failed,) = data("list", store, "--failed", "--kind", "tool")
    page = run("show", store, failed["id"]).stdout
    assert "part of" in page and "arguments" in page and "window" not in page


def test_show_says_what_is_not_there(store: Path) -> None:
    assert "Name a step, or a call" in refused("show", store)
    assert "no call 9: 8 were recorded" in refused("show", store, "--call", 9)
    assert "no call 0" in refused("show", store, "--call", 0)
    assert "no step 'zzz'" in refused("show", store, "zzz")


# -- replay ------------------------------------------------------------------------------


def test_replay_stops_where_all_conditions_hold(store: Path) -> None:
    stops = data("replay", store, "--kind", "tool", "--error", "--watch", "errors")
    assert [(one["name"], one["outcome"]) for one in stops] == [("find", "error")]
    assert stops[0]["values"]["errors"] >= 1 and stops[0]["changes"]["errors"][0] == 0
    assert "1 stop in" in run("replay", store, "--kind", "tool", "--error").stdout


def test_replay_goes_backwards_and_from_a_step(store: Path) -> None:
    forward = data("replay", store, "--kind", "window")
    backward = data("replay", store, "--kind", "window", "--back")
    assert [one["id"] for one in backward] == [one["id"] for one in reversed(forward)]
    later = data("replay", store, "--kind", "window", "--from", forward[3]["id"])
    assert [one["id"] for one in later] == [one["id"] for one in forward[3:]]
    assert len(data("replay", store)) == len(data("list", store, "--last", 0))


def test_replay_finds_what_was_said_in_either_language(store: Path) -> None:
    for text in ("ORDER 5,", "订单５在哪里"):
        stops = data("replay", store, "--text", text, "--kind", "window")
        assert stops[0]["id"] == windows(store)[5]["id"]


def test_replay_can_be_led_step_by_step(store: Path) -> None:
    typed = "n\nb\nc\nr\nm\nw\ns\ng 0\nr\ng zzz\nhuh\nq\n"
    page = run("replay", store, "--ask", "--kind", "compaction", typed=typed).stdout
    for shown in ("This is what was sent", "There is no step 'zzz'", "There is no further stop"):
        assert shown in page, shown
    assert page.count("compaction") > 2 and '"kind": "compaction"' in page
    assert run("replay", store, "-i", typed="").stdout.count("n next step") == 1
    assert "not both" in refused("replay", store, "--ask", "--json")


def test_verify_makes_every_window_again(store: Path) -> None:
    assert data("replay", store, "--verify") == {"windows": 8, "exact": 8, "not": []}
    assert "8 of 8 windows are exact" in run("replay", store, "--verify").stdout


def test_verify_ends_with_1_where_a_window_is_another(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="a", session="s") as memory:
        memory.add("user", "Hello 你好")
        memory.context()
        memory.trace.flush()
        (entry,) = memory.backend.read(Stream(("a",), "ctxplug:trace:s"))
        (row,) = entry.body["steps"]
        fake = {**row, "id": "f" * 16, "data": {**row["data"], "hash": "0" * 64}}
        body = {"steps": [fake]}
        append = Append(
            stream=entry.stream, kind=entry.kind, body=body, created_at=entry.created_at
        )
        memory.backend.write(append)
    found = data("replay", path, "--verify", code=1)
    assert (found["windows"], found["exact"]) == (2, 1)
    assert found["not"][0]["expected"] == "0" * 64
    assert "1 of 2 windows are exact" in run("replay", path, "--verify", code=1).stdout


# -- diff --------------------------------------------------------------------------------


def test_diff_of_two_windows(store: Path) -> None:
    first, *_, last = (one["id"] for one in windows(store))
    found = data("diff", store, first, last[:10])
    assert not found["same"] and found["entered"] and found["after"]["tokens"]
    page = run("diff", store, first, last).stdout
    assert "came in" in page and "tokens" in page
    assert "The same" in run("diff", store, last, last).stdout


def test_diff_of_other_settings(store: Path) -> None:
    found = data("diff", store, "--budget", 4_000)
    assert found["settings"] == {"budget": 4_000} and len(found["calls"]) == 8
    assert found["after"]["tokens"] > found["before"]["tokens"]
    page = run(
        "diff", store, "--budget", 4_000, "--policy", "aggressive", "--model", "gpt-4o"
    ).stdout
    assert "as it was" in page and "policy aggressive, budget 4000, model gpt-4o" in page
    assert "calls would have been sent otherwise" in page


def test_diff_says_what_it_takes(store: Path) -> None:
    one = windows(store)[0]["id"]
    assert "Give two steps" in refused("diff", store)
    assert "Two windows are compared" in refused("diff", store, one)
    assert "Give two steps" in refused("diff", store, one, one, "--budget", 9)
    assert "choose" in refused("diff", store, "--policy", "no-such-policy")


def test_help_names_the_commands_and_each_has_an_example() -> None:
    page = run("--help").stdout
    for command in ("list", "show", "replay", "diff"):
        assert command in page
        assert "Example: ctxplug trace" in " ".join(run(command, "--help").stdout.split())


def test_a_store_without_a_trace_says_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="a", session="s", trace=False) as memory:
        memory.add("user", "Hello")
        memory.context()
    assert data("list", path) == []
    assert data("replay", path, "--verify") == {"windows": 0, "exact": 0, "not": []}
    assert "no recorded calls" in refused("diff", path, "--budget", 9)
