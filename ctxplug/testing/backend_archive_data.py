"""What the laws of the archive write, and what they compare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from ctxplug.scope import Namespace
from ctxplug.storage import (
    Append,
    ArchiveLog,
    ArchiveRecords,
    Backend,
    Delete,
    Op,
    Put,
    Stream,
    Touch,
    Where,
)
from ctxplug.testing.backend_data import (
    WORDS,
    at,
    fresh_namespace,
    memory,
    note,
    said,
)

SESSIONS = ["s", "t@1"]
IDS = ["m", "n", "s@1", "s@2", "t@1@1"]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Namespace, list[Op]]:
    """Draw operations on a namespace of their own; every text is its own terms."""
    namespace = fresh_namespace()
    stream = st.builds(Stream, st.just(namespace), st.sampled_from(SESSIONS))
    words = st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join)
    kind = st.sampled_from(["fact", "preference", "\ud800"])
    spoken = st.builds(lambda text, at: said(text, text, at, agent="x"), words, stream)
    ops = st.one_of(
        spoken,
        spoken,
        st.builds(lambda number, at, pin: note(number, at, pinned=pin), *_notes(stream)),
        st.builds(
            lambda id, text, kind, found: Put(
                memory(id, text, namespace=namespace, kind=kind), text if found else None
            ),
            st.sampled_from(IDS),
            words,
            kind,
            st.booleans(),
        ),
        st.builds(lambda ids: Touch(namespace, tuple(ids), at(5)), st.sets(st.sampled_from(IDS))),
        st.builds(lambda id: Delete(namespace, id), st.sampled_from(IDS)),
    )
    return namespace, draw(st.lists(ops, max_size=14))


def _notes(stream: Any) -> tuple[Any, ...]:
    return st.integers(0, 9), stream, st.booleans()


def contents(backend: Backend, namespace: Namespace) -> dict[str, Any]:
    """Return all that can be seen of `namespace` but for scores and vectors."""
    where = Where(namespace)
    infos = backend.sessions(namespace)
    seen: dict[str, Any] = {
        "logs": {info.session: log(backend, namespace, info.session) for info in infos},
        "sessions": [replace(info, archived=0) for info in infos],
        "records": backend.find(where),
        "listed": namespace in backend.namespaces(),
    }
    if "keyword" in backend.capabilities:
        found = [{h.record.id for h in backend.search(where, terms=[w])} for w in WORDS]
        seen["words"] = found
        seen["counts"] = backend.occurrences(where, WORDS, limit=99).counts
        seen["glances"] = sorted(
            (g.id, g.traits, g.access_count, g.place & 0xFFFFFFFF if g.place > 0 else 0)
            for g in backend.glance(where)
        )
    return seen


def log(backend: Backend, namespace: Namespace, session: str) -> list[Any]:
    """Return a log as several reads tell it."""
    stream = Stream(namespace, session)
    head = backend.head(stream)
    return [
        backend.read(stream),
        backend.read(stream, newest_first=True, limit=3),
        backend.read(stream, after=1, before=head),
        backend.read(stream, after=head // 2, limit=2),
        backend.read(stream, kinds=["note"], pinned=True),
        backend.read(stream, kinds=["message"], newest_first=True, limit=1),
        backend.read(stream, pinned=False, after=1),
    ]


def shelve(namespace: Namespace, backend: Backend, ids: set[str] | None = None) -> ArchiveRecords:
    """Return the operation that archives records, each with its content as its terms."""
    ids = set(IDS) if ids is None else ids
    records = tuple(r for r in backend.find(Where(namespace)) if r.id in ids)
    return ArchiveRecords(namespace, records, {r.id: r.content for r in records})


def shelve_log(backend: Backend, stream: Stream, through: int = 10**6) -> ArchiveLog:
    """Return the operation that archives a log, each message with its text as its terms."""
    terms = {
        entry.version: entry.body["message"]["content"][0]["text"]
        for entry in backend.read(stream, kinds=["message"])
    }
    return ArchiveLog(stream, through, terms)


def terms_of(record: Any, ops: list[Op]) -> list[str]:
    """Return the terms of `record`: its content, if its last Put or Append gave it any."""
    last = [op for op in ops if isinstance(op, Put) and op.record.id == record.id]
    hidden = record.metadata.get("version") is None and last and last[-1].terms is None
    return [] if hidden else record.content.split()


def moved(ops: list[Op], space: Namespace) -> list[Any]:
    """Return `ops` as operations on another namespace."""
    moved: list[Any] = []
    for op in ops:
        if isinstance(op, Put):
            moved.append(replace(op, record=op.record.evolve(namespace=space)))
        elif isinstance(op, Delete | Touch):
            moved.append(replace(op, namespace=space))
        else:
            assert isinstance(op, Append)
            moved.append(replace(op, stream=replace(op.stream, namespace=space)))
    return moved


def plain(value: Any) -> Any:
    """Return `value` with message ids and namespaces taken out, which differ by their nature."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "stream"):
        return (value.stream.session, value.version, value.kind, value.body, value.pinned)
    return value.evolve(namespace=("x",)) if hasattr(value, "evolve") else value
