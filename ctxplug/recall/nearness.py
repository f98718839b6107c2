"""Nearness: the rarity of a query's words at a place and in the talk around it.

A turn that answers often lacks the words of the question: the turn before has them.
Places are ints, neighbours in a session differ by 1 (see `ctxplug.storage.Backend`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

# How much a word counts that stands in a neighbour, by distance; the turn itself comes first.
_BESIDE = ((-1, 0.6), (-2, 0.4), (1, 0.4), (-3, 0.2), (2, 0.2), (-4, 0.1), (3, 0.1))
_FADE, _REACH = 0.8, 8
_AROUND = tuple((k, _FADE ** abs(k)) for k in range(-_REACH, _REACH + 1))
_SATURATION = 1.2
REACHED = tuple(k for k, _ in _BESIDE)


class Nearness:
    """Which terms stand where; `values` are what each term is worth, in order of bits."""

    def __init__(self, values: Sequence[float], places: Sequence[Iterable[int]]) -> None:
        self._values = values
        self._worth = {0: 0.0}
        held: dict[int, int] = {}
        for number, listed in enumerate(places):
            bit = 1 << number
            for place in listed:
                held[place] = held.get(place, 0) | bit
        self.held: Mapping[int, int] = held
        self._numbers: dict[int, tuple[int, ...]] = {}
        self._words: dict[int, float] = {}
        self._topics: dict[int, float] = {}

    def worth(self, mask: int) -> float:
        """Return the sum of the values of the terms in `mask`."""
        known = self._worth.get(mask)
        if known is None:
            known = self._worth[mask] = sum(self._values[number] for number in self._terms(mask))
        return known

    def own(self, place: int) -> float:
        """Return the worth of the terms at `place` itself."""
        return self.worth(self.held.get(place, 0))

    def best(self, count: int) -> list[int]:
        """Return `count` places whose own terms are worth most, of equals the later ones."""
        alike: dict[int, list[int]] = {}
        for place, mask in self.held.items():
            alike.setdefault(mask, []).append(place)
        found: list[int] = []
        for mask in sorted(alike, key=self.worth, reverse=True):
            found += heapq.nlargest(count - len(found), alike[mask], key=abs)
            if len(found) == count:
                break
        return found

    def words(self, place: int) -> float:
        """Return the worth of the terms at and beside `place`, each where it counts most."""
        known = self._words.get(place)
        if known is not None:
            return known
        get = self.held.get
        seen = get(place, 0)
        total = self.worth(seen)
        for offset, share in _BESIDE:
            fresh = get(place + offset, 0) & ~seen
            if fresh:
                total += share * self.worth(fresh)
                seen |= fresh
        self._words[place] = total
        return total

    def topic(self, place: int) -> float:
        """Return the worth of the terms around `place`, each saturating as it recurs."""
        known = self._topics.get(place)
        if known is not None:
            return known
        counts: dict[int, float] = {}
        get = self.held.get
        for offset, share in _AROUND:
            mask = get(place + offset)
            if mask is not None:
                for number in self._terms(mask):
                    counts[number] = counts.get(number, 0.0) + share
        total = 0.0
        for number, count in counts.items():
            total += self._values[number] * count / (count + _SATURATION)
        self._topics[place] = total
        return total

    def _terms(self, mask: int) -> tuple[int, ...]:
        """Return the numbers of the terms in `mask`."""
        known = self._numbers.get(mask)
        if known is None:
            known = tuple(n for n in range(mask.bit_length()) if mask >> n & 1)
            self._numbers[mask] = known
        return known
