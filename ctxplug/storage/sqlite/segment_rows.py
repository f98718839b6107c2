"""Rows of the archive: one for each segment, and one for each record that is in one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import apsw

from ctxplug.storage.segments import Item, Segment, packed, place_of, unpacked, without
from ctxplug.storage.sqlite.schema import bindable

STREAM = "SELECT id, version, archived, forked FROM streams WHERE namespace = ? AND session = ?"
OF_LOG = """SELECT id, data FROM segments
    WHERE stream = ? AND last >= ? AND first <= ? ORDER BY first"""
_COLUMNS = tuple(f.name for f in fields(Segment))
_INSERT = f"""INSERT INTO segments (namespace, stream, {", ".join(_COLUMNS)})
    VALUES (?, ?, {", ".join("?" for _ in _COLUMNS)})"""
_UPDATE = f"UPDATE segments SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE id = ?"


def insert(connection: apsw.Connection, number: int, stream: int | None, segment: Segment) -> int:
    """Store a segment of a stream, or of records, and return its id."""
    connection.execute(_INSERT, (number, stream, *_values(segment)))
    return connection.last_insert_rowid()


def data_of(connection: apsw.Connection, segment: int) -> bytes | None:
    """Return the compressed items of a segment, or None if it is gone."""
    found = connection.execute("SELECT data FROM segments WHERE id = ?", (segment,)).get
    return None if found is None else bytes(found)


def segment_of(connection: apsw.Connection, number: int, id: str) -> int | None:
    """Return the segment that holds the record `id`, which is no view of an entry."""
    found = connection.execute(
        "SELECT segment FROM archived WHERE namespace = ? AND id = ?", (number, bindable(id))
    ).get
    return None if found is None else int(found)


def drop(connection: apsw.Connection, number: int | None, id: str) -> int:
    """Remove the record `id` from the archive; say whether it was there."""
    if number is None:
        return 0
    if drop_own(connection, number, id):
        return 1
    session, version = place_of(id)
    found: Any = None
    if version:
        found = connection.execute(STREAM, (number, bindable(session))).fetchone()
    if found is None or version > found[2]:
        return 0
    rows: list[Any] = connection.execute(OF_LOG, (found[0], version, version)).fetchall()
    for segment, data in rows:
        items = unpacked(data)
        if any(item.version == version and item.use for item in items):
            rewrite(connection, segment, without(items, id, session))
            return 1
    return 0


def drop_own(connection: apsw.Connection, number: int, id: str) -> int:
    """Remove the record `id` from the archive, unless it is a view of an entry."""
    segment = segment_of(connection, number, id)
    if segment is None:
        return 0
    forget_place(connection, number, [id])
    rewrite(connection, segment, without(unpacked(data_of(connection, segment) or b""), id, None))
    return 1


def forget_place(connection: apsw.Connection, number: int, ids: Iterable[str]) -> None:
    """Remove what says in which segment the records `ids` are."""
    rows = [(number, bindable(id)) for id in ids]
    connection.executemany("DELETE FROM archived WHERE namespace = ? AND id = ?", rows)


def rewrite(connection: apsw.Connection, segment: int, items: Sequence[Item]) -> None:
    """Let a segment hold `items`; without any it goes."""
    if items:
        connection.execute(_UPDATE, (*_values(packed(items)), segment))
    else:
        connection.execute("DELETE FROM segments WHERE id = ?", (segment,))


def set_archived(connection: apsw.Connection, stream: int, version: int) -> None:
    """Note the version up to which a stream is archived, and that it may have changed."""
    sql = "UPDATE streams SET archived = ?, moved = moved + 1 WHERE id = ?"
    connection.execute(sql, (version, stream))


def _values(segment: Segment) -> list[Any]:
    values = {name: getattr(segment, name) for name in _COLUMNS}
    kinds = json.dumps([bindable(kind) for kind in segment.kinds], ensure_ascii=False)
    return list((values | {"kinds": kinds}).values())
