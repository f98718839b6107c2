from __future__ import annotations

import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart, hookimpl
from ctxplug.errors import ConflictError, GuardError, TranscriptError
from ctxplug.exchange import export_lines, import_export
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.storage import Append, Backend, Put, Stream, Where
from ctxplug.testing.histories import ODD_TEXTS
from ctxplug.transcripts import read_transcript

PLUGINS = Plugins(load_entry_points=False)
ODD = "\ud83d \udc00 \x00 \u2028 \x85 里斯本 \ud83d\ude00"


@contextmanager
def _store(spec: str = "memory:") -> Iterator[Backend]:
    with Registry(PLUGINS).resolve("memory backend", spec) as backend:
        yield backend


def _memory(backend: Backend, namespace: str = "acme/alice", session: str = "trip") -> AgentMemory:
    return AgentMemory.open(backend, namespace=namespace, session=session, plugins=PLUGINS)


def _export(backend: Backend) -> bytes:
    return b"".join(export_lines(backend, backend.namespaces()))


def _fill(backend: Backend) -> None:
    with _memory(backend) as memory:
        memory.add("user", f"I moved to Lisbon. {ODD}", metadata={"odd": ODD}, pinned=True)
        memory.add(Message("assistant", [ToolCallPart("c1", "find", {"q": "座位"})]))
        memory.add(Message("tool", [ToolResultPart("c1", (), is_error=True)]))
        memory.remember("Prefers window seats", kind="preference", importance=0.9, tags=["travel"])
        memory.remember("靠窗的座位", ttl=1e6)
        memory.recall("Lisbon window")
    with _memory(backend, session="other") as memory:
        forgotten = memory.add("user", "forget me")
        memory.forget("other@1")
        assert forgotten.text not in [r.record.content for r in memory.recall("forget me")]
    with _memory(backend, namespace="acme/bob") as memory:
        memory.add("user", "鲍勃在这里。")


@pytest.mark.parametrize("target", ["memory:", "sqlite"])
def test_an_import_holds_all_that_was_exported(tmp_path: Path, target: str) -> None:
    def spec(name: str) -> str:
        return target if target == "memory:" else f"sqlite:{tmp_path / name}"

    file = tmp_path / "all.jsonl"
    with _store(spec("one.db")) as one, _store(spec("two.db")) as two:
        _fill(one)
        file.write_bytes(_export(one))
        receipt = import_export(str(file), two, PLUGINS)
        assert (receipt.sessions, receipt.entries, receipt.records) == (3, 5, 2)
        assert _export(two) == file.read_bytes()
        assert _memory(two).messages() == _memory(one).messages()
        for query in ("Lisbon", "window seats", "座位", "forget me"):
            found = [[r.record for r in _memory(b).recall(query)] for b in (one, two)]
            assert found[0] == found[1]
        assert _memory(two, namespace="acme/bob").messages()[0].text == "鲍勃在这里。"


TEXT = st.text(max_size=20) | st.sampled_from(ODD_TEXTS) | st.just(ODD)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    TEXT,
    pinned=st.booleans(),
    metadata=st.dictionaries(TEXT, TEXT | st.integers(-5, 5) | st.floats(0, 1), max_size=2),
)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text(string.ascii_letters + "里斯本", min_size=1, max_size=4),
        st.lists(MESSAGES, min_size=1, max_size=5),
        max_size=3,
    ),
    st.lists(TEXT.filter(lambda text: bool(text.strip())), max_size=3),
)
def test_export_and_import_are_inverse_for_any_messages_and_memories(
    tmp_path_factory: pytest.TempPathFactory, sessions: dict[str, list[Message]], facts: list[str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    with _store() as one, _store() as two:
        for session, messages in sessions.items():
            _memory(one, session=session).extend(messages)
        for fact in facts:
            _memory(one).remember(fact)
        file.write_bytes(_export(one))
        import_export(str(file), two, PLUGINS)
        assert _export(two) == file.read_bytes()
        for session, messages in sessions.items():
            assert _memory(two, session=session).messages() == messages


def test_entries_that_are_no_messages_are_kept_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    at = Message("user", "x").created_at
    with _store() as one, _store() as two:
        stream = Stream(("a",), "s")
        one.write(
            Append(stream=stream, kind="step", body={"n": [1, ODD]}, created_at=at, pinned=True)
        )
        file.write_bytes(_export(one))
        import_export(str(file), two, PLUGINS)
        assert two.read(stream) == one.read(stream)


def test_what_no_search_finds_is_not_found_after_an_import_either(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with _store() as one, _store() as two:
        _fill(one)
        (record,) = one.find(Where(("acme", "alice"), kinds=["preference"]))
        one.write(Put(record.evolve(id="hidden", kind="counter", content="Lisbon counter")))
        one.write(
            *[Put(record.evolve(id=f"n{i}", content="same words"), "same") for i in range(300)]
        )
        file.write_bytes(_export(one))
        import_export(str(file), two, PLUGINS)
        assert _export(two) == file.read_bytes()
        assert two.get(("acme", "alice"), "hidden") == one.get(("acme", "alice"), "hidden")
        assert [r.record.kind for r in _memory(two).recall("counter")] == []


def test_our_own_logs_travel_with_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    at = Message("user", "x").created_at
    with _store() as one, _store() as two:
        stream = Stream(("a",), "ctxplug:usage")
        one.write(Append(stream=stream, kind="usage", body={"input": 12}, created_at=at))
        file.write_bytes(_export(one))
        import_export(str(file), two, PLUGINS)
        assert two.read(stream) == one.read(stream)
        assert _export(two) == file.read_bytes()


def test_an_import_may_be_repeated(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with _store() as one, _store() as two:
        _fill(one)
        file.write_bytes(_export(one))
        import_export(str(file), two, PLUGINS)
        receipt = import_export(str(file), two, PLUGINS)
        assert (receipt.sessions, receipt.entries, receipt.records) == (0, 0, 0)
        assert receipt.present == 5
        assert _export(two) == file.read_bytes()


def test_a_session_that_went_on_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with _store() as one, _store() as two:
        _fill(one)
        file.write_bytes(_export(one))
        _memory(two, session="other").add("user", "mine")
        before = _export(two)
        with pytest.raises(ConflictError, match="'other'"):
            import_export(str(file), two, PLUGINS)
        assert _export(two) == before


def _changed(lines: list[bytes], n: int, **changes: Any) -> list[bytes]:
    data = {**json.loads(lines[n]), **changes}
    return [*lines[:n], json.dumps(data).encode() + b"\n", *lines[n + 1 :]]


@pytest.mark.parametrize("fault", range(9))
def test_a_damaged_export_is_refused_and_changes_nothing(tmp_path: Path, fault: int) -> None:
    file = tmp_path / "all.jsonl"
    with _store() as one, _store() as two:
        _fill(one)
        lines = list(export_lines(one, one.namespaces()))
        damaged = (
            lines[:-1],
            [*lines[:2], *lines[3:]],
            [lines[0], lines[2], lines[1], *lines[3:]],
            [*lines[:3], b"{broken\n", *lines[3:]],
            _changed(lines, 0, ctxplug_export=99),
            _changed(lines, 1, body={"message": {"role": "robot", "content": []}}),
            _changed(lines, 1, namespace=["a/b"]),
            _changed(lines, 2, version=True),
            [*lines, lines[1]],
        )[fault]
        file.write_bytes(b"".join(damaged))
        with pytest.raises(TranscriptError, match=r"all\.jsonl"):
            import_export(str(file), two, PLUGINS)
        assert two.namespaces() == []


class _Redactor:
    @hookimpl
    def redact(self, text: str) -> str:
        return text.replace("Lisbon", "[city]")


class _Judge:
    @hookimpl
    def judge_memory(self, record: Any) -> bool:
        return "window" not in record.content


def test_redactors_see_what_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    plugins = Plugins(load_entry_points=False)
    plugins.register(_Redactor(), "redactor")
    with _store() as one, _store() as two:
        _fill(one)
        file.write_bytes(_export(one))
        import_export(str(file), two, plugins)
        assert b"Lisbon" in file.read_bytes()
        assert b"Lisbon" not in _export(two)
        assert "[city]" in _memory(two).messages()[0].text


def test_a_judge_that_refuses_a_memory_refuses_the_import(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    plugins = Plugins(load_entry_points=False)
    plugins.register(_Judge(), "judge")
    with _store() as one, _store() as two:
        _fill(one)
        file.write_bytes(_export(one))
        with pytest.raises(GuardError):
            import_export(str(file), two, plugins)
        assert two.namespaces() == []


def test_an_export_is_a_transcript_too(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with _store() as one:
        _fill(one)
        file.write_bytes(_export(one))
        trip, other, bob = read_transcript(file)
        assert list(trip.messages) == _memory(one).messages()
        assert (other.name, other.metadata["namespace"]) == ("other", ["acme", "alice"])
        assert bob.messages[0].text == "鲍勃在这里。"
