"""`ctxplug memories` and `ctxplug recall --why`, as somebody at a terminal uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from ctxplug import AgentMemory
from ctxplug.cli.app import app

PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "80", "CTXPLUG_PLUGINS": ""}


def _run(*arguments: object, code: int = 0, input: str | None = None) -> Result:
    result = CliRunner(env=PLAIN).invoke(app, [str(a) for a in arguments], input=input)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def _json(*arguments: object) -> Any:
    return json.loads(_run(*arguments, "--json").stdout)


def _refused(*arguments: object) -> str:
    result = _run(*arguments, code=1)
    assert result.stderr.count("Error: ") == 1 and "Traceback" not in result.output
    return " ".join(result.stderr.split())


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/alice", session="trip", capture="auto") as memory:
        memory.add("user", "I prefer aisle seats on long flights.", name="alice")
        memory.add(
            "user",
            "我对花生过敏，点菜的时候请一定要注意一下，谢谢你们的理解和支持，这对我来说很重要。",
        )
        memory.remember("Casa Nova costs 120", origin="tool:find_hotel", tags=["hotel", "price"])
        memory.remember("Flies on 12 May", kind="commitment", importance=0.3, origin="model")
    with AgentMemory.open(path, namespace="acme/alice", session="work") as memory:
        memory.remember("[bold]Markup[/] \x1b[31m\u202e", importance=1.0)
    return path


def _contents(*arguments: object) -> list[str]:
    return [record["content"][:8] for record in _json("memories", *arguments)]


def _id(store: Path, text: str) -> str:
    (record,) = _json("memories", store, "--text", text)
    return str(record["id"])


# -- list ----------------------------------------------------------------------------


def test_memories_lists_the_newest_first_without_messages(store: Path) -> None:
    assert _contents(store) == ["[bold]Ma", "Flies on", "Casa Nov", "我对花生过敏，点", "I prefer"]
    assert _json("memories", "list", store) == _json("memories", store)
    assert "message" not in {record["kind"] for record in _json("memories", store)}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--kind", "commitment"], ["Flies on"]),
        (["--kind", "commitment", "--kind", "preference"], ["Flies on", "I prefer"]),
        (["--tier", "short"], ["Flies on"]),
        (["--tag", "hotel", "--tag", "price"], ["Casa Nov"]),
        (["--tag", "hotel", "--tag", "none"], []),
        (["--origin", "tool"], ["Casa Nov"]),
        (["--origin", "tool:find_hotel"], ["Casa Nov"]),
        (["--origin", "tool:other"], []),
        (["--trust", "model", "--trust", "tool"], ["Flies on", "Casa Nov"]),
        (["--session", "work"], ["[bold]Ma"]),
        (["--text", "AISLE"], ["I prefer"]),
        (["--text", "花生"], ["我对花生过敏，点"]),
        (["--min-importance", "0.8", "-k", "2"], ["[bold]Ma", "我对花生过敏，点"]),
        (["--max-importance", "0.5"], ["Flies on", "Casa Nov"]),
        (["--until", "2020-01-01"], []),
        (["--sort", "importance", "-k", "2"], ["[bold]Ma", "我对花生过敏，点"]),
        (["--sort", "oldest", "-k", "1"], ["I prefer"]),
    ],
)
def test_a_list_is_filtered_and_sorted(store: Path, arguments: list[str], found: list[str]) -> None:
    assert _contents(store, *arguments) == found


def test_a_list_fits_the_terminal_in_both_languages(store: Path) -> None:
    page = _run("memories", store).stdout
    assert all(cell_len(line) <= 80 for line in page.splitlines())
    assert "\x1b" not in page and "\u202e" not in page
    assert "[bold]Markup[/] \\x1b[31m\\u202e" in page
    assert "tool:find_hotel" in page and "capture" in page and "0.95" in page
    assert "5 memories." in page
    squeezed = "".join(page.split())
    assert "我对花生过敏" in squeezed
    assert "2 of 5 memories." in _run("memories", store, "-k", "2").stdout


def test_an_empty_list_says_so(store: Path) -> None:
    assert "No memory of acme/alice is like that." in _run("memories", store, "--kind", "x").stdout
    assert _json("memories", store, "--kind", "x") == []


def test_superseded_memories_are_listed_on_request(store: Path) -> None:
    with AgentMemory.open(store, namespace="acme/alice") as memory:
        old = memory.remember("The office is in Rome")
        memory.remember("The office is in Oslo", supersedes=old.id)
    assert len(_json("memories", store, "--text", "office")) == 1
    assert len(_json("memories", store, "--text", "office", "--all")) == 2


def test_the_help_lists_the_commands_and_each_has_an_example(store: Path) -> None:
    page = _run("memories", "--help").stdout
    for command in ("list", "show", "edit", "pin", "promote", "forget", "export", "import"):
        assert command in page
        assert f"ctxplug memories {command if command != 'list' else 'agent.db'}" in " ".join(
            _run("memories", command, "--help").stdout.replace("│", " ").split()
        )


# -- one -----------------------------------------------------------------------------


def test_show_tells_all_and_where_it_came_from(store: Path) -> None:
    id = _id(store, "aisle")
    page = " ".join(_run("memories", "show", store, id[:6]).stdout.split())
    assert id in page and "captured by the rule preference" in page
    assert "user (trust: user)" in page
    assert "@1 of the session, user alice: I prefer aisle seats on long flights." in page
    data = _json("memories", "show", store, id)
    assert (data["made_by"], data["trust"]) == ("capture:preference", "user")


def test_ids_may_be_shortened_as_long_as_they_are_one_memorys(store: Path) -> None:
    with AgentMemory.open(store, namespace="acme/alice") as memory:
        for name in ("abc1", "abc2"):
            record = memory.remember(name)
            memory.backend.write(_put(record.evolve(id=name)))
    assert "Say more of the id" in _refused("memories", "show", store, "abc")
    assert _json("memories", "show", store, "abc1")["id"] == "abc1"
    assert "lists the ids" in _refused("memories", "show", store, "zzz")
    assert "no memory 'trip@1'" in _refused("memories", "show", store, "trip@1")


def _put(record: Any) -> Any:
    from ctxplug.storage import Put

    return Put(record)


def test_edit_changes_what_is_given_and_nothing_else(store: Path) -> None:
    id = _id(store, "Casa Nova")
    before = _json("memories", "show", store, id)
    said = _run(
        "memories", "edit", store, id, "-i", "0.9", "--add-tag", "贵", "--remove-tag", "price"
    )
    assert "importance 0.90" in said.stdout and "hotel, 贵" in said.stdout
    after = _json("memories", "show", store, id)
    assert (after["importance"], after["tags"], after["tier"]) == (0.9, ["hotel", "贵"], "long")
    kept = {"content", "kind", "origin", "created_at", "made_by", "session"}
    assert {k: before[k] for k in kept} == {k: after[k] for k in kept}
    assert _json("memories", "edit", store, id, "-c", "新的价格")["content"] == "新的价格"
    assert _json("recall", store, "价格")[0]["record"]["id"] == id
    assert "Say what to change" in _refused("memories", "edit", store, id)
    assert "importance" in _refused("memories", "edit", store, id, "-i", "7")
    assert "non-empty" in _refused("memories", "edit", store, id, "-c", " ")


def test_pin_and_promote(store: Path) -> None:
    id = _id(store, "12 May")
    assert _json("memories", "pin", store, id)["metadata"]["pinned"] is True
    assert "pinned" in _run("memories", "pin", store, id).stdout
    assert "pinned" not in _json("memories", "pin", store, id, "--off").get("metadata", {})
    assert _json("memories", "promote", store, id)["tier"] == "medium"
    assert _json("memories", "promote", store, id, "--to", "long")["tier"] == "long"
    assert "tier" in _refused("memories", "promote", store, id, "--to", "short")


def test_forget_asks_unless_told_not_to(store: Path) -> None:
    id, other = _id(store, "12 May"), _id(store, "aisle")
    assert "--yes" in _refused("memories", "forget", store, id)
    assert len(_json("memories", store)) == 5
    assert "Forgot" in _run("memories", "forget", store, id[:8], id, "--yes").stdout
    assert _json("memories", "forget", store, other, "-y") == {"forgotten": [other]}
    assert len(_json("memories", store)) == 3
    assert "no memory" in _refused("memories", "forget", store, id, "--yes")


def test_a_mistyped_id_among_several_forgets_nothing(store: Path) -> None:
    _refused("memories", "forget", store, _id(store, "aisle"), "zzz", "--yes")
    assert len(_json("memories", store)) == 5


# -- out and in ----------------------------------------------------------------------


def test_export_and_import_move_memories(store: Path, tmp_path: Path) -> None:
    file, copy = tmp_path / "m.jsonl", tmp_path / "copy.db"
    assert "Wrote 5 memories" in _run("memories", "export", store, file).stdout
    assert "exists already" in _refused("memories", "export", store, file)
    assert "Imported 5 memories" in _run("memories", "import", copy, file).stdout
    assert _json("memories", copy) == _json("memories", store)
    again = _run("memories", "import", copy, file).stdout
    assert "Imported 0 memories" in again and "5 were there already" in " ".join(again.split())
    done = _json("memories", "import", copy, file, "-n", "bob")
    assert done == {"imported": 5, "present": [], "faults": []}
    assert len(_json("memories", copy, "-n", "bob")) == 5
    lines = _run("memories", "export", store, "--kind", "preference").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["preference"]


def test_a_bad_file_makes_no_store(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text('{"content": "tea"}\n{"content"\n')
    assert "line 2" in _refused("memories", "import", tmp_path / "new.db", file, "-n", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]
    done = _run("memories", "import", tmp_path / "new.db", file, "-n", "a", "--skip-bad-lines")
    assert "Imported 1 memory" in done.stdout and "Line 2 was left out" in done.stderr


# -- recall --------------------------------------------------------------------------


def test_recall_why_shows_the_parts_of_each_score(store: Path) -> None:
    page = _run("recall", store, "aisle seats", "--why", "-k", "1", "--kind", "preference").stdout
    assert page.startswith("1. I prefer aisle seats on long flights.")
    (found,) = _json("recall", store, "aisle seats", "-k", "1", "--kind", "preference")
    assert found["record"]["trust"] == "user"
    shown = {name: f"{value:+.2f}" for name, value in found["why"].items() if round(value, 2)}
    assert shown
    for name, value in shown.items():
        line = next(line for line in page.splitlines() if line.split()[:1] == [name])
        assert line.split()[1][:4] == value[:4] and "█" in line
    assert all(cell_len(line) <= 80 for line in page.splitlines())


def test_recall_in_chinese_shows_why(store: Path) -> None:
    page = _run("recall", store, "对什么过敏", "--why", "-k", "1", "--kind", "fact").stdout
    assert "我对花生过敏" in page and "words" in page
    assert all(cell_len(line) <= 80 for line in page.splitlines())


def test_recall_filters(store: Path) -> None:
    with AgentMemory.open(store, namespace="acme/alice") as memory:
        old = memory.remember("The office is in Rome")
        memory.remember("The office is in Oslo", supersedes=old.id)
        between = memory.backend.get(("acme", "alice"), old.id)
    assert between is not None

    def found(*arguments: str) -> set[str]:
        results = _json("recall", store, "office Rome Oslo aisle Casa", *arguments)
        return {one["record"]["content"] for one in results}

    assert "The office is in Rome" not in found()
    assert "The office is in Rome" in found("--as-of", old.created_at.isoformat())
    assert found("--tag", "hotel") == {"Casa Nova costs 120"}
    assert "I prefer aisle seats on long flights." not in found("--session", "work")
    assert found("--until", "2020-01-01") == set()
    assert "Nothing in acme/alice matches." in _run("recall", store, "x", "--tag", "none").stdout
