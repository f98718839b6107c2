"""Searching as if what may not be read had never been written.

Counts, ranks and scores are made of what is left, so that nothing can be told from them
about the rest. It takes time in proportion to what is hidden, and to the memories there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ctxplug.access.rule import READ
from ctxplug.access.sight import MESSAGE, Sight
from ctxplug.records import MemoryRecord
from ctxplug.storage import Glance, Hit, Occurrences, Where
from ctxplug.storage.backend import COMMON

WHOLE_LISTS = 2**31 - 1  # a limit that no list of places reaches
AHEAD = 64  # records read beyond those asked for, as some may be hidden
LOOKED_AT = 256  # hits that are read at once
T = TypeVar("T")


def found_by(sight: Sight, where: Where, limit: int | None, offset: int) -> list[MemoryRecord]:
    """Return what `find` finds of what may be read."""
    start = max(0, offset)
    if limit is None:
        return sight.sees(sight.store.find(where))[start:]
    wanted = start + max(0, limit)
    return enough(lambda most: sight.store.find(where, limit=most), sight.sees, wanted)[start:]


def enough(
    read: Callable[[int], list[T]], kept: Callable[[list[T]], list[T]], wanted: int
) -> list[T]:
    """Return the first `wanted` of what is kept of what is read, reading on until they are."""
    size = wanted + AHEAD
    while wanted > 0:
        found = read(size)
        seen = kept(found)
        if len(seen) >= wanted or len(found) < size:
            return seen[:wanted]
        size *= 4
    return []


def occurrences(sight: Sight, where: Where, terms: Sequence[str], limit: int) -> Occurrences:
    """Return where `terms` occur among what may be read; see the law of backends."""
    hidden = _hidden_places(sight)
    everything = sight.store.occurrences(Where(where.namespace), terms, limit=WHOLE_LISTS)
    lists = _without(everything.places, hidden)
    counts = {term: len(places) for term, places in lists.items()}
    # What expired or holds no more is left out by `glance`, as with the store itself.
    if replace(where, now=None, valid_at=None) != Where(where.namespace):
        narrowed = sight.store.occurrences(where, terms, limit=WHOLE_LISTS)
        lists = {term: [] for term in lists} | _without(narrowed.places, hidden)
    total = everything.total - len(hidden)
    return Occurrences(total, counts, _listed(lists, counts, max(0, limit)))


def glance(sight: Sight, where: Where, places: Sequence[int] | None) -> list[Glance]:
    """Return what ranking needs of records that may be read."""
    found = sight.store.glance(where, places)
    seen = sight.seen_ids(one.id for one in found)
    return [one for one in found if one.id in seen]


def by_words(sight: Sight, where: Where, terms: Sequence[str], limit: int) -> list[Hit]:
    """Return the best matches for `terms`: by how rare those that they hold are."""
    wanted = list(dict.fromkeys(part for term in terms for part in term.split()))
    found = occurrences(sight, where, wanted, WHOLE_LISTS)
    scores: dict[int, float] = {}
    for term, places in found.places.items():
        count = found.counts[term]
        worth = math.log(1 + (max(0, found.total - count) + 0.5) / (count + 0.5))
        for place in places:
            scores[place] = scores.get(place, 0.0) + worth
    order = sorted(scores, key=lambda place: (-scores[place], _age(place)))
    hits: list[Hit] = []
    for start in range(0, len(order), LOOKED_AT):
        if len(hits) >= limit:
            break
        run = glance(sight, where, order[start : start + LOOKED_AT])
        records = {r.id: r for r in sight.store.find(replace(where, ids=[g.id for g in run]))}
        run.sort(key=lambda one: (-scores[one.place], _age(one.place)))
        hits += [Hit(records[one.id], scores[one.place]) for one in run if one.id in records]
    return hits[: max(0, limit)]


def _hidden_places(sight: Sight) -> set[int]:
    """Return the places of what may not be read."""
    store, namespace = sight.store, sight.namespace
    hidden: set[int] = set()
    for info in store.sessions(namespace):
        if not sight.may(READ, info.session):
            said = Where(namespace, kinds=[MESSAGE], session=info.session)
            hidden |= {one.place for one in store.glance(said)}
    memories = store.find(Where(namespace, not_kinds=[MESSAGE]))
    ids = [record.id for record in memories if not sight.may_record(READ, record)]
    if ids:
        hidden |= {one.place for one in store.glance(Where(namespace, ids=ids))}
    return hidden


def _without(lists: Mapping[str, Sequence[int]], hidden: set[int]) -> dict[str, list[int]]:
    left = {term: [p for p in places if p not in hidden] for term, places in lists.items()}
    return {term: places for term, places in left.items() if places}


def _listed(
    lists: Mapping[str, Sequence[int]], counts: Mapping[str, int], limit: int
) -> dict[str, list[int]]:
    """Return of whole lists what the law of `occurrences` lists within `limit`."""
    order = sorted(counts, key=lambda term: (counts[term], term))
    if order and counts[order[0]] > limit:
        return _in_part(lists, order[:COMMON], limit)
    places: dict[str, list[int]] = {}
    rest = limit
    for number, term in enumerate(order):
        if counts[term] > rest:
            rare = set[int]().union(*(lists[one] for one in order[:number]))
            for common in order[number : number + COMMON]:
                places[common] = [place for place in lists[common] if place in rare]
            break
        rest -= counts[term]
        places[term] = list(lists[term])
    return places


def _in_part(
    lists: Mapping[str, Sequence[int]], terms: list[str], limit: int
) -> dict[str, list[int]]:
    """Return the newer places of the first term, and of the others beside it."""
    each = limit // len(terms)
    first = terms[0]
    own = set(lists[first])
    places = {first: _newest(own, each)}
    for term in terms[1:]:
        places[term] = _newest(own.intersection(lists[term]), each)
    places[first] = sorted(set[int]().union(*places.values()))
    return places


def _newest(places: Iterable[int], count: int) -> list[int]:
    return sorted(places, key=_age)[:count]


def _age(place: int) -> tuple[bool, int]:
    """Order places from the newest: those of memories, below 0, and then those of messages."""
    return place > 0, place if place < 0 else -place
