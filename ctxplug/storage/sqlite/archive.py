"""The archive in the file: segments, opened to read from them or to search in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apsw

from ctxplug.errors import CorruptStoreError, InvalidValueError
from ctxplug.storage.backend import (
    Archived,
    ArchiveState,
    Where,
)
from ctxplug.storage.matching import matches
from ctxplug.storage.segments import (
    Item,
    Use,
    holds_any,
    is_hit,
    place_of,
    unpacked,
)
from ctxplug.storage.sqlite.operations import (
    choices,
    find_namespace,
)
from ctxplug.storage.sqlite.schema import unbound
from ctxplug.storage.sqlite.segment_rows import (
    data_of,
)

_SEGMENTS = """SELECT g.id, s.session, g.words, g.first, g.last
    FROM segments g LEFT JOIN streams s ON s.id = g.stream WHERE g.namespace = ?"""
_OF_IDS = """SELECT segment FROM archived
    WHERE namespace = ? AND id IN (SELECT value FROM json_each(?))"""
MOST_PROBLEMS = 5


def entries(
    connection: apsw.Connection,
    number: int,
    *,
    after: int = 0,
    before: int = 2**32,
    newest_first: bool = False,
    kinds: Sequence[str] | None = None,
    pinned: bool | None = None,
) -> Iterator[Item]:
    """Yield the archived entries of a stream that are asked for, opening what may hold them."""
    sql = ["SELECT id FROM segments WHERE stream = ? AND last > ? AND first < ?"]
    values: list[Any] = [number, after, before]
    if kinds is not None:
        sql.append(
            "AND EXISTS (SELECT 1 FROM json_each(segments.kinds)"
            " WHERE value IN (SELECT value FROM json_each(?)))"
        )
        values.append(choices(kinds))
    if pinned is not None:
        sql.append("AND pinned > 0" if pinned else "AND pinned < items")
    sql.append("ORDER BY first DESC" if newest_first else "ORDER BY first")
    chosen: list[Any] = connection.execute(" ".join(sql), values).fetchall()
    for (segment,) in chosen:
        data = data_of(connection, segment)
        items = [] if data is None else unpacked(data)
        for item in reversed(items) if newest_first else items:
            if (
                after < item.version < before
                and (kinds is None or item.kind in kinds)
                and (pinned is None or item.pinned == pinned)
            ):
                yield item


def archived(
    connection: apsw.Connection, where: Where, terms: Sequence[str] | None
) -> Iterator[Archived]:
    """Yield archived records of `where`; see the law."""
    number = find_namespace(connection, where.namespace)
    wanted = None
    if terms is not None:
        wanted = frozenset(part for term in terms for part in term.split())
    rows: list[Any] = connection.execute(_SEGMENTS, (number,)).fetchall()
    named = None if where.ids is None else _named(connection, number, where.ids)
    for segment, session, words, first, last in rows:
        if named is not None and not named(segment, session, first, last):
            continue
        if wanted is not None and not holds_any(words, wanted):
            continue
        data = data_of(connection, segment)
        for item in [] if data is None else unpacked(data):
            if is_hit(item, wanted):
                record = item.record(where.namespace, session and unbound(session))
                use = item.use or Use(None)
                if matches(record, where):
                    yield Archived(record, use.terms, use.traits)


def _named(
    connection: apsw.Connection, number: int | None, ids: Sequence[str]
) -> Callable[[int, str | None, int, int], bool]:
    """Return what says whether a segment may hold one of the records `ids`."""
    found: list[Any] = connection.execute(_OF_IDS, (number, choices(ids))).fetchall()
    own, places = {segment for (segment,) in found}, [place_of(id) for id in ids]

    def may_hold(segment: int, session: str | None, first: int, last: int) -> bool:
        if session is None:
            return segment in own
        name = unbound(session)
        return any(name == of and first <= version <= last for of, version in places)

    return may_hold


def state(connection: apsw.Connection, number: int | None) -> ArchiveState:
    """Return how much of a namespace is archived."""
    row: Any = connection.execute(
        "SELECT total(items) FILTER (WHERE stream IS NOT NULL),"
        " total(items) FILTER (WHERE stream IS NULL), count(*), total(size),"
        " total(length(words) + length(data)) FROM segments WHERE namespace = ?",
        (number,),
    ).fetchone()
    return ArchiveState(*map(int, row))


def problems(connection: apsw.Connection) -> list[str]:
    """Open every segment; return what is wrong with those that are damaged."""
    found = []
    rows = connection.execute("SELECT id, first, items, records, data FROM segments")
    for id, first, count, records, data in rows:
        try:
            items = unpacked(data)
            versions = [item.version for item in items]
            expected = list(range(first, first + count)) if first else [0] * count
            sound = versions == expected and sum(i.use is not None for i in items) == records
            what = "holds other items than its index says"
        except (CorruptStoreError, InvalidValueError, ValueError) as exc:
            sound, what = False, str(exc)
        if not sound:
            found.append(f"segment {id} of the archive: {what}")
    return found[:MOST_PROBLEMS]
