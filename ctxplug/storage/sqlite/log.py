"""Reading a log, of which the beginning may be in the archive.

No transaction spans the steps of a read: it would keep an erasure waiting. Whether entries
went into the archive or came back meanwhile is seen afterwards, and the read begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import apsw

from ctxplug.scope import namespace_key
from ctxplug.storage.backend import Entry, Stream
from ctxplug.storage.sqlite import archive, queries
from ctxplug.storage.sqlite.operations import choices
from ctxplug.storage.sqlite.schema import bindable, entry_id

NEWEST = 2**32 - 1
# The last segment tells one archiving from another up to the same version.
_STATE = """SELECT s.id, s.archived, (SELECT g.id FROM segments g WHERE g.stream = s.id
    ORDER BY g.first DESC LIMIT 1) FROM streams s"""
_FIND = f"{_STATE} WHERE session = ? AND namespace = (SELECT id FROM namespaces WHERE key = ?)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of a stream, from which end, and how many at most."""

    after: int
    before: int | None
    limit: int | None
    newest_first: bool
    kinds: Sequence[str] | None
    pinned: bool | None

    @property
    def span(self) -> tuple[int, int]:
        """The versions between which they lie."""
        end = NEWEST if self.before is None else max(0, min(self.before, NEWEST))
        return max(0, min(self.after, NEWEST)), end


def read(connection: apsw.Connection, stream: Stream, wanted: Wanted) -> list[Entry]:
    """Return the entries of a stream that are asked for."""
    while (state := look_up(connection, stream)) is not None:
        number, archived, _ = state
        found = _read(connection, stream, number, archived, wanted)
        now = connection.execute(f"{_STATE} WHERE s.id = ?", (number,)).fetchone()
        if now == state:
            return found
    return []


def look_up(connection: apsw.Connection, stream: Stream) -> tuple[int, int, int | None] | None:
    """Return a stream's number, how many of its entries are archived, and its last segment."""
    key = bindable(stream.session), bindable(namespace_key(stream.namespace))
    rows: list[Any] = connection.execute(_FIND, key).fetchall()
    return rows[0] if rows else None


def _read(
    connection: apsw.Connection, stream: Stream, number: int, archived: int, wanted: Wanted
) -> list[Entry]:
    after, _ = wanted.span
    found: list[Entry] = []
    if after >= archived:
        found = _live(connection, stream, number, wanted, after, wanted.limit)
    elif wanted.newest_first:
        found = _live(connection, stream, number, wanted, archived, wanted.limit)
        found += _archived(connection, stream, number, wanted, _left(wanted, found))
    else:
        found = _archived(connection, stream, number, wanted, wanted.limit)
        found += _live(connection, stream, number, wanted, archived, _left(wanted, found))
    return found


def _left(wanted: Wanted, found: Sequence[Entry]) -> int | None:
    return None if wanted.limit is None else wanted.limit - len(found)


def _live(
    connection: apsw.Connection,
    stream: Stream,
    number: int,
    wanted: Wanted,
    after: int,
    limit: int | None,
) -> list[Entry]:
    sql = [f"SELECT {queries.ENTRY_COLUMNS} FROM entries WHERE id > ? AND id < ?"]
    values: list[Any] = [entry_id(number, after), entry_id(number, wanted.span[1])]
    if wanted.kinds is not None:
        sql.append("AND kind IN (SELECT value FROM json_each(?))")
        values.append(choices(wanted.kinds))
    if wanted.pinned is not None:
        sql.append("AND pinned" if wanted.pinned else "AND NOT pinned")
    sql.append("ORDER BY id DESC" if wanted.newest_first else "ORDER BY id")
    if limit is not None:
        sql.append("LIMIT ?")
        values.append(max(0, limit))
    rows = connection.execute(" ".join(sql), values).fetchall()
    return [queries.entry_of(row, stream) for row in rows]


def _archived(
    connection: apsw.Connection, stream: Stream, number: int, wanted: Wanted, limit: int | None
) -> list[Entry]:
    after, before = wanted.span
    items = archive.entries(
        connection,
        number,
        after=after,
        before=before,
        newest_first=wanted.newest_first,
        kinds=wanted.kinds,
        pinned=wanted.pinned,
    )
    return [item.entry(stream) for item in islice(items, None if limit is None else max(0, limit))]
