"""The archive in the file: segments, opened to read from them or to search in them."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import apsw

from ctxplug.errors import CtxplugError
from ctxplug.storage.backend import (
    Archived,
    ArchiveState,
    Where,
)
from ctxplug.storage.matching import matches
from ctxplug.storage.segments import (
    Item,
    Segment,
    Use,
    holds_any,
    is_hit,
    packed,
    place_of,
    unpacked,
    words_in,
)
from ctxplug.storage.sqlite.operations import (
    choices,
    find_namespace,
)
from ctxplug.storage.sqlite.schema import bindable, unbound
from ctxplug.storage.sqlite.segment_rows import (
    data_of,
)

_SEGMENTS = """SELECT g.id, s.session FROM segments g LEFT JOIN streams s ON s.id = g.stream
    WHERE g.namespace = ?"""
_OF_IDS = """SELECT DISTINCT segment FROM archived
    WHERE namespace = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY segment"""
_OF_VERSIONS = """SELECT g.id, g.first, g.last FROM segments g
    WHERE g.stream = (SELECT id FROM streams WHERE namespace = ? AND session = ?)
    AND g.last >= ? AND g.first <= ? ORDER BY g.first"""
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
) -> list[Archived]:
    """Return archived records of `where`; see the law.

    As in `log`, no transaction spans the steps: where a segment has gone, it begins anew.
    """
    wanted = None
    if terms is not None:
        wanted = frozenset(part for term in terms for part in term.split())
    number = find_namespace(connection, where.namespace)
    while number is not None:
        with suppress(_Gone):
            return list(_archived(connection, number, where, wanted))
    return []


class _Gone(Exception):
    """A segment that was listed is no more."""


def _archived(
    connection: apsw.Connection, number: int, where: Where, wanted: frozenset[str] | None
) -> Iterator[Archived]:
    rest, ids = where, None
    if where.ids is not None:
        rest, ids = replace(where, ids=None), frozenset(where.ids)
    for segment, session in _chosen(connection, number, where):
        if wanted is not None and not holds_any(_part(connection, segment, "words"), wanted):
            continue
        for item in unpacked(_part(connection, segment, "data")):
            if not is_hit(item, wanted):
                continue
            if session is not None and ids is not None and f"{session}@{item.version}" not in ids:
                continue
            record = item.record(where.namespace, session)
            if (ids is None or record.id in ids) and matches(record, rest):
                use = item.use or Use(None)
                yield Archived(record, use.terms, use.traits)


def _part(connection: apsw.Connection, segment: int, column: str) -> bytes:
    found = connection.execute(f"SELECT {column} FROM segments WHERE id = ?", (segment,)).get
    if found is None:
        raise _Gone
    return bytes(found)


def _chosen(
    connection: apsw.Connection, number: int, where: Where
) -> Iterator[tuple[int, str | None]]:
    """Yield the segments that may hold records of `where`, and the session that each is of."""
    if where.ids is not None:
        yield from _holding(connection, number, where.ids)
        return
    sql, values = [_SEGMENTS], list[Any]([number])
    if where.session is not None:
        sql.append("AND (g.stream IS NULL OR s.session = ?)")
        values.append(bindable(where.session))
    for kinds, choice in ((where.kinds, "IN"), (where.not_kinds or None, "NOT IN")):
        if kinds is not None:  # a view's kind is its entry's
            among = f"value {choice} (SELECT value FROM json_each(?))"
            held = f"EXISTS (SELECT 1 FROM json_each(g.kinds) WHERE {among})"
            sql.append(f"AND (g.stream IS NULL OR {held})")
            values.append(choices(kinds))
    rows: list[Any] = connection.execute(f"{' '.join(sql)} ORDER BY g.id", values).fetchall()
    yield from ((id, None if session is None else unbound(session)) for id, session in rows)


def _holding(
    connection: apsw.Connection, number: int, ids: Sequence[str]
) -> Iterator[tuple[int, str | None]]:
    """Yield the segments that may hold one of the records `ids`."""
    own: list[Any] = connection.execute(_OF_IDS, (number, choices(ids))).fetchall()
    yield from ((segment, None) for (segment,) in own)
    versions: dict[str, list[int]] = {}
    for session, version in map(place_of, ids):
        if version:
            versions.setdefault(session, []).append(version)
    for session, some in versions.items():
        some.sort()
        values = (number, bindable(session), some[0], some[-1])
        rows: list[Any] = connection.execute(_OF_VERSIONS, values).fetchall()
        for segment, first, last in rows:
            place = bisect_left(some, first)
            if place < len(some) and some[place] <= last:
                yield segment, session


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
    columns = ", ".join(f"g.{f.name}" for f in fields(Segment))
    rows = connection.execute(
        f"SELECT g.id, g.namespace, n.key, s.session, {columns} FROM segments g"
        " LEFT JOIN streams s ON s.id = g.stream LEFT JOIN namespaces n ON n.id = g.namespace"
    )
    for id, number, key, session, *values in rows:
        try:
            stored = _segment(values)
            items = unpacked(stored.data)
            sound = bool(items) and _same(stored, packed(items))
            if session is None and sound:
                space = tuple(unbound(key or "").split("/"))
                sound = _ids(connection, id, number) == {
                    item.record(space, None).id for item in items
                }
            what = "holds other items than its index says"
        except (CtxplugError, ValueError, TypeError, KeyError) as exc:
            sound, what = False, str(exc)
        if not sound:
            found.append(f"segment {id} of the archive: {what}")
    return found[:MOST_PROBLEMS]


def _segment(values: list[Any]) -> Segment:
    given = dict(zip((f.name for f in fields(Segment)), values, strict=True))
    given["kinds"] = tuple(unbound(kind) for kind in json.loads(given["kinds"]))
    return Segment(**given)


def _same(stored: Segment, made: Segment) -> bool:
    """Say whether two segments are equal but for how they were compressed."""
    words = words_in(stored.words) == words_in(made.words)
    return words and replace(stored, words=b"", data=b"") == replace(made, words=b"", data=b"")


def _ids(connection: apsw.Connection, segment: int, number: int) -> set[str]:
    sql = "SELECT id FROM archived WHERE segment = ? AND namespace = ?"
    return {unbound(id) for (id,) in connection.execute(sql, (segment, number))}
