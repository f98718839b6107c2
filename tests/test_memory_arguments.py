"""What callers may not give, said in a sentence; and what must not become a memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from ctxplug import AgentMemory
from ctxplug.cli.app import app
from ctxplug.errors import InvalidNamespaceError, InvalidValueError
from ctxplug.memories.capture import statements
from ctxplug.records import MemoryRecord


@pytest.fixture
def memory() -> Iterator[AgentMemory]:
    with AgentMemory.open("memory:", namespace="acme/alice", session="trip") as opened:
        yield opened


WRONG: list[tuple[str, Callable[[AgentMemory], Any]]] = [
    ("'message' stands for", lambda m: m.remember("x", kind="message")),
    ("'message' stands for", lambda m: m.update(m.remember("x").id, kind="message")),
    ("key 'ctxplug'", lambda m: m.remember("x", metadata={"ctxplug": "mine"})),
    ("metadata is a mapping", lambda m: m.remember("x", metadata=[1])),  # type: ignore[arg-type]
    ("metadata is a mapping", lambda m: m.update(m.remember("x").id, metadata=[1])),  # type: ignore[arg-type]
    ("k is how many", lambda m: m.recall("x", k="3")),  # type: ignore[arg-type]
    ("k is how many", lambda m: m.recall("x", k=1.5)),  # type: ignore[arg-type]
    ("several, is expected", lambda m: m.remember("x", tags=3)),  # type: ignore[arg-type]
    ("such as 2026-05-01", lambda m: m.recall("x", since="yesterday")),
]


@pytest.mark.parametrize(("reason", "call"), WRONG)
def test_what_cannot_be_is_refused_in_a_sentence(
    memory: AgentMemory, reason: str, call: Callable[[AgentMemory], Any]
) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        call(memory)


@pytest.mark.parametrize("namespace", [None, 7])
def test_a_namespace_is_text(namespace: Any) -> None:
    with pytest.raises(InvalidNamespaceError, match="'acme/alice'"):
        AgentMemory.open("memory:", namespace=namespace)


def test_a_policy_is_a_policy() -> None:
    with pytest.raises(InvalidValueError, match="MemoryPolicy"):
        AgentMemory.open("memory:", namespace="a", memory_policy={"capacity": 3})  # type: ignore[arg-type]


def test_metadata_that_was_read_may_be_given_back(memory: AgentMemory) -> None:
    record = memory.remember("取件码是 4711", ttl=600, metadata={"shop": "B"})
    changed = memory.update(record.id, metadata={**record.metadata, "shop": "C"})
    assert changed.metadata["shop"] == "C" and changed.expires_at == record.expires_at


@pytest.mark.parametrize(
    "said",
    [
        "I ran the tests and they failed",
        "I opened the file and got an error",
        "I started the server on port 80",
        "I prefer not to say",
    ],
)
def test_the_talk_of_the_hour_is_not_captured(said: str) -> None:
    assert statements(said) == []


@pytest.mark.parametrize("said", ["I'm vegetarian", "I’m vegetarian.", "I ran the Boston marathon"])
def test_what_is_said_in_short_is_captured(said: str) -> None:
    assert [one.text for one in statements(said)] == [said]


def test_one_that_is_captured_by_another_meanwhile_is_written_once(
    memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.add("user", "nothing")
    beside = AgentMemory.open(memory.backend, namespace="acme/alice", capture="auto")
    other = AgentMemory.open(memory.backend, namespace="acme/alice", capture="auto")
    read = memory.backend.get
    waiting = ["I live in Oslo."]

    def slow_read(*key: Any) -> MemoryRecord | None:
        found = read(*key)
        if waiting:  # between our look and our write, another writes the same
            other.add("user", waiting.pop())
        return found

    monkeypatch.setattr(memory.backend, "get", slow_read)
    beside.add("user", "I live in Oslo.")
    assert [one.content for one in memory.memories()] == ["I live in Oslo."]


# -- on the command line -----------------------------------------------------------------


def _run(*arguments: object, code: int = 0, width: int = 80, input: str | None = None) -> str:
    env = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": str(width), "CTXPLUG_PLUGINS": ""}
    result = CliRunner(env=env).invoke(app, [str(a) for a in arguments], input=input)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme/alice", session="trip") as memory:
        memory.add("user", "小提琴在阁楼里")
        memory.remember("short")
    return tmp_path / "agent.db"


def test_the_line_under_a_narrow_list_is_one_line(store: Path) -> None:
    page = _run("memories", store)
    last = page.splitlines()[-1]
    assert last == "1 memory. ctxplug memories show TARGET ID shows one in full."
    assert cell_len(last) <= 80


def test_an_archive_says_plainly_what_it_did_not_do(store: Path) -> None:
    assert "nothing that can be archived was unused for 30d" in _squeezed(_run("archive", store))
    nothing = _run("archive", store, "--search", "violin")
    assert nothing == "Nothing in the archive of acme/alice matches.\n"
    _run("archive", store, "--older-than", "0s")
    assert "1 found in the archive of acme/alice." in _run("archive", store, "--search", "小提琴")
    assert "not both" in _run("archive", store, "--search", "x", "--restore", code=1)
    assert "1 found" in _run("archive", store, "--search", "小提琴")


def test_without_anybody_to_confirm_nothing_is_erased(store: Path) -> None:
    assert "--yes erases without asking" in _squeezed(_run("erase", store, code=1, input=""))
    assert "Nothing was erased." in _run("erase", store, code=1, input="n\n")
    assert "short" in _run("memories", store)


def test_recall_asks_an_embedder_when_told_to(store: Path) -> None:
    assert "embedder 'none'" in _run("recall", store, "x", "--embedder", "none", code=1, width=200)


def _squeezed(text: str) -> str:
    return " ".join(text.split())
