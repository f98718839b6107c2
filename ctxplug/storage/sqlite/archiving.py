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
    Step,
    choices,
    find_namespace,
    insert_entry,
    put_back,
)
from ctxplug.storage.sqlite.schema import bindable, entry_id, from_micros, to_micros, unbound
from ctxplug.storage.sqlite.segment_rows import (
    OF_LOG,
    STREAM,
    data_of,
    forget_place,
    insert,
    rewrite,
    segment_of,
    set_archived,
)

_ENTRIES = """SELECT e.id, e.kind, e.pinned, e.agent, e.created_at, e.body,
    e.crc, r.rowid, r.traits, r.access_count, r.last_accessed
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
    stream, version, archived, forked = found
    if op.after not in (None, archived if archived > forked else 0):
        return 0
    through = min(op.through, version)
    done = max(0, through - archived)
    while archived < through:  # a segment at a time, so that little is held in memory
        last = min(through, archived + ITEMS)
        span = entry_id(stream, archived + 1), entry_id(stream, last)
        rows: list[Any] = connection.execute(_ENTRIES, span).fetchall()
        insert(connection, number, stream, packed([_entry_item(row, op) for row in rows]))
        places = [(row[0],) for row in rows if row[7] is not None]
        connection.executemany("DELETE FROM words WHERE rowid = ?", places)
        connection.executemany("DELETE FROM records WHERE place = ?", places)
        connection.execute("DELETE FROM entries WHERE id BETWEEN ? AND ?", span)
        archived = last
    set_archived(connection, stream, archived)
    return int(done)


def _entry_item(row: Any, op: ArchiveLog) -> Item:
    id, kind, pinned, agent, created_at, body, crc, record, traits, count, accessed = row
    queries.require_sound(crc, body, id, kind, pinned, agent, created_at)
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
        return 0 if found is None else _unarchive_log(connection, number, op, found)
    if op.ids is None:
        whole = _newest(connection, number, op.most)
        return sum(_unshelve(connection, number, op.namespace, one, None) for one in whole)
    wanted: dict[int, set[str]] = {}  # by segment, so that each is rewritten once
    for id in op.ids:
        segment = segment_of(connection, number, id)
        if segment is not None:
            wanted.setdefault(segment, set()).add(id)
    return sum(_unshelve(connection, number, op.namespace, *one) for one in wanted.items())


def _newest(connection: apsw.Connection, number: int, most: int | None) -> list[int]:
    """Return the newest segments of records with about `most` of them, oldest first."""
    sql = """SELECT id, items FROM segments
        WHERE namespace = ? AND stream IS NULL ORDER BY id DESC"""
    chosen, count = list[int](), 0
    rows: list[Any] = connection.execute(sql, (number,)).fetchall()
    for segment, items in rows:
        if most is not None and count >= most:
            break
        chosen.append(segment)
        count += items
    return chosen[::-1]


def _unshelve(
    connection: apsw.Connection, number: int, space: Namespace, segment: int, ids: set[str] | None
) -> int:
    """Bring back the records of a segment, or those of `ids` among them."""
    items = unpacked(data_of(connection, segment) or b"")
    pairs = [(item, item.record(space, None)) for item in items]
    back = [pair for pair in pairs if ids is None or pair[1].id in ids]
    kept = [item for item, record in pairs if ids is not None and record.id not in ids]
    rewrite(connection, segment, kept)
    forget_place(connection, number, (record.id for _, record in back))
    for item, record in back:
        _put_back(connection, number, item, record)
    return len(back)


def _unarchive_log(
    connection: apsw.Connection, number: int, op: Unarchive, found: tuple[int, int, int, int]
) -> int:
    stream, _, archived, forked = found
    cut = forked if op.most is None else max(forked, archived - max(0, op.most))
    segments: list[Any] = connection.execute(OF_LOG, (stream, cut + 1, archived)).fetchall()
    connection.execute("DELETE FROM segments WHERE stream = ? AND last > ?", (stream, cut))
    set_archived(connection, stream, cut)
    for _, data in segments:
        items = unpacked(data)
        kept = [item for item in items if item.version <= cut]
        if kept:
            insert(connection, number, stream, packed(kept))
        for item in items[len(kept) :]:
            _entry_back(connection, number, stream, item, Stream(op.namespace, op.session or ""))
    return int(archived - cut)


def _entry_back(
    connection: apsw.Connection, number: int, stream: int, item: Item, key: Stream
) -> None:
    id = entry_id(stream, item.version)
    agent = None if item.agent is None else bindable(item.agent)
    at = to_micros(item.created_at)
    insert_entry(connection, id, bindable(item.kind), item.pinned, agent, at, item.body)
    if item.use is not None:
        _put_back(connection, number, item, item.record(key.namespace, key.session), id)


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
