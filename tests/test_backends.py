"""The built-in backends obey the law, through any sequence of operations and reopenings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from json_backend import JsonBackend

from ctxplug.errors import ConflictError
from ctxplug.records import MemoryRecord
from ctxplug.storage import (
    Append,
    Backend,
    Delete,
    Fork,
    Glance,
    Hit,
    Occurrences,
    Op,
    Put,
    Stream,
    Touch,
    Where,
)
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing import MemoryBackendSuite
from ctxplug.testing.backend_data import at, memory, note, said


class TestInMemory(MemoryBackendSuite):
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        with InMemoryBackend() as backend:
            yield backend


class TestSqlite(MemoryBackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        with SqliteBackend(tmp_path / "agent.db", synchronous="normal") as backend:
            yield backend
            # Closed by the test or not: what is left behind must be sound.
        with SqliteBackend(tmp_path / "agent.db") as again:
            assert again.check().problems == ()

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: SqliteBackend(tmp_path / "agent.db")


@pytest.mark.slow  # what is not of ctxplug: the suite asks for the law, and for nothing besides
class TestJsonFiles(MemoryBackendSuite):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        with JsonBackend(tmp_path / "json") as backend:
            yield backend

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: JsonBackend(tmp_path / "json")


class Modest(InMemoryBackend):
    """What `held` names works, and nothing else: the law is for those who have little, too."""

    def __init__(self, held: tuple[str, ...]) -> None:
        super().__init__()
        vars(self)["capabilities"] = frozenset(held)

    def search(self, where: Where, **options: Any) -> list[Hit]:
        self._require("keyword" if options.get("vector") is None else "vector")
        return super().search(where, **options)

    def occurrences(self, *args: Any, **options: Any) -> Occurrences:
        self._require("keyword")
        return super().occurrences(*args, **options)

    def glance(self, *args: Any, **options: Any) -> list[Glance]:
        self._require("keyword")
        return super().glance(*args, **options)


@pytest.mark.parametrize(
    "held",
    [
        (),
        *(pytest.param((one,), marks=pytest.mark.slow) for one in ("keyword", "archive", "fork")),
        pytest.param(("vector",), marks=pytest.mark.slow),
    ],
    ids=lambda held: held[0] if held else "nothing",
)
class TestModest(MemoryBackendSuite):
    @pytest.fixture
    def backend(self, held: tuple[str, ...]) -> Iterator[Backend]:
        if "vector" in held:
            pytest.importorskip("numpy")
        with Modest(held) as backend:
            yield backend


# -- any sequence of operations ----------------------------------------------------------

SPACES = [("a",), ("a", "b"), ("爱丽丝",)]
WORDS = ["lisbon", "seat", "里斯", "斯本"]
namespaces = st.sampled_from(SPACES)
sessions = st.sampled_from(["s", "t", "u"])
streams = st.builds(Stream, namespaces, sessions)
names = st.sampled_from(["m", "n", "s@1", "s@2", "t@1"])
terms = st.none() | st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)


class Model:
    """What a store should hold, in plain dicts and lists."""

    def __init__(self) -> None:
        self.logs: dict[Stream, list[Append]] = {}
        self.parents: dict[Stream, tuple[Stream, int]] = {}
        self.records: dict[tuple[Any, str], tuple[str, int, set[str]]] = {}
        self.views: dict[tuple[Any, str], Append] = {}  # of those, the entry that each is

    def apply(self, op: Op) -> int:
        if isinstance(op, Append):
            log = self.logs.setdefault(op.stream, [])
            log.append(op)
            if op.terms is not None:
                key = (op.stream.namespace, f"{op.stream.session}@{len(log)}")
                text = op.body["message"]["content"][0]["text"]
                self.records[key] = (text, 0, set(op.terms.split()))
                self.views[key] = op
            return len(log)
        if isinstance(op, Put):
            record = op.record
            words = set((op.terms or "").split())
            self.records[record.namespace, record.id] = (record.content, 0, words)
            self.views.pop((record.namespace, record.id), None)
            return 1
        if isinstance(op, Delete):
            return int(self.records.pop((op.namespace, op.id), None) is not None)
        if isinstance(op, Fork):
            parent = Stream(op.stream.namespace, op.parent)
            self.logs[op.stream] = self.logs[parent][: op.upto]
            self.parents[op.stream] = parent, op.upto
            return op.upto
        assert isinstance(op, Touch)
        touched = 0
        for id in op.ids:
            if (op.namespace, id) in self.records:
                content, count, words = self.records[op.namespace, id]
                self.records[op.namespace, id] = (content, count + 1, words)
                touched += 1
        return touched

    def own(self, stream: Stream) -> list[Append]:
        """Return the entries of a stream that are no parent's."""
        return self.logs[stream][self.parents.get(stream, (None, 0))[1] :]

    def forget(self, stream: Stream) -> None:
        """Remove a stream, and the records that its own entries are."""
        first = len(self.logs[stream]) - len(self.own(stream)) + 1
        for version, op in enumerate(self.own(stream), first):
            id = f"{stream.session}@{version}"
            if op.terms is not None and self.views.get((stream.namespace, id)) is op:
                self.records.pop((stream.namespace, id), None)
        del self.logs[stream]
        self.parents.pop(stream, None)


operations = st.one_of(
    st.builds(note, st.integers(0, 99), streams, pinned=st.booleans()),
    st.builds(said, st.sampled_from(["hello", "你好", "\ud800\0"]), terms, streams),
    st.builds(
        lambda namespace, id, content, words: Put(memory(id, content, namespace=namespace), words),
        namespaces,
        names,
        st.sampled_from(["x", "y", "\0\ud800"]),
        terms,
    ),
    st.builds(Delete, namespaces, names),
    st.builds(
        lambda namespace, ids: Touch(namespace, tuple(ids), at(1)),
        namespaces,
        st.lists(names, max_size=2, unique=True),
    ),
)


class Machine(RuleBasedStateMachine):
    """Random writes, refused writes, erasures and reopenings against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.backend = self.start()

    def start(self) -> Backend:
        return InMemoryBackend()

    @rule(ops=st.lists(operations, min_size=1, max_size=5))
    def write(self, ops: list[Op]) -> None:
        assert self.backend.write(*ops) == [self.model.apply(op) for op in ops]

    @rule(ops=st.lists(operations, max_size=4), stream=streams, off=st.sampled_from([-1, 1, 7]))
    def write_with_a_conflict(self, ops: list[Op], stream: Stream, off: int) -> None:
        written = sum(isinstance(op, Append) and op.stream == stream for op in ops)
        found = len(self.model.logs.get(stream, ())) + written
        with pytest.raises(ConflictError) as caught:
            self.backend.write(*ops, note(0, stream, expected=found + off))
        assert (caught.value.expected, caught.value.found) == (found + off, found)

    @rule(namespace=namespaces)
    def erase(self, namespace: tuple[str, ...]) -> None:
        receipt = self.backend.erase(namespace)
        streams = [stream for stream in self.model.logs if stream.namespace == namespace]
        entries = sum(len(self.model.own(stream)) for stream in streams)
        records = [key for key in self.model.records if key[0] == namespace]
        assert (receipt.entries, receipt.records, receipt.remaining) == (entries, len(records), 0)
        for stream in streams:
            self.model.forget(stream)
        for key in records:
            self.model.records.pop(key, None)

    @rule(stream=streams, parent=sessions, upto=st.integers(1, 6), others=operations)
    def fork(self, stream: Stream, parent: str, upto: int, others: Op) -> None:
        op, logs = Fork(stream, parent, upto), self.model.logs
        own = len(logs.get(stream, ()))
        length = len(logs.get(Stream(stream.namespace, parent), ()))
        if own or length < upto:
            with pytest.raises(ConflictError) as caught:
                self.backend.write(op, others)
            told = caught.value.expected, caught.value.found
            assert told == ((0, own) if own else (upto, length))
        else:
            assert self.backend.write(op, others) == [self.model.apply(op) for op in (op, others)]

    @rule(stream=streams)
    def erase_session(self, stream: Stream) -> None:
        held = stream in self.model.logs
        if any(parent == stream for parent, _ in self.model.parents.values()):
            with pytest.raises(ConflictError):
                self.backend.erase_session(stream.namespace, stream.session)
            return
        before = len(self.model.records)
        entries = len(self.model.own(stream)) if held else 0
        if held:
            self.model.forget(stream)
        receipt = self.backend.erase_session(stream.namespace, stream.session)
        gone = before - len(self.model.records)
        assert (receipt.entries, receipt.records, receipt.remaining) == (entries, gone, 0)

    @invariant()
    def lineages_agree(self) -> None:
        for stream in self.model.logs:
            line = self.backend.lineage(stream)
            assert line[-1] == (stream.session, len(self.model.logs[stream]))
            ends = [0, *(last for _, last in line)]
            for (session, _), after, last in zip(line, ends, ends[1:], strict=False):
                said_by = self.model.own(Stream(stream.namespace, session))
                shared = self.model.logs[stream][after:last]
                assert all(any(op is one for one in said_by) for op in shared)

    @rule(stream=streams, after=st.integers(0, 6), newest_first=st.booleans())
    def read(self, stream: Stream, after: int, newest_first: bool) -> None:
        found = self.backend.read(stream, after=after, newest_first=newest_first)
        log = [(op.kind, op.body, op.pinned) for op in self.model.logs.get(stream, [])[after:]]
        got = [(entry.kind, entry.body, entry.pinned) for entry in found]
        assert (got[::-1] if newest_first else got) == log

    @rule(namespace=namespaces, word=st.sampled_from(WORDS))
    def search(self, namespace: tuple[str, ...], word: str) -> None:
        hits = self.backend.search(Where(namespace), terms=[word], limit=100)
        expected = [
            id
            for (n, id), (_, _, words) in self.model.records.items()
            if n == namespace and word in words
        ]
        assert sorted(hit.record.id for hit in hits) == sorted(expected)

    @invariant()
    def records_agree(self) -> None:
        for namespace in SPACES:
            found = self.backend.find(Where(namespace))
            expected = {
                id: value[:2] for (n, id), value in self.model.records.items() if n == namespace
            }
            assert {r.id: (r.content, r.access_count) for r in found} == expected
            assert all(isinstance(record, MemoryRecord) for record in found)

    @invariant()
    def heads_agree(self) -> None:
        for namespace in SPACES:
            heads = {info.session: info.version for info in self.backend.sessions(namespace)}
            logs = [(s, log) for s, log in self.model.logs.items() if s.namespace == namespace]
            assert heads == {stream.session: len(log) for stream, log in logs}

    def teardown(self) -> None:
        assert self.backend.check().problems == ()
        self.backend.close()


class SqliteMachine(Machine):
    """The same on a file, which is closed and opened again now and then."""

    def start(self) -> Backend:
        self.folder = Path(tempfile.mkdtemp())
        return self.open()

    def open(self) -> Backend:
        return SqliteBackend(self.folder / "agent.db", synchronous="normal")

    @precondition(lambda self: self.model.logs or self.model.records)
    @rule()
    def reopen(self) -> None:
        self.backend.close()
        self.backend = self.open()

    @rule()
    def backup_and_go_on_with_the_copy(self) -> None:
        self.backend.backup(str(self.folder / "copy.db"))
        self.backend.close()
        (self.folder / "copy.db").replace(self.folder / "agent.db")
        self.backend = self.open()

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


TestAnySequenceInMemory: Any = Machine.TestCase
TestAnySequenceOnAFile: Any = SqliteMachine.TestCase
for case in (TestAnySequenceInMemory, TestAnySequenceOnAFile):
    case.settings = settings(deadline=None, max_examples=30, stateful_step_count=25)
