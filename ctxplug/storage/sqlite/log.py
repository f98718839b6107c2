"""Reading a log, of which the beginning may be in the archive, or that of another session.

No transaction spans the steps of a read: it would keep an erasure waiting. Whether entries
went into the archive or came back meanwhile is seen afterwards, and the read begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

import apsw

from ctxplug.errors import CorruptStoreError
from ctxplug.scope import namespace_key
from ctxplug.storage.backend import Entry, Stream
from ctxplug.storage.sqlite import archive, queries
from ctxplug.storage.sqlite.operations import choices
from ctxplug.storage.sqlite.schema import bindable, entry_id

NEWEST = 2**32 - 1
# Number, version up to which it is archived, how often that changed (it may be as before),
# version up to which it is its parent's, and the parent.
_State: TypeAlias = tuple[int, int, int, int, int | None]
_STATE = "SELECT id, archived, moved, forked, parent FROM streams"
_AGAIN = f"{_STATE} WHERE id = ?"
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
    while (own := look_up(connection, stream)) is not None:
        past: list[_State] = []
        if not own[3] or wanted.after >= own[3]:
            found = _read(connection, stream, own, wanted)
        else:
            past, found = _read_past(connection, stream, own, wanted)
        if _again(connection, own[0]) == own and all(
            _again(connection, state[0]) == state for state in past
        ):
            return found
    return []


def look_up(connection: apsw.Connection, stream: Stream) -> _State | None:
    """Return what is known of a stream, None if there is none."""
    key = bindable(stream.session), bindable(namespace_key(stream.namespace))
    return _first(connection.execute(_FIND, key))


def _again(connection: apsw.Connection, number: int) -> _State | None:
    return _first(connection.execute(_AGAIN, (number,)))


def _first(cursor: apsw.Cursor) -> _State | None:
    rows: list[Any] = cursor.fetchall()
    state: _State | None = rows[0] if rows else None
    return state


def _read_past(
    connection: apsw.Connection, stream: Stream, own: _State, wanted: Wanted
) -> tuple[list[_State], list[Entry]]:
    """Return the entries of a fork, and the states of the other streams that hold them."""
    after, before = wanted.span
    parts = _parts(connection, own, after, before)
    states, found = list[_State](), list[Entry]()
    for state, end in parts if wanted.newest_first else reversed(list(parts)):
        if state is not own:
            states.append(state)
        left = _left(wanted, found)
        part = replace(wanted, after=max(after, state[3]), before=end, limit=left)
        found += _read(connection, stream, state, part)
        if wanted.limit is not None and len(found) >= wanted.limit:
            break
    return states, found


def _parts(
    connection: apsw.Connection, own: _State, after: int, end: int
) -> Iterator[tuple[_State, int]]:
    """Yield the streams to read, newest first, each with the version before which to do so."""
    state: _State | None = own
    while state is not None:
        number, _, _, forked, parent = state
        if forked < end - 1:
            yield state, end
        if parent is None or forked <= after:
            return
        end = min(end, forked + 1)
        younger, state = state, _again(connection, parent)
        if state is None and _again(connection, number) == younger:
            raise CorruptStoreError(
                "The store is damaged: a session of which another is a fork is missing. Restore"
                " a backup."
            )


def _read(
    connection: apsw.Connection, stream: Stream, state: _State, wanted: Wanted
) -> list[Entry]:
    """Return entries that a stream holds itself."""
    number, archived = state[:2]
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
