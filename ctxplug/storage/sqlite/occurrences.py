"""Where terms occur, read from the word index, and what ranking needs of records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apsw

from ctxplug import codec
from ctxplug.storage.backend import COMMON, Glance, Occurrences, Where
from ctxplug.storage.sqlite import queries
from ctxplug.storage.sqlite.operations import choices, find_namespace, own_terms
from ctxplug.storage.sqlite.schema import from_micros, unbound

_COUNTS = "SELECT term, doc FROM vocabulary WHERE term IN (SELECT value FROM json_each(?))"
_PLACES = "SELECT words.rowid FROM words WHERE words MATCH ?"
_PLACES_OF = "SELECT r.place FROM words JOIN records r ON r.place = words.rowid WHERE words MATCH ?"
_GLANCE = """SELECT r.place, r.id, r.created_at, r.importance, r.access_count, r.last_accessed,
    iif(r.entry IS NULL, NULL, json_extract(r.metadata, '$.name')), r.traits"""


def occurrences(
    connection: apsw.Connection, where: Where, terms: Sequence[str], limit: int
) -> Occurrences:
    """Return where `terms` occur; see the law."""
    number = find_namespace(connection, where.namespace)
    if number is None:
        return Occurrences(0, {}, {})
    total = connection.execute("SELECT searchable FROM namespaces WHERE id = ?", (number,)).get
    given = {own: term for term in terms for own in own_terms(number, queries.searchable([term]))}
    rows: list[Any] = connection.execute(_COUNTS, (choices(given),)).fetchall()
    counts = sorted((count, own) for own, count in rows)
    listing = _Listing(connection, where, number)
    places = _listed(listing, counts, max(0, limit))
    return Occurrences(
        int(total),
        {given[own]: count for count, own in counts},
        {given[own]: found for own, found in places.items()},
    )


def glance(connection: apsw.Connection, where: Where, places: Sequence[int] | None) -> list[Glance]:
    """Return what ranking needs of records; see the law."""
    number = find_namespace(connection, where.namespace)
    if number is None:
        return []
    clause, values = queries.conditions(where, number)
    clause += " AND r.indexed"
    tables = "records r"
    if places is not None:  # CROSS: from the places to the records, not the other way round
        tables = "json_each(?) AS p CROSS JOIN records r ON r.place = p.value"
        values.insert(0, json.dumps(list(places)))
    rows: list[Any] = connection.execute(
        f"{_GLANCE} FROM {tables} WHERE {clause}", values
    ).fetchall()
    return [_glance(*row) for row in rows]


class _Listing:
    """Places in one namespace that match a query of the word index and a Where."""

    def __init__(self, connection: apsw.Connection, where: Where, number: int) -> None:
        self._connection = connection
        self._sql, self._values = _PLACES, list[Any]()
        # What expired or holds no more is left out by `glance`; asking for every place costs more.
        if replace(where, now=None, valid_at=None) != Where(where.namespace):
            clause, self._values = queries.conditions(where, number)
            self._sql = f"{_PLACES_OF} AND {clause}"

    def all(self, query: str) -> list[int]:
        return self._run(query, "")

    def newest(self, query: str, limit: int) -> list[int]:
        """Return at most `limit` places, other records (places below 0) before messages."""
        found = self._run(query, f"AND words.rowid < 0 ORDER BY words.rowid LIMIT {limit}")
        left = limit - len(found)
        return found + self._run(
            query, f"AND words.rowid > 0 ORDER BY words.rowid DESC LIMIT {left}"
        )

    def _run(self, query: str, tail: str) -> list[int]:
        rows: list[Any] = self._connection.execute(
            f"{self._sql} {tail}", (query, *self._values)
        ).fetchall()
        return [place for (place,) in rows]


def _listed(
    listing: _Listing, counts: Sequence[tuple[int, str]], limit: int
) -> dict[str, list[int]]:
    """Return the places of each term, the rarest whole, the rest where one of those is."""
    if counts and counts[0][0] > limit:
        return _listed_in_part(listing, [own for _, own in counts[:COMMON]], limit)
    places = {}
    rest = limit
    for number, (count, own) in enumerate(counts):
        if count > rest:
            rare = " OR ".join(queries.quoted(own) for _, own in counts[:number])
            for _, common in counts[number : number + COMMON]:
                places[common] = listing.all(f"({rare}) AND {queries.quoted(common)}")
            break
        rest -= count
        places[own] = listing.all(queries.quoted(own))
    return places


def _listed_in_part(listing: _Listing, terms: Sequence[str], limit: int) -> dict[str, list[int]]:
    """Return the newest places of the first term, and of the others beside it."""
    first, each = terms[0], limit // len(terms)
    places = {first: listing.newest(queries.quoted(first), each)}
    for own in terms[1:]:
        both = f"{queries.quoted(first)} AND {queries.quoted(own)}"
        places[own] = listing.newest(both, each)
    places[first] = list(set().union(*places.values()))
    return places


def _glance(
    place: int,
    id: str,
    created_at: int,
    importance: float,
    access_count: int,
    last_accessed: int | None,
    name: str | None,
    traits: int,
) -> Glance:
    said_by = None if name is None else codec.decode(unbound(name))
    return Glance(
        place,
        unbound(id),
        from_micros(created_at),
        importance,
        access_count,
        None if last_accessed is None else from_micros(last_accessed),
        None if said_by is None else str(said_by),
        traits,
    )
