"""Archiving in the file: what moves rows into segments, and back out of them."""

from __future__ import annotations

from typing import Any

import apsw

from ctxplug import codec
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import (
    ArchiveLog,
    ArchiveRecords,
    Stream,
    Unarchive,
)
from ctxplug.storage.segments import (
    ITEMS,
    Item,
    Use,
    packed,
    unpacked,
)
from ctxplug.storage.sqlite import queries
from ctxplug.storage.sqlite.operations import (
    INSERT_ENTRY,
    Step,
    choices,
    find_namespace,
    put_back,
)
from ctxplug.storage.sqlite.schema import bindable, entry_id, from_micros, to_micros, unbound
from ctxplug.storage.sqlite.segment_rows import (
    OF_LOG,
    STREAM,
    data_of,
    drop_own,
    insert,
    segment_of,
)

_ENTRIES = """SELECT e.id, e.kind, e.pinned, e.agent, e.created_at, e.body,
    r.rowid, r.traits, r.access_count, r.last_accessed
    FROM entries e LEFT JOIN records r ON r.place = e.id WHERE e.id BETWEEN ? AND ? ORDER BY e.id"""
_RECORDS = f"""SELECT r.rowid, r.id, r.traits, r.indexed, r.place, {queries.RECORD_COLUMNS}
    FROM records r LEFT JOIN entries e ON e.id = r.entry
    WHERE r.namespace = ? AND r.entry IS NULL AND r.id IN (SELECT value FROM json_each(?))"""


def prepare(op: ArchiveLog | ArchiveRecords | Unarchive) -> Step:
    """Return the step that applies `op`."""
    if isinstance(op, ArchiveLog):
        return lambda connection: _archive_log(connection, op)
    if isinstance(op, ArchiveRecords):
        return lambda connection: _archive_records(connection, op)
    return lambda connection: _unarchive(connection, op)


def _archive_log(connection: apsw.Connection, op: ArchiveLog) -> int:
    number = find_namespace(connection, op.stream.namespace)
    found = connection.execute(STREAM, (number, bindable(op.stream.session))).fetchone()
    if number is None or found is None:
        return 0
    stream, version, archived = found
    if op.after not in (None, archived):
        return 0
    through = min(op.through, version)
    done = max(0, through - archived)
    while archived < through:  # a segment at a time, so that little is held in memory
        last = min(through, archived + ITEMS)
        span = entry_id(stream, archived + 1), entry_id(stream, last)
        rows: list[Any] = connection.execute(_ENTRIES, span).fetchall()
        insert(connection, number, stream, packed([_entry_item(row, op) for row in rows]))
        places = [(row[0],) for row in rows if row[6] is not None]
        connection.executemany("DELETE FROM words WHERE rowid = ?", places)
        connection.executemany("DELETE FROM records WHERE place = ?", places)
        connection.execute("DELETE FROM entries WHERE id BETWEEN ? AND ?", span)
        archived = last
    connection.execute("UPDATE streams SET archived = ? WHERE id = ?", (archived, stream))
    return int(done)


def _entry_item(row: Any, op: ArchiveLog) -> Item:
    id, kind, pinned, agent, created_at, body, record, traits, count, accessed = row
    version, use = id & 0xFFFFFFFF, None
    if record is not None:
        last = None if accessed is None else from_micros(accessed)
        use = Use(op.terms.get(version, ""), traits, count, last)
    agent = None if agent is None else unbound(agent)
    return Item(body, from_micros(created_at), version, unbound(kind), agent, bool(pinned), use)


def _archive_records(connection: apsw.Connection, op: ArchiveRecords) -> int:
    number = find_namespace(connection, op.namespace)
    given = {record.id: record.content for record in op.records}
    rows: list[Any] = connection.execute(_RECORDS, (number, choices(given))).fetchall()
    order = {id: place for place, id in enumerate(given)}
    chosen = []
    for rowid, _, traits, indexed, place, *columns in rows:
        record = queries.record_of(columns, op.namespace)
        if record.content == given[record.id]:
            terms = op.terms.get(record.id, "") if indexed else None
            use = Use(terms, traits, record.access_count, record.last_accessed)
            item = Item(codec.encode(record.to_dict()), record.created_at, use=use)
            chosen.append((order[record.id], record.id, rowid, place, item))
    if number is None or not chosen:
        return 0
    chosen.sort(key=lambda one: one[0])
    for start in range(0, len(chosen), ITEMS):
        run = chosen[start : start + ITEMS]
        segment = insert(connection, number, None, packed([one[4] for one in run]))
        connection.executemany(
            "INSERT INTO archived (namespace, id, segment) VALUES (?, ?, ?)",
            [(number, bindable(one[1]), segment) for one in run],
        )
    connection.executemany("DELETE FROM words WHERE rowid = ?", [(one[3],) for one in chosen])
    connection.executemany("DELETE FROM records WHERE rowid = ?", [(one[2],) for one in chosen])
    return len(chosen)


def _unarchive(connection: apsw.Connection, op: Unarchive) -> int:
    number = find_namespace(connection, op.namespace)
    if number is None:
        return 0
    if op.session is not None:
        found = connection.execute(STREAM, (number, bindable(op.session))).fetchone()
        return 0 if found is None else _unarchive_log(connection, number, op, found[0])
    if op.ids is not None:
        return sum(_unarchive_one(connection, number, op.namespace, id) for id in op.ids)
    sql = "SELECT id, data FROM segments WHERE namespace = ? AND stream IS NULL ORDER BY id"
    segments: list[Any] = connection.execute(sql, (number,)).fetchall()
    items = [item for _, data in segments for item in unpacked(data)]
    connection.execute("DELETE FROM archived WHERE namespace = ?", (number,))
    connection.execute("DELETE FROM segments WHERE namespace = ? AND stream IS NULL", (number,))
    for item in items:
        _put_back(connection, number, item, item.record(op.namespace, None))
    return len(items)


def _unarchive_log(connection: apsw.Connection, number: int, op: Unarchive, stream: int) -> int:
    key = Stream(op.namespace, op.session or "")
    segments: list[Any] = connection.execute(OF_LOG, (stream, 1, 2**32)).fetchall()
    connection.execute("DELETE FROM segments WHERE stream = ?", (stream,))
    connection.execute("UPDATE streams SET archived = 0 WHERE id = ?", (stream,))
    count = 0
    for _, data in segments:
        for item in unpacked(data):
            id = entry_id(stream, item.version)
            agent = None if item.agent is None else bindable(item.agent)
            at = to_micros(item.created_at)
            row = (id, bindable(item.kind), item.pinned, agent, at, item.body)
            connection.execute(INSERT_ENTRY, row)
            if item.use is not None:
                record = item.record(op.namespace, key.session)
                _put_back(connection, number, item, record, id)
            count += 1
    return count


def _unarchive_one(connection: apsw.Connection, number: int, space: Namespace, id: str) -> int:
    segment = segment_of(connection, number, id)
    if segment is None:
        return 0
    for item in unpacked(data_of(connection, segment) or b""):
        record = item.record(space, None)
        if record.id == id:
            drop_own(connection, number, id)
            _put_back(connection, number, item, record)
            return 1
    return 0


def _put_back(
    connection: apsw.Connection,
    number: int,
    item: Item,
    record: MemoryRecord,
    entry: int | None = None,
) -> None:
    use = item.use or Use(None)
    body = item.body if entry is None else None
    put_back(connection, number, record, use.terms, use.traits, entry, body)
