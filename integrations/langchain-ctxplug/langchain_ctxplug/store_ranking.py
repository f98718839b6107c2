"""Items by the words of a query: BM25, on one scale for all namespaces of a search."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from ctxplug.recall.indexing import index_form
from ctxplug.recall.query import read
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Where
from langchain_ctxplug.store_items import fields_of, value_of, words_of

K1, B = 1.2, 0.75
LOOKED_AT = 1_000  # items of each namespace


def by_words(
    backend: Backend, query: str, wheres: Sequence[tuple[Namespace, Where]], now: datetime
) -> list[tuple[float, Namespace, str]]:
    """Return score, place and id of the items with words of `query`, the best first.

    A score lies between 0 and 1: the share of the most that the query's words can give.
    """
    weights = read(query, now).terms
    if not weights:
        return []
    found: list[MemoryRecord] = []
    total, holders = 0, Counter[str]()
    for location, where in wheres:
        found += [hit.record for hit in backend.search(where, terms=list(weights), limit=LOOKED_AT)]
        counted = backend.occurrences(Where(location), list(weights), limit=0)
        total += counted.total
        holders.update(counted.counts)
    scores = _scores(found, {t: w * _rarity(holders[t], total) for t, w in weights.items()})
    ranked = zip(scores, found, strict=True)
    best = sorted(ranked, key=lambda one: (-one[0], one[1].namespace, one[1].id))
    return [(score, record.namespace, record.id) for score, record in best]


def _scores(found: Sequence[MemoryRecord], worth: Mapping[str, float]) -> list[float]:
    texts = [words_of(value_of(record), fields_of(record)) for record in found]
    counts = [Counter(index_form(text)[0].split()) for text in texts]
    lengths = [max(1, words.total()) for words in counts]
    average = sum(lengths) / max(1, len(lengths))
    most = sum(worth.values()) * (K1 + 1)
    scores = []
    for words, length in zip(counts, lengths, strict=True):
        norm = K1 * (1 - B + B * length / average)
        gained = (w * words[t] * (K1 + 1) / (words[t] + norm) for t, w in worth.items())
        scores.append(math.fsum(gained) / most)
    return scores


def _rarity(count: int, total: int) -> float:
    return math.log(1 + (max(0, total - count) + 0.5) / (count + 0.5))
