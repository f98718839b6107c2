"""Ranking: the records of a namespace that a query is about, best first.

Candidates are records that hold a term of the query, their neighbours in the session, and,
with an embedder, those nearest to its vector. Their score is a sum of named parts; see
RecallWeights for what they are.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

from ctxplug.errors import InvalidValueError
from ctxplug.recall.indexing import NAME_MARK, name_terms
from ctxplug.recall.meaning import Meaning, deviation, nearest, standardised, without_names
from ctxplug.recall.nearness import Nearness
from ctxplug.recall.periods import bounds
from ctxplug.recall.query import READ, Query, read
from ctxplug.recall.recalled import Recalled
from ctxplug.recall.traits import Traits
from ctxplug.recall.weights import RecallWeights
from ctxplug.storage import Backend, Glance, Where

MAX_K = 10_000
LISTED = 2_000  # places of terms that are read for one query
SMALL = 200  # records, below which words are worth what they are among so many
SEEDS = 100  # places with the worthiest words, whose neighbours are candidates too
FEW = 50  # places of words, with which those of names are looked at too
LOOKED_AT = 200  # candidates that are scored in full
LOOKED_THROUGH = 2_000  # records that are all scored in full where a ranking is to be complete
SPREAD = 2.1  # the standard deviation that the text's parts of candidates usually have
ACCESSES = 100  # as many have the whole weight of `access`

_CONTENT = (
    (Traits.TIME, 0.4),
    (Traits.NAME, 0.5),
    (Traits.TITLE, 0.45),
    (Traits.FIRST_PERSON, 0.4),
    (Traits.ENDS_ASKING, -0.5),
    (Traits.GREETING, -0.15),
)
Parts: TypeAlias = dict[str, float]
DEFAULT = RecallWeights()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query as it is for one namespace: where its words are, and whose names it holds.

    `rest` is its text without those names.
    """

    query: Query
    near: Nearness
    total: int
    rest: str
    names: frozenset[str]
    mentions: frozenset[int]
    now: datetime


def recall(
    backend: Backend,
    query: str,
    where: Where,
    k: int = 10,
    *,
    weights: RecallWeights = DEFAULT,
    meaning: Meaning | None = None,
    complete: bool = False,
    without: Collection[str] = frozenset(),
) -> list[Recalled]:
    """Return the `k` best records of `where` for `query`, best first.

    With `meaning`, what is similar by vector is found too; `where.now` is what "last week"
    is relative to. Of equals the newer comes first. With `complete`, records that have
    nothing to do with `query` follow those that have, if there are few enough to look at
    all. The ids of `without` are left out, and not read. Raises InvalidValueError if `query`
    is not text.
    """
    if not isinstance(query, str):
        raise InvalidValueError(f"A query is text, not {query!r:.60}.", path="query")
    if k <= 0:
        return []
    among = min(k + len(without), MAX_K)
    now = where.now or datetime.now(UTC)
    asked = _ask(backend, where, query, among, now)
    limit = max(LOOKED_AT, 3 * among)
    if complete and asked.total <= max(limit, LOOKED_THROUGH):
        glances = backend.glance(where)
    else:
        glances = _candidates(backend, where, asked, limit)
    similar: Mapping[str, float] = {}
    vector = meaning.vector_of(asked.rest) if meaning and weights.semantic else None
    if meaning and vector is not None:
        glances, similar = nearest(backend, where, vector, meaning.embedder, glances)
    scored = [s for s in _scored(glances, asked, weights, similar) if s[1].id not in without]
    best = heapq.nsmallest(min(k, MAX_K), scored, key=_best_first)
    records = {r.id: r for r in backend.find(replace(where, ids=[g.id for _, g, _ in best]))}
    return [Recalled(records[g.id], score, why) for score, g, why in best if g.id in records]


def _best_first(scored: tuple[float, Glance, Parts]) -> tuple[float, float, str]:
    score, glance, _ = scored
    return -score, -glance.created_at.timestamp(), glance.id


def _ask(backend: Backend, where: Where, text: str, k: int, now: datetime) -> _Asked:
    """Look up where the terms of a query are; names are words too if the others give too few."""
    query = read(text, now)
    marked = query.names
    found = backend.occurrences(where, [*query.terms, *marked], limit=LISTED)
    names = {marked[term] for term in found.counts if term in marked}
    names |= query.speakers & found.counts.keys()
    words = [t for t in found.places if not t.startswith(NAME_MARK) and t not in names]
    mentions = frozenset(p for name in names for p in found.places.get(name, ()))
    if sum(len(found.places[term]) for term in words) < max(k, FEW):
        words += [term for term in found.places if term in names]
    total = found.total
    values = [query.terms[t] * _rarity(found.counts[t], total) for t in words]
    return _Asked(
        query,
        Nearness(values, [found.places[t] for t in words]),
        total,
        without_names(text[-READ:], names),
        frozenset(f"{NAME_MARK}{name}" for name in names),
        mentions,
        now,
    )


def _rarity(count: int, total: int) -> float:
    """Return the worth of a word that `count` of `total` records hold (BM25's idf).

    Among few records no word is rare, and what else speaks for a record would outweigh what
    was asked for: there a word of one record is worth what it is among `SMALL`.
    """
    worth = _idf(count, total)
    return worth if total >= SMALL else worth * _idf(1, SMALL) / _idf(1, total)


def _idf(count: int, total: int) -> float:
    return math.log(1 + (max(0, total - count) + 0.5) / (count + 0.5))


def _candidates(backend: Backend, where: Where, asked: _Asked, limit: int) -> list[Glance]:
    near = asked.near
    if not near.held:
        return _of_those_times(backend, where, asked.query, limit)
    places = near.around(near.best(max(SEEDS, limit // 4)), 2 * limit)
    return backend.glance(where, heapq.nlargest(limit, places, key=near.words))


def _of_those_times(backend: Backend, where: Where, query: Query, limit: int) -> list[Glance]:
    """Return records of the times the query names, where it has no other words."""
    ids: list[str] = []
    for span in filter(None, map(bounds, query.periods)):
        since = max(span[0], where.since or span[0])
        until = min(span[1], where.until or span[1])
        found = backend.find(replace(where, since=since, until=until), limit=limit)
        ids += [record.id for record in found]
    return backend.glance(replace(where, ids=ids)) if ids else []


def _scored(
    glances: Sequence[Glance],
    asked: _Asked,
    weights: RecallWeights,
    similar: Mapping[str, float],
) -> list[tuple[float, Glance, Parts]]:
    asks, silent = int(Traits.ASKS), int(Traits.SILENT)  # not the flags: those are slow
    glances = [g for g in glances if not g.traits & silent]
    asking = {g.place for g in glances if g.traits & asks}
    texts = [_text_parts(glance, asked, weights, asking) for glance in glances]
    scale, meanings = _fused(glances, texts, weights, similar, known=bool(asked.near.held))
    scored = []
    for glance, parts, semantic in zip(glances, texts, meanings, strict=True):
        why = {name: value * scale for name, value in parts.items() if value * scale}
        if semantic:
            why["semantic"] = semantic
        why.update(_record_parts(glance, weights, asked.now))
        scored.append((math.fsum(why.values()), glance, why))
    return scored


def _fused(
    glances: Sequence[Glance],
    texts: Sequence[Parts],
    weights: RecallWeights,
    similar: Mapping[str, float],
    *,
    known: bool,
) -> tuple[float, list[float]]:
    """Return by what the parts of the text are scaled, and each candidate's part of meaning.

    Meaning is brought to the spread that the parts of the text mostly have, and both are
    weighted so that a score is as large as without an embedder. Where no word of the query
    is `known`, meaning counts whole.
    """
    if not similar:
        return 1.0, [0.0] * len(glances)
    whole = weights.keyword + weights.semantic
    # Less than the usual spread means that words tell little here, and meaning must.
    spread = max(SPREAD, deviation([sum(parts.values()) for parts in texts]) / 2)
    unit = spread * (weights.semantic / whole if known else 1.0)
    return weights.keyword / whole, [unit * one for one in standardised(glances, similar)]


def _text_parts(glance: Glance, asked: _Asked, weights: RecallWeights, asking: set[int]) -> Parts:
    near, place, found = asked.near, glance.place, glance.traits
    before = near.own(place - 1) if place - 1 in asking else 0.0
    of_time = 0.0
    if asked.query.periods:
        of_time = max(period.share(glance.created_at) for period in asked.query.periods)
    return {
        "words": weights.words * near.words(place),
        "topic": weights.topic * near.topic(place),
        "answers": weights.answers * before,
        "speaker": weights.speaker * _about(glance, asked),
        "date": weights.date * of_time,
        "content": weights.content * _worth(found, _CONTENT),
        "fits": weights.fits * _worth(found, asked.query.fits),
    }


@lru_cache(4096)
def _worth(traits: int, worths: tuple[tuple[Traits, float], ...]) -> float:
    return sum(worth for trait, worth in worths if traits & trait)


def _about(glance: Glance, asked: _Asked) -> bool:
    """Say whether a person the query names said this, or, where nobody did, stands in it."""
    if not asked.names:
        return False
    if glance.name is None:
        return glance.place in asked.mentions
    return not asked.names.isdisjoint(name_terms(glance.name))


def _record_parts(glance: Glance, weights: RecallWeights, now: datetime) -> Parts:
    used = max(glance.created_at, glance.last_accessed or glance.created_at)
    days = max(0.0, (now - used).total_seconds() / 86_400)
    accessed = math.log1p(min(glance.access_count, ACCESSES)) / math.log1p(ACCESSES)
    parts = {
        "importance": weights.importance * (glance.importance - 0.5),
        "recency": weights.recency * 0.5 ** (days / weights.half_life),
        "access": weights.access * accessed,
    }
    return {name: value for name, value in parts.items() if value}
