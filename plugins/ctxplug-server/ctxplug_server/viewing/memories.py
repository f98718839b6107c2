"""Memories: pages of a namespace's memories, searched as recall does, and where each is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import NotFoundError
from ctxplug.inspector.reading import Found, Reading
from ctxplug.memories.filters import where
from ctxplug.memories.tiers import own
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.sessions.log import given
from ctxplug.storage import Backend, Stream
from ctxplug_server.viewing.cursors import cursor_of, read_cursor
from ctxplug_server.viewing.telling import bounded, cut

__all__ = ["memories", "memory"]

MESSAGE = "message"
SEARCHED = 300  # memories and messages that a search ranks
CONTENT = 4_000
WHOLE = 200_000
SOURCES = 20
LOOKED_THROUGH = 2_000  # messages among which sources are looked for
CHAIN = 50  # memories of one history that are told


def memories(
    backend: Backend,
    reading: Reading,
    namespace: Namespace,
    *,
    q: str | None,
    kind: str | None,
    tier: str | None,
    tags: Sequence[str],
    include: str,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Return a page of memories: with `q` the best first and why, else the newest first."""
    place = read_cursor(cursor, (int,))
    offset = place[0] if place else 0
    now = datetime.now(UTC)
    chosen: dict[str, Any] = {"kinds": [kind] if kind else None, "tiers": [tier] if tier else None}
    if (q or "").strip():
        found = [
            one
            for one in reading.search(namespace, (q or "").strip(), SEARCHED)
            if _fits(one.record, kind, tier, tags, include)
        ]
        page, more = found[offset : offset + limit], len(found) > offset + limit
    else:
        no_messages = [MESSAGE] if kind is None else []
        filter_by = where(
            namespace,
            now,
            tags=tags,
            include_superseded=include != "current",
            not_kinds=no_messages,
            **chosen,
        )
        records = backend.find(filter_by, limit=limit + 1, offset=offset)
        page, more = [Found(record) for record in records[:limit]], len(records) > limit
    return {
        "items": [_item(one) for one in page],
        "next": cursor_of([offset + limit]) if more else None,
    }


def memory(backend: Backend, namespace: Namespace, id: str) -> dict[str, Any]:
    """Return a memory whole, what it was made from, and what it and others took the place of."""
    record = backend.get(namespace, id)
    if record is None:
        raise NotFoundError(f"There is no memory {id!r} in this namespace.")
    replaced, by = _named(record, "supersedes"), _named(record, "superseded_by")
    return {
        "record": told(record, WHOLE),
        "sources": list(_sources(backend, record)),
        "supersedes": [told(one) for one in _got(backend, namespace, replaced)],
        "superseded_by": next((told(one) for one in _got(backend, namespace, by)), None),
        "history": [told(one) for one in _history(backend, record)],
    }


def told(record: MemoryRecord, most: int = CONTENT) -> dict[str, Any]:
    """Return a record as JSON data, its content up to `most` characters."""
    content, more = cut(record.content, most)
    data = bounded({**record.to_dict(), "content": ""})
    return {
        **data,
        "namespace": namespace_key(record.namespace),
        "content": content,
        "cut": more,
        "trust": record.trust,
        "current": record.valid_to is None,
    }


# -- inside ------------------------------------------------------------------------------


def _item(one: Found) -> dict[str, Any]:
    why: Mapping[str, float] | None = one.why
    parts = {name: round(value, 4) for name, value in why.items()} if why else None
    return {"record": told(one.record), "score": one.score, "why": parts}


def _fits(
    record: MemoryRecord, kind: str | None, tier: str | None, tags: Sequence[str], include: str
) -> bool:
    wanted = record.kind != MESSAGE or include == "all" if kind is None else record.kind == kind
    return wanted and tier in (None, record.tier) and set(tags) <= set(record.tags)


def _sources(backend: Backend, record: MemoryRecord) -> Iterator[dict[str, Any]]:
    """Yield what a memory was made from: other memories, or messages of its session."""
    ids = record.sources[:SOURCES]
    said: dict[str, dict[str, Any]] = {}
    if record.session and ids and record.kind != MESSAGE:
        stream = Stream(record.namespace, record.session)
        entries = backend.read(stream, kinds=[MESSAGE], newest_first=True, limit=LOOKED_THROUGH)
        for entry in entries:
            message = given(entry)
            if message.id in ids:
                text = cut(message.text, CONTENT)[0]
                place = {"session": record.session, "version": entry.version}
                said[message.id] = {"id": message.id, "kind": MESSAGE, "text": text, **place}
    for id in ids:
        other = None if id in said else backend.get(record.namespace, id)
        nothing = {"id": id, "kind": None, "text": None, "session": None, "version": None}
        if other is not None:
            text = cut(other.content, CONTENT)[0]
            nothing |= {"kind": other.kind, "text": text, "session": other.session}
        yield said.get(id, nothing)


def _named(record: MemoryRecord, name: str) -> list[str]:
    """Return the ids that a memory says it replaced, or was replaced by."""
    value = own(record).get(name, ())
    return [value] if isinstance(value, str) else [str(id) for id in value]


def _got(backend: Backend, namespace: Namespace, ids: Sequence[str]) -> Iterator[MemoryRecord]:
    for id in ids[:CHAIN]:
        found = backend.get(namespace, id)
        if found is not None:
            yield found


def _history(backend: Backend, record: MemoryRecord) -> list[MemoryRecord]:
    """Return what was held one after the other, `record` among it, the oldest first."""
    known = {record.id: record}
    waiting = [record]
    while waiting and len(known) < CHAIN:
        one = waiting.pop(0)
        ids = [*_named(one, "supersedes"), *_named(one, "superseded_by")]
        fresh = [id for id in ids if id not in known]
        for other in _got(backend, record.namespace, fresh):
            known[other.id] = other
            waiting.append(other)
    return sorted(known.values(), key=lambda one: one.valid_from or one.created_at)
