"""Meaning: how similar records are to a query, by the vectors of an embedder.

A name pulls a query's vector to all that is about names, so the names of speakers are left
out of what is embedded. As with words, what is said beside a turn counts for it too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctxplug.recall.text import terms
from ctxplug.storage import Backend, Glance, Where

if TYPE_CHECKING:
    from ctxplug.recall.embedder import Rows

NEAREST = 150  # records found by vector alone
SEEDS = 30  # of these, whose neighbours are candidates too

_BESIDE = ((-1, 0.5), (-2, 0.35), (1, 0.35), (-3, 0.2), (2, 0.2))
_WORDS = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What asks for the vector of a text, and the name of the embedder that makes it.

    `vector_of` returns None while the embedder fails.
    """

    vector_of: Callable[[str], Rows | None]
    embedder: str | None = None


def without_names(query: str, names: Collection[str]) -> str:
    """Return `query` without the words whose terms are all among `names`, if any are left."""
    if not names:
        return query
    # Chinese is written without spaces: a name goes where its pairs of characters stand.
    unspaced = "|".join(re.escape(name) for name in names if not name.isascii())
    pairs = re.compile(f"(?=({unspaced}))") if unspaced else None

    def kept(match: re.Match[str]) -> str:
        word = match[0]
        found = terms(word)
        if found and all(term in names for term in found):
            return ""
        if pairs is None or word.isascii():
            return word
        covered = {at for m in pairs.finditer(word) for at in range(m.start(), m.end(1))}
        return "".join(c for at, c in enumerate(word) if at not in covered)

    rest = _WORDS.sub(kept, query)
    return rest if terms(rest) else query


def nearest(
    backend: Backend, where: Where, vector: Rows, embedder: str | None, glances: Sequence[Glance]
) -> tuple[list[Glance], dict[str, float]]:
    """Return `glances` with what is near to `vector`, and the similarity of each by its id.

    Those near bring their neighbours. What has no vector yet has no similarity either.
    """
    hits = backend.nearest(where, vector, embedder=embedder, limit=NEAREST)
    similar = dict(hits)
    found = {glance.id: glance for glance in glances}
    missing = [id for id in similar if id not in found]
    if missing:
        found |= {g.id: g for g in backend.glance(replace(where, ids=missing))}
    seeds = [found[id].place for id, _ in hits[:SEEDS] if id in found]
    held = {glance.place for glance in found.values()}
    beside = {place + offset for place in seeds for offset, _ in _BESIDE} - held
    if beside:
        found |= {g.id: g for g in backend.glance(where, sorted(beside))}
    rest = [id for id in found if id not in similar]
    if rest:
        of_rest = replace(where, ids=rest)
        similar |= backend.nearest(of_rest, vector, embedder=embedder, limit=len(rest))
    return list(found.values()), similar


def standardised(glances: Sequence[Glance], similar: Mapping[str, float]) -> list[float]:
    """Return the similarity of each with that of its neighbours, of mean 0 and spread 1."""
    known = [similar[glance.id] for glance in glances if glance.id in similar]
    if not known:
        return [0.0] * len(glances)
    middle = math.fsum(known) / len(known)
    own = [similar.get(glance.id, middle) - middle for glance in glances]
    at = {glance.place: value for glance, value in zip(glances, own, strict=True)}
    values = [
        value + sum(share * at.get(glance.place + offset, 0.0) for offset, share in _BESIDE)
        for glance, value in zip(glances, own, strict=True)
    ]
    middle, spread = math.fsum(values) / len(values), deviation(values) or 1.0
    return [(value - middle) / spread for value in values]


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation, 0.0 of nothing; the one of `statistics` is slow."""
    if not values:
        return 0.0
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))
