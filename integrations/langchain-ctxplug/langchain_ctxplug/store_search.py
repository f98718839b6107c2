"""Reading from a store: one item, a search, the namespaces.

A search gives what its filter lets through. With a query, what is ranked comes first, the best
first: by its nearest vector where the store has embeddings, by its words otherwise. What is not
ranked follows without a score, the last put first, which is also the order without a query.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from langgraph.store.base import Item, ListNamespacesOp, SearchItem, SearchOp

from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Where
from langchain_ctxplug import store_filters
from langchain_ctxplug.store_items import (
    ITEM,
    TEXT,
    item_id,
    item_of,
    key_of,
    path_of,
    search_item_of,
    ttl_of,
    value_of,
)
from langchain_ctxplug.store_paths import Paths
from langchain_ctxplug.store_ranking import by_words

if TYPE_CHECKING:
    from langchain_ctxplug.store_vectors import Row

LEAST_PAGE = 64
RANKED_AT_ONCE = 200
ENDLESS = 1 << 31  # more than there are

Ranked = Sequence[tuple[float, Namespace, str]]


@dataclass
class Reading:
    """The reads of one batch at the time `now`; `used` collects what lives on by being read.

    `rows` are the vectors of the batch's queries, made by `embedder`.
    """

    backend: Backend
    paths: Paths
    now: datetime
    rows: Mapping[str, Row] = field(default_factory=dict)
    embedder: str | None = None
    used: list[MemoryRecord] = field(default_factory=list)

    def get(self, path: tuple[str, ...], key: str, *, refresh: bool) -> Item | None:
        """Return one item, or None."""
        record = self.backend.get(self.paths.location(path), item_id(key))
        if record is None or (record.expires_at is not None and record.expires_at <= self.now):
            return None
        self._note([record], refresh)
        return item_of(record)

    def search(self, op: SearchOp) -> list[SearchItem]:
        """Return the items that `op` asks for."""
        if not op.limit:
            return []
        locations = [location for location, _ in self._below(op.namespace_prefix)]
        wanted = min(op.offset + op.limit, ENDLESS)
        ranked = self._ranked(op, locations, wanted) if op.query and locations else []
        places = {(location, id) for _, location, id in ranked}
        rest = (
            (None, record)
            for record in self._newest(locations, ENDLESS if op.filter else wanted + len(places))
            if (record.namespace, record.id) not in places
        )
        chosen = (
            (score, record)
            for part in (self._records(ranked), rest)
            for score, record in part
            if not op.filter or store_filters.matches(value_of(record), op.filter)
        )
        found = list(islice(chosen, min(op.offset, ENDLESS), wanted))
        self._note([record for _, record in found], op.refresh_ttl)
        return [search_item_of(record, score) for score, record in found]

    def namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        """Return the namespaces that hold items and meet the conditions, sorted."""
        conditions = op.match_conditions or ()
        prefix: tuple[str, ...] = ()
        for condition in conditions:  # what begins like this, up to a wildcard, need be looked at
            if condition.match_type == "prefix":
                path = tuple(condition.path)
                prefix = max(prefix, path[: path.index("*")] if "*" in path else path, key=len)
        kept = sorted(
            (path, location)
            for location, path in self._below(prefix)
            if all(_fits(path, c.match_type, tuple(c.path)) for c in conditions)
        )
        end = min(op.offset + op.limit, ENDLESS)
        return list(islice(self._distinct(kept, op.max_depth), min(op.offset, ENDLESS), end))

    def _distinct(
        self, kept: Sequence[tuple[tuple[str, ...], Namespace]], depth: int | None
    ) -> Iterator[tuple[str, ...]]:
        last: tuple[str, ...] | None = None
        for path, location in kept:
            short = path[:depth]
            if short != last and self._any_item(location) is not None:
                last = short
                yield short

    def _below(self, prefix: tuple[str, ...]) -> Iterator[tuple[Namespace, tuple[str, ...]]]:
        """Yield where `prefix` and what lies below it are, and their names."""
        for location in self.backend.namespaces(self.paths.above(prefix)):
            path = self.paths.path(location)
            if path is None:
                record = self._any_item(location)
                if record is None:
                    continue
                path = path_of(record)
            if path[: len(prefix)] == prefix:
                yield location, path

    def _any_item(self, location: Namespace) -> MemoryRecord | None:
        found = self.backend.find(Where(location, kinds=[ITEM], now=self.now), limit=1)
        return found[0] if found else None

    # -- in order ----------------------------------------------------------------------

    def _newest(self, locations: Sequence[Namespace], wanted: int) -> Iterator[MemoryRecord]:
        """Yield all items, the last put first; `wanted` is how many may be needed."""
        if len(locations) == 1:
            yield from self._pages(locations[0], wanted)
            return
        yield from heapq.merge(
            *(self._pages(location, wanted) for location in locations),
            key=lambda record: (record.created_at, record.namespace, record.id),
            reverse=True,
        )

    def _pages(self, location: Namespace, wanted: int) -> Iterator[MemoryRecord]:
        where = Where(location, kinds=[ITEM], now=self.now)
        size = min(max(LEAST_PAGE, wanted), 1024)
        offset = 0
        while page := self.backend.find(where, limit=size, offset=offset):
            yield from page
            if len(page) < size:
                return
            offset += size

    def _records(self, ranked: Ranked) -> Iterator[tuple[float | None, MemoryRecord]]:
        for start in range(0, len(ranked), RANKED_AT_ONCE):
            part = ranked[start : start + RANKED_AT_ONCE]
            ids: dict[Namespace, list[str]] = {}
            for _, location, id in part:
                ids.setdefault(location, []).append(id)
            records = {
                (location, record.id): record
                for location, wanted in ids.items()
                for record in self.backend.find(Where(location, ids=wanted, now=self.now))
            }
            for score, location, id in part:
                if (location, id) in records:
                    yield score, records[location, id]

    # -- ranked ------------------------------------------------------------------------

    def _ranked(self, op: SearchOp, locations: Sequence[Namespace], wanted: int) -> Ranked:
        query = op.query or ""
        if query in self.rows:
            found = self._by_vector(self.rows[query], locations, None if op.filter else wanted)
            if found:
                return found
        if "keyword" not in self.backend.capabilities:
            return []
        return by_words(self.backend, query, self._wheres(locations), self.now)

    def _wheres(self, locations: Sequence[Namespace]) -> list[tuple[Namespace, Where]]:
        return [(place, Where(place, kinds=[ITEM], now=self.now)) for place in locations]

    def _by_vector(
        self, row: Row, locations: Sequence[Namespace], wanted: int | None
    ) -> list[tuple[float, Namespace, str]]:
        """Return items by the nearest of their vectors; at least `wanted`, None: all."""
        best: dict[tuple[Namespace, str], float] = {}
        for location in locations:
            for id, score in self._near(row, location, wanted):
                place = (location, item_id(key_of(id)))
                best[place] = max(score, best.get(place, score))
        found = [(score, *place) for place, score in best.items()]
        return sorted(found, key=lambda one: (-one[0], one[1:]))

    def _near(
        self, row: Row, location: Namespace, wanted: int | None
    ) -> Sequence[tuple[str, float]]:
        where = Where(location, kinds=[ITEM, TEXT], now=self.now)
        limit = min(2 * wanted + LEAST_PAGE, ENDLESS) if wanted else ENDLESS
        while True:
            hits = self.backend.nearest(where, row, embedder=self.embedder, limit=limit)
            items = {key_of(id) for id, _ in hits}
            if len(hits) < limit or (wanted and len(items) >= wanted):
                return hits
            limit *= 4

    def _note(self, records: Sequence[MemoryRecord], refresh: bool) -> None:
        if refresh:
            self.used += [record for record in records if ttl_of(record) is not None]


def _fits(path: tuple[str, ...], match_type: str, pattern: tuple[str, ...]) -> bool:
    if len(path) < len(pattern):
        return False
    part = path[: len(pattern)] if match_type == "prefix" else path[len(path) - len(pattern) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, pattern, strict=True))
