"""Nearness: the rarity of a query's words at a place and in the talk around it.

A turn that answers often lacks the words of the question: the turn before has them.
Places are ints, neighbours in a session differ by 1 (see `ctxplug.storage.Backend`).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

# How much a word counts by the distance of where it stands; the turn itself comes first.
_SHARES = {0: 1.0, -1: 0.6, -2: 0.4, 1: 0.4, -3: 0.2, 2: 0.2, -4: 0.1, 3: 0.1}
_REACH = 8
_FADED = {distance: 0.8 ** abs(distance) for distance in range(-_REACH, _REACH + 1)}
_SATURATION = 1.2
_RANKS = {distance: rank for rank, distance in enumerate(_SHARES)}


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
        self._order = sorted(held)
        self._within: dict[int, list[tuple[int, int]]] = {}

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

    def around(self, seeds: Iterable[int], count: int) -> list[int]:
        """Return `count` places at or beside `seeds`, by what the best of these brings them."""
        least: dict[int, float] = {}
        for seed in seeds:
            worth = self.own(seed)
            for place, share in [(seed - offset, s * worth) for offset, s in _SHARES.items()]:
                if share > least.get(place, 0.0):
                    least[place] = share
        return heapq.nlargest(count, least, key=least.__getitem__)

    def words(self, place: int) -> float:
        """Return the worth of the terms at and beside `place`, each where it counts most."""
        around = self._around(place)
        if len(around) == 1:
            offset, mask = around[0]
            return _SHARES.get(offset, 0.0) * self.worth(mask)
        total, seen = 0.0, 0
        for offset, mask in sorted(around, key=_by_share):
            fresh = mask & ~seen
            if fresh:
                total += _SHARES.get(offset, 0.0) * self.worth(fresh)
                seen |= fresh
        return total

    def topic(self, place: int) -> float:
        """Return the worth of the terms around `place`, each saturating as it recurs."""
        counts: dict[int, float] = {}
        for offset, mask in self._around(place):
            for number in self._terms(mask):
                counts[number] = counts.get(number, 0.0) + _FADED[offset]
        total = 0.0
        for number, count in counts.items():
            total += self._values[number] * count / (count + _SATURATION)
        return total

    def _around(self, place: int) -> list[tuple[int, int]]:
        """Return the distance and the terms of each place within reach that holds any."""
        known = self._within.get(place)
        if known is None:
            known = self._within[place] = []
            order, last = self._order, place + _REACH
            for i in range(bisect_left(order, place - _REACH), len(order)):
                if order[i] > last:
                    break
                known.append((order[i] - place, self.held[order[i]]))
        return known

    def _terms(self, mask: int) -> tuple[int, ...]:
        """Return the numbers of the terms in `mask`."""
        known = self._numbers.get(mask)
        if known is None:
            known = tuple(n for n in range(mask.bit_length()) if mask >> n & 1)
            self._numbers[mask] = known
        return known


def _by_share(found: tuple[int, int]) -> int:
    return _RANKS.get(found[0], len(_RANKS))
