"""Erase a namespace: every row of it, and a receipt for what they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import apsw

from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage.backend import Entry, Stream
from ctxplug.storage.erasure import EraseReceipt, receipt_of
from ctxplug.storage.segments import unpacked
from ctxplug.storage.sqlite import archive, integrity, queries
from ctxplug.storage.sqlite.schema import bindable, entry_id, unbound

_OWN_RECORDS = f"""SELECT {queries.RECORD_COLUMNS} FROM records r
    LEFT JOIN entries e ON e.id = r.entry WHERE r.namespace = ? AND r.entry IS NULL"""
_OWN_SEGMENTS = "SELECT data FROM segments WHERE namespace = ? AND stream IS NULL"
_NEWEST = 2**32 - 1


def erase(connection: apsw.Connection, namespace: Namespace, number: int | None) -> EraseReceipt:
    """Delete every row of `namespace`, and return what there was.

    Until `finish`, the file keeps the receipt, and that copies of the text are in it.
    """
    before = _kept(connection, namespace)
    receipt = _erase(connection, namespace, number, before)
    data = {**receipt.to_dict(), "namespace": None}
    rows = [(_key(connection, namespace), json.dumps(data)), (integrity.UNSCRUBBED, "")]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
    return receipt


def finish(connection: apsw.Connection, namespace: Namespace, *, waited: float) -> None:
    """Leave no copy of what was deleted; outside of any transaction."""
    integrity.scrub(connection, waited=waited)
    with integrity.overwriting(connection):
        key = _key(connection, namespace)
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    with suppress(apsw.Error):  # the receipt itself tells nothing
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _key(connection: apsw.Connection, namespace: Namespace) -> str:
    """Return what a receipt is kept under, which does not tell the namespace."""
    from hashlib import blake2b  # as in storage.erasure

    store = connection.execute("SELECT value FROM meta WHERE key = 'store'").get
    name = bindable(namespace_key(namespace)).encode()
    return f"erased:{blake2b(name, digest_size=16, key=store.encode()).hexdigest()}"


def _kept(connection: apsw.Connection, namespace: Namespace) -> EraseReceipt | None:
    sql = "SELECT value FROM meta WHERE key = ?"
    data = connection.execute(sql, (_key(connection, namespace),)).get
    if data is None:
        return None
    return EraseReceipt.from_dict({**json.loads(data), "namespace": list(namespace)})


def _erase(
    connection: apsw.Connection,
    namespace: Namespace,
    number: int | None,
    before: EraseReceipt | None,
) -> EraseReceipt:
    counts = {"entries": 0, "records": 0, "vectors": 0, "archived": 0}
    if number is None:
        return receipt_of(
            namespace, _now(), marked=(), others=(), before=before, remaining=0, **counts
        )
    streams: list[Any] = connection.execute(
        "SELECT id, session, version FROM streams WHERE namespace = ?", (number,)
    ).fetchall()
    vectors, live, kept, archived = next(
        connection.execute(
            """SELECT (SELECT count(*) FROM vectors WHERE namespace = ?1),
            (SELECT count(*) FROM records WHERE namespace = ?1),
            (SELECT total(records) FROM segments WHERE namespace = ?1),
            (SELECT total(items) FROM segments WHERE namespace = ?1 AND stream IS NOT NULL)""",
            (number,),
        )
    )
    counts["entries"] = sum(version for _, _, version in streams)
    counts["records"] = int(live + kept)
    counts["vectors"], counts["archived"] = int(vectors), int(kept + archived)
    receipt = receipt_of(
        namespace,
        _now(),
        marked=_entries(connection, namespace, streams),
        others=_records(connection, namespace, number),
        before=before,
        remaining=0,
        **counts,
    )
    _delete(connection, number, [stream for stream, _, _ in streams])
    return receipt


def _entries(
    connection: apsw.Connection, namespace: Namespace, streams: list[Any]
) -> Iterator[Entry]:
    for id, session, _ in streams:
        stream = Stream(namespace, unbound(session))
        items = archive.entries(connection, id)
        yield from (item.entry(stream) for item in items)
        rows = connection.execute(
            f"SELECT {queries.ENTRY_COLUMNS} FROM entries WHERE id BETWEEN ? AND ?",
            (entry_id(id, 0), entry_id(id, _NEWEST)),
        )
        yield from (queries.entry_of(row, stream) for row in rows)


def _records(
    connection: apsw.Connection, namespace: Namespace, number: int
) -> Iterator[MemoryRecord]:
    """Yield the records that are no view of an entry, archived ones too."""
    for row in connection.execute(_OWN_RECORDS, (number,)):
        yield queries.record_of(row, namespace)
    segments: list[Any] = connection.execute(_OWN_SEGMENTS, (number,)).fetchall()
    for (data,) in segments:
        yield from (item.record(namespace, None) for item in unpacked(data))


def _delete(connection: apsw.Connection, number: int, streams: list[int]) -> None:
    connection.execute(
        "DELETE FROM words WHERE rowid IN (SELECT place FROM records WHERE namespace = ?)",
        (number,),
    )
    for stream in streams:
        span = entry_id(stream, 0), entry_id(stream, _NEWEST)
        connection.execute("DELETE FROM entries WHERE id BETWEEN ? AND ?", span)
    for table in ("records", "segments", "archived", "streams"):
        connection.execute(f"DELETE FROM {table} WHERE namespace = ?", (number,))
    connection.execute("DELETE FROM namespaces WHERE id = ?", (number,))


def _now() -> datetime:
    return datetime.now(UTC)
