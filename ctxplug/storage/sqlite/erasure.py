"""Erase a namespace, or sessions: every row of it, and a receipt for what they were."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import apsw

from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage.backend import Entry, Stream
from ctxplug.storage.erasure import EraseReceipt, receipt_of
from ctxplug.storage.matching import require_unforked
from ctxplug.storage.segments import unpacked
from ctxplug.storage.sqlite import archive, integrity, queries
from ctxplug.storage.sqlite.operations import choices, find_namespace
from ctxplug.storage.sqlite.schema import bindable, entry_id, unbound

_OWN_RECORDS = f"""SELECT {queries.RECORD_COLUMNS} FROM records r
    LEFT JOIN entries e ON e.id = r.entry WHERE r.namespace = ? AND r.entry IS NULL"""
_OWN_SEGMENTS = "SELECT data FROM segments WHERE namespace = ? AND stream IS NULL"
_STREAMS = "SELECT id, session, version, forked FROM streams WHERE namespace = ?"
_FORKS = """SELECT session FROM streams WHERE parent IN (SELECT value FROM json_each(?))
    AND id NOT IN (SELECT value FROM json_each(?))"""
_COUNTS = """SELECT (SELECT count(*) FROM vectors WHERE namespace = ?1),
    (SELECT count(*) FROM records WHERE namespace = ?1),
    (SELECT total(records) FROM segments WHERE namespace = ?1),
    (SELECT total(items) FROM segments WHERE namespace = ?1 AND stream IS NOT NULL)"""
_COUNTS_OF_STREAM = """SELECT
    (SELECT count(*) FROM records r JOIN vectors v ON v.record = r.rowid
        WHERE r.place BETWEEN ?1 AND ?2),
    (SELECT count(*) FROM records WHERE place BETWEEN ?1 AND ?2),
    (SELECT total(records) FROM segments WHERE stream = ?3),
    (SELECT total(items) FROM segments WHERE stream = ?3)"""
_REMAINING = """WITH chosen AS (SELECT id FROM streams
        WHERE namespace = ?1 AND session IN (SELECT value FROM json_each(?2)))
    SELECT count(*) + (SELECT count(*) FROM chosen c JOIN records r
        ON r.place BETWEEN c.id << 32 AND (c.id << 32) + 4294967295) FROM chosen"""
_NEWEST = 2**32 - 1


def erase(
    connection: apsw.Connection, namespace: Namespace, sessions: tuple[str, ...] = ()
) -> EraseReceipt:
    """Delete every row of `namespace`, or of its `sessions`, and return what there was.

    Until `finish`, the file keeps the receipt, and that copies of the text are in it.
    """
    key = _key(connection, namespace, sessions)
    before = _kept(connection, key, namespace)
    number = find_namespace(connection, namespace)
    erased = _erase_sessions if sessions else _erase
    receipt = erased(connection, namespace, number, sessions, before)
    data = {**receipt.to_dict(), "namespace": None, "sessions": []}
    rows = [(key, json.dumps(data)), (integrity.UNSCRUBBED, "")]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
    return receipt


def finish(
    connection: apsw.Connection,
    namespace: Namespace,
    sessions: tuple[str, ...] = (),
    *,
    waited: float,
) -> None:
    """Leave no copy of what was deleted; outside of any transaction."""
    integrity.scrub(connection, waited=waited)
    with integrity.overwriting(connection):
        key = _key(connection, namespace, sessions)
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    with suppress(apsw.Error):  # the receipt itself tells nothing
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def remaining(connection: apsw.Connection, namespace: Namespace, sessions: tuple[str, ...]) -> int:
    """Count the sessions that are there, and the records that are views of their entries."""
    number, names = find_namespace(connection, namespace), choices(sessions)
    return int(connection.execute(_REMAINING, (number, names)).get)


def _key(connection: apsw.Connection, namespace: Namespace, sessions: tuple[str, ...]) -> str:
    """Return what a receipt is kept under, which tells neither namespace nor sessions."""
    from hashlib import blake2b  # as in storage.erasure

    store = connection.execute("SELECT value FROM meta WHERE key = 'store'").get
    name = "\0".join(map(bindable, (namespace_key(namespace), *sessions))).encode()
    return f"erased:{blake2b(name, digest_size=16, key=store.encode()).hexdigest()}"


def _kept(connection: apsw.Connection, key: str, namespace: Namespace) -> EraseReceipt | None:
    data = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).get
    if data is None:
        return None
    return EraseReceipt.from_dict({**json.loads(data), "namespace": list(namespace)})


def _erase(
    connection: apsw.Connection,
    namespace: Namespace,
    number: int | None,
    sessions: tuple[str, ...],
    before: EraseReceipt | None,
) -> EraseReceipt:
    streams: list[Any] = connection.execute(_STREAMS, (number,)).fetchall()
    found: Any = connection.execute(_COUNTS, (number,)).fetchone()
    receipt = receipt_of(
        namespace,
        _now(),
        marked=_entries(connection, namespace, streams),
        others=_records(connection, namespace, number),
        before=before,
        **_counts([found]),
    )
    _delete(connection, number, [stream for stream, *_ in streams])
    return receipt


def _erase_sessions(
    connection: apsw.Connection,
    namespace: Namespace,
    number: int | None,
    sessions: tuple[str, ...],
    before: EraseReceipt | None,
) -> EraseReceipt:
    sql = f"{_STREAMS} AND session IN (SELECT value FROM json_each(?))"
    streams: list[Any] = connection.execute(sql, (number, choices(sessions))).fetchall()
    ids = json.dumps([stream for stream, *_ in streams])
    forks: list[Any] = connection.execute(_FORKS, (ids, ids)).fetchall()
    require_unforked([unbound(session) for (session,) in forks], connection.filename)
    receipt = receipt_of(
        namespace,
        _now(),
        marked=_entries(connection, namespace, streams),
        others=(),
        before=before,
        **_counts([_counts_of(connection, stream) for stream, *_ in streams]),
    )
    for stream, *_ in streams:
        _delete_stream(connection, stream)
    return replace(receipt, sessions=sessions)


def _counts(found: Iterable[Sequence[float]]) -> dict[str, int]:
    """Return the counts of a receipt, given those of vectors, records, and the archive's."""
    vectors, live, kept, archived = (int(sum(row)) for row in zip((0,) * 4, *found, strict=True))
    return {
        "records": live + kept,
        "vectors": vectors,
        "archived": kept + archived,
        "remaining": 0,
    }


def _counts_of(connection: apsw.Connection, stream: int) -> Sequence[float]:
    found: Any = connection.execute(_COUNTS_OF_STREAM, (*_span(stream), stream)).fetchone()
    return list(found)


def _entries(
    connection: apsw.Connection, namespace: Namespace, streams: list[Any]
) -> Iterator[Entry]:
    for id, session, *_ in streams:
        stream = Stream(namespace, unbound(session))
        items = archive.entries(connection, id)
        yield from (item.entry(stream) for item in items)
        rows = connection.execute(
            f"SELECT {queries.ENTRY_COLUMNS} FROM entries WHERE id BETWEEN ? AND ?",
            _span(id),
        )
        yield from (queries.entry_of(row, stream) for row in rows)


def _records(
    connection: apsw.Connection, namespace: Namespace, number: int | None
) -> Iterator[MemoryRecord]:
    """Yield the records that are no view of an entry, archived ones too."""
    for row in connection.execute(_OWN_RECORDS, (number,)):
        yield queries.record_of(row, namespace)
    segments: list[Any] = connection.execute(_OWN_SEGMENTS, (number,)).fetchall()
    for (data,) in segments:
        yield from (item.record(namespace, None) for item in unpacked(data))


def _delete(connection: apsw.Connection, number: int | None, streams: list[int]) -> None:
    connection.execute(
        "DELETE FROM words WHERE rowid IN (SELECT place FROM records WHERE namespace = ?)",
        (number,),
    )
    for stream in streams:
        connection.execute("DELETE FROM entries WHERE id BETWEEN ? AND ?", _span(stream))
    for table in ("records", "segments", "archived", "streams"):
        connection.execute(f"DELETE FROM {table} WHERE namespace = ?", (number,))
    connection.execute("DELETE FROM namespaces WHERE id = ?", (number,))


def _delete_stream(connection: apsw.Connection, stream: int) -> None:
    """Delete a stream, its entries, and the records that are views of these."""
    span = _span(stream)
    connection.execute(
        "DELETE FROM words WHERE rowid IN (SELECT place FROM records WHERE place BETWEEN ? AND ?)",
        span,
    )
    connection.execute("DELETE FROM records WHERE place BETWEEN ? AND ?", span)
    connection.execute("DELETE FROM entries WHERE id BETWEEN ? AND ?", span)
    connection.execute("DELETE FROM segments WHERE stream = ?", (stream,))
    connection.execute("DELETE FROM streams WHERE id = ?", (stream,))


def _span(stream: int) -> tuple[int, int]:
    """Return the first and the last id that an entry of a stream can have."""
    return entry_id(stream, 0), entry_id(stream, _NEWEST)


def _now() -> datetime:
    return datetime.now(UTC)
