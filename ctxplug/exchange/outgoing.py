"""From a store to the lines of an export."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug import codec
from ctxplug.exchange.lines import FORMAT, WITH_FORKS, entry_data, fork_data
from ctxplug.recall.text import terms
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import Archived, Backend, Entry, SessionInfo, Stream, Where
from ctxplug.storage.backend import entry_record
from ctxplug.transcripts import EXPORT_MARK

PAGE = 250
TRACES, AUDIT = f"{RESERVED}trace:", f"{RESERVED}audit"


def export_lines(
    backend: Backend, namespaces: Sequence[Namespace], *, traces: bool = False
) -> Iterator[bytes]:
    """Yield the lines of an export of `namespaces`, each ending in a newline.

    Traces, the steps by which past windows are made again, are left out unless asked for;
    audit logs are, as they have an export that can be verified. Take it while nobody writes,
    or of a backup: what is written meanwhile may be missing.
    """
    left_out = (AUDIT,) if traces else (AUDIT, TRACES)
    infos = {namespace: backend.sessions(namespace) for namespace in namespaces}
    forks = sum(info.parent is not None for some in infos.values() for info in some)
    yield _line({EXPORT_MARK: WITH_FORKS if forks else FORMAT})
    counts = {"entries": 0, "records": 0, **({"forks": forks} if forks else {})}
    for namespace, some in infos.items():
        indexed: set[str] = set()
        for info in some:
            if info.session.startswith(left_out):
                continue
            stream = Stream(namespace, info.session)
            if info.parent is not None:
                yield _line(fork_data(stream, info))
            for entry, record in _entries(backend, stream, info):
                if record is not None:
                    indexed.add(record.id)
                counts["entries"] += 1
                yield _line(entry_data(entry, record))
        for record, searchable in _records(backend, namespace, indexed):
            counts["records"] += 1
            data = {"type": "record", "searchable": searchable, "record": record.to_dict()}
            yield _line(data)
    yield _line({"type": "end", **counts})


def _entries(
    backend: Backend, stream: Stream, info: SessionInfo
) -> Iterator[tuple[Entry, MemoryRecord | None]]:
    """Yield each own entry with the record it is found by, None if it is not searchable."""
    after, end = info.forked, info.version + 1
    while entries := backend.read(stream, after=after, before=end, limit=PAGE):
        after = entries[-1].version
        own = {e.version: entry_record(e) for e in entries if "message" in e.body}
        where = Where(stream.namespace, ids=[record.id for record in own.values()])
        found = {record.id: record for record in backend.find(where)}
        found.update((one.record.id, one.record) for one in _archived(backend, where))
        for entry in entries:
            view = own.get(entry.version)
            stored = found.get(view.id) if view else None
            own_view = stored and view and same_but_for_access(stored, view)
            yield entry, stored if own_view else None


def _records(
    backend: Backend, namespace: Namespace, indexed: set[str]
) -> Iterator[tuple[MemoryRecord, bool]]:
    """Yield the records that are no view of a log entry, and whether a search finds them.

    What is archived stands where it would stand if it were not.
    """
    archived = _archived(backend, Where(namespace))
    shelved = ((one.record, bool(one.terms)) for one in archived)
    yield from heapq.merge(
        _live(backend, namespace, indexed),
        (pair for pair in shelved if pair[0].id not in indexed),
        key=lambda pair: (pair[0].created_at, pair[0].id),
        reverse=True,
    )


def _archived(backend: Backend, where: Where) -> list[Archived]:
    return backend.archived(where) if "archive" in backend.capabilities else []


def _live(
    backend: Backend, namespace: Namespace, indexed: set[str]
) -> Iterator[tuple[MemoryRecord, bool]]:
    seen, offset = set(indexed), 0
    while page := backend.find(Where(namespace), limit=PAGE, offset=offset):
        offset += len(page)
        new = [record for record in page if record.id not in seen]
        seen.update(record.id for record in new)
        found = _searchable(backend, namespace, new)
        yield from ((record, record.id in found) for record in new)


def _searchable(
    backend: Backend, namespace: Namespace, records: Sequence[MemoryRecord]
) -> set[str]:
    """Return the ids of those that a search finds: each is asked for by its longest word."""
    words = {max(words, key=len) for record in records if (words := terms(record.content))}
    if not words:
        return set()
    where = Where(namespace, ids=[record.id for record in records])
    hits = backend.search(where, terms=sorted(words), limit=len(records))
    return {hit.record.id for hit in hits}


def same_but_for_access(one: MemoryRecord, other: MemoryRecord) -> bool:
    """Say whether two records are equal but for what recall counted on them."""
    plain = {"access_count": 0, "last_accessed": None}
    return one.evolve(**plain) == other.evolve(**plain)


def _line(data: Mapping[str, Any]) -> bytes:
    return codec.encode(data) + b"\n"
