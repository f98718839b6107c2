"""Memories as JSONL: out and back without a loss, and what is wrong is named by its line."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, hookimpl
from ctxplug.errors import TranscriptError
from ctxplug.exchange import MemoryReceipt, import_memories, memory_lines
from ctxplug.plugins import Plugins
from ctxplug.records import MemoryRecord

NONE = Plugins(load_entry_points=False, environ={})
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)

_text = st.text(max_size=30) | st.sampled_from(["里斯本", "\ud800", "\0", "a\u2028b", "</x>", "𠀀"])
_words = _text.filter(bool)
_times = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _text
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
_records = st.builds(
    MemoryRecord,
    namespace=st.just(("acme", "alice")),
    id=_words.filter(lambda id: "@" not in id),
    kind=_words.filter(lambda kind: kind != "message"),
    content=_text,
    tier=st.sampled_from(["short", "medium", "long"]),
    importance=st.floats(0, 1),
    tags=st.lists(_words, unique=True, max_size=3).map(tuple),
    metadata=st.dictionaries(_text, _values, max_size=3),
    created_at=_times,
    last_accessed=st.none() | _times,
    access_count=st.integers(0, 2**31),
    expires_at=st.none() | _times,
    valid_from=st.none() | _times,
    valid_to=st.none() | _times,
    sources=st.lists(_text, max_size=2).map(tuple),
    origin=_words,
    session=st.none() | st.just("trip"),
    agent=st.none() | st.just("planner"),
    made_by=_words,
)


def _written(path: Path, *lines: object) -> str:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return str(path)


def _imported(memory: AgentMemory, path: str, **options: Any) -> MemoryReceipt:
    options.setdefault("namespace", memory.scope.namespace)
    return import_memories(path, memory.backend, options.pop("plugins", NONE), **options)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memories.jsonl"


@settings(max_examples=60, deadline=None)
@given(st.lists(_records, max_size=5, unique_by=lambda record: record.id))
def test_what_goes_out_comes_back_the_same(records: list[MemoryRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.jsonl"
        lines = list(memory_lines(records))
        assert all(line.count(b"\n") == 1 for line in lines)
        path.write_bytes(b"".join(lines))
        with AgentMemory.open(Path(folder) / "a.db", namespace="acme/alice") as memory:
            done = import_memories(str(path), memory.backend, NONE)
            assert done == MemoryReceipt(len(records), (), ())
            for record in records:
                assert memory.backend.get(record.namespace, record.id) == record


def test_what_was_imported_is_found_and_keeps_its_story(file: Path) -> None:
    with AgentMemory.open("memory:", namespace="alice", capture="auto", session="s") as alice:
        alice.add("user", "我喜欢靠窗的座位。")
        alice.remember("The hotel is Casa Nova", origin="tool:find_hotel", tags=["trip"])
        file.write_bytes(b"".join(memory_lines(alice.memories())))
        kept = {r.id: r for r in alice.memories()}
    with AgentMemory.open("memory:", namespace="bob") as bob:
        assert _imported(bob, str(file)).imported == 2
        for record in bob.memories():
            assert record == kept[record.id].evolve(namespace=("bob",))
        assert bob.recall("靠窗 座位")[0].record.made_by == "capture:preference"
        assert bob.recall("hotel")[0].record.trust == "tool"


def test_without_a_namespace_the_lines_say_whose_they_are(file: Path) -> None:
    with AgentMemory.open("memory:", namespace="alice") as alice:
        alice.remember("tea")
        file.write_bytes(b"".join(memory_lines(alice.memories())))
    with AgentMemory.open("memory:", namespace="bob") as bob:
        _imported(bob, str(file), namespace=None)
        assert bob.memories() == []
        assert bob.backend.namespaces() == [("alice",)]


def test_what_is_there_already_stays_as_it_is_and_is_named(file: Path) -> None:
    with AgentMemory.open("memory:", namespace="a") as memory:
        one = memory.remember("tea")
        file.write_bytes(b"".join(memory_lines([one, one.evolve(id="new"), one.evolve(id="new")])))
        memory.update(one.id, content="coffee")
        assert _imported(memory, str(file)) == MemoryReceipt(1, (one.id, "new"), ())
        assert {record.content for record in memory.memories()} == {"coffee", "tea"}
        assert _imported(memory, str(file)).imported == 0


def test_a_line_of_another_program_needs_a_content_and_no_more(file: Path) -> None:
    path = _written(
        file,
        {"content": "likes tea"},
        {"content": "喜欢茶", "kind": "preference", "importance": 0.9, "tags": ["饮料"]},
        {"content": "old", "created_at": "2020-01-01", "origin": "user"},
    )
    with AgentMemory.open("memory:", namespace="a") as memory:
        assert _imported(memory, path).imported == 3
        assert len(_imported(memory, path).present) == 3
        found = {record.content: record for record in memory.memories()}
        assert {r.made_by for r in found.values()} == {"import"}
        assert found["likes tea"].trust == "document" and found["old"].trust == "user"
        assert found["喜欢茶"].tier == "long" and found["喜欢茶"].tags == ("饮料",)
        assert found["old"].created_at.year == 2020
        assert found["likes tea"].expires_at is not None
    with AgentMemory.open("memory:", namespace="a") as memory:
        _imported(memory, path, origin="tool:crm")
        assert {record.origin for record in memory.memories()} == {"tool:crm"}


BAD = [
    ('{"content": "x"', "not JSON"),
    ("[1]", "content"),
    ('{"text": "x"}', "content"),
    ('{"content": "x", "importance": 7}', "importance"),
    ('{"content": "x", "colour": "red"}', "colour"),
    ('{"content": ""}', "non-empty"),
    ('{"content": "x", "tier": "eternal"}', "tier"),
    ('{"content": "x", "created_at": "soon"}', "soon"),
    ('{"content": "x", "kind": "message"}', "message of a log"),
    ('{"content": "x", "id": "trip@3", "created_at": "2020-01-01"}', "message of a log"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_damaged_line_is_named_and_nothing_is_written(file: Path, bad: str, reason: str) -> None:
    path = _written(file, {"content": "one"}, "", bad, {"content": "two"})
    with AgentMemory.open("memory:", namespace="a") as memory:
        with pytest.raises(TranscriptError, match="line 3") as caught:
            _imported(memory, path)
        assert reason in str(caught.value) and caught.value.line == 3
        assert memory.memories() == []
        done = _imported(memory, path, skip_faults=True)
        assert (done.imported, [one.line for one in done.faults]) == (2, [3])
        assert {record.content for record in memory.memories()} == {"one", "two"}


def test_all_damaged_lines_are_named(file: Path) -> None:
    path = _written(file, *["{"] * 3, {"content": "x"}, *["{"] * 20)
    with (
        AgentMemory.open("memory:", namespace="a") as memory,
        pytest.raises(TranscriptError) as caught,
    ):
        _imported(memory, path)
    message = str(caught.value)
    assert "23 lines" in message and "line 1:" in message and "line 5:" in message
    assert "and 13 more" in message


def test_a_file_cut_anywhere_imports_whole_lines_or_nothing(file: Path) -> None:
    with AgentMemory.open("memory:", namespace="a") as memory:
        whole = b"".join(memory_lines([memory.remember("tea"), memory.remember("茶")]))
    for end in range(0, len(whole), 7):
        file.write_bytes(whole[:end])
        with AgentMemory.open("memory:", namespace="b") as other:
            done = _imported(other, str(file), skip_faults=True)
            assert done.imported == len(other.memories()) == whole[: end + 1].count(b"}\n")


def test_plugins_that_refuse_a_line_are_heard(file: Path) -> None:
    class Judge:
        @hookimpl
        def judge_memory(self, record: MemoryRecord) -> bool:
            return "weapon" not in record.content

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Judge(), "judge")
    path = _written(file, {"content": "tea"}, {"content": "weapon"})
    with AgentMemory.open("memory:", namespace="a") as memory:
        with pytest.raises(TranscriptError, match=r"line 2.*'judge' refused"):
            _imported(memory, path, plugins=plugins)
        assert memory.memories() == []
        assert _imported(memory, path, plugins=plugins, skip_faults=True).imported == 1


def test_many_lines_are_all_written(file: Path) -> None:
    path = _written(file, *({"content": f"memory {i}"} for i in range(1_001)))
    with AgentMemory.open("memory:", namespace="a") as memory:
        assert _imported(memory, path).imported == 1_001
        assert len(memory.memories()) == 1_001


def test_expired_and_superseded_memories_survive_the_journey(file: Path) -> None:
    past = NOW - timedelta(days=400)
    record = MemoryRecord(
        namespace=("a",), id="1", kind="fact", content="x", created_at=past, expires_at=past
    )
    file.write_bytes(b"".join(memory_lines([record])))
    with AgentMemory.open("memory:", namespace="a") as memory:
        _imported(memory, str(file))
        assert memory.backend.get(("a",), "1") == record


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        AgentMemory.open("memory:", namespace="a") as memory,
        pytest.raises(TranscriptError, match="none"),
    ):
        _imported(memory, str(tmp_path / "none.jsonl"))
