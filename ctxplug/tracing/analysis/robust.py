"""What is usual of a quantity that varies by factors, and how far above it one value is.

Location and spread are the median and the median absolute deviation of logarithms, so outliers
among what is compared with do no harm. From few values a spread is not known well: it is
weighed together with one that is usual of durations and sizes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

LEAST = 3  # values of a name, besides the one in question, from which its median alone counts
LEAST_OF_KIND = 2  # values of a kind, where its name was hardly seen
USUAL = 0.4  # the spread of logarithms that is assumed: a factor of 1.5
WEIGHT = 8  # as so many values
UNSURE = 0.6  # least spread where a name was hardly seen: a factor of 1.8
TO_SIGMA = 1.4826  # from the median absolute deviation to the standard deviation
FAR = 4.0  # spreads above the median at which a value is an outlier
MEDIAN = 1.57  # variance of a median, in that of a mean
TIMES = 2.5  # the usual, below which nothing is an outlier


@dataclass(frozen=True)
class Outlier:
    """A value with what is usual, how many times that it is, and of how many values it is known."""

    usual: float
    ratio: float
    far: float
    known: int
    by_name: bool


class Usual:
    """The usual values by kind and name; each given as (kind, name, value), above 0."""

    def __init__(self, values: Iterable[tuple[str, str, float]]) -> None:
        self._by_name: dict[tuple[str, str], list[float]] = defaultdict(list)
        self._by_kind: dict[str, list[float]] = defaultdict(list)
        self._middles: dict[tuple[str, str], float] = {}
        for kind, name, value in values:
            if value > 0:
                self._by_name[kind, name].append(math.log(value))
                self._by_kind[kind].append(math.log(value))

    def outlier(self, kind: str, name: str, value: float) -> Outlier | None:
        """Say how far above the usual `value` is, which is one of those given; None if it isn't."""
        if value <= 0:
            return None
        log = math.log(value)
        if not self._may_be(kind, name, log):
            return None
        named = _without(self._by_name[kind, name], log)
        if len(named) >= LEAST:
            middle, sigma, known = median(named), _spread(named), len(named)
        else:
            others = _without(self._by_kind[kind], log)
            if len(others) < LEAST_OF_KIND:
                return None
            # Of a name that was hardly seen only what is far above all of its kind is told.
            middle = max(median(named), median(others)) if named else median(others)
            sigma, known = max(UNSURE, _deviation(others)), len(named) or len(others)
        far = (log - middle) / (sigma * math.sqrt(1 + MEDIAN / max(known, LEAST)))
        if far < FAR or log - middle < math.log(TIMES):
            return None
        return Outlier(math.exp(middle), math.exp(log - middle), far, known, bool(named))

    def _may_be(self, kind: str, name: str, log: float) -> bool:
        """Say whether a logarithm is so far above the median that it is worth a closer look."""
        middles = self._middles
        if (kind, name) not in middles:
            named = sorted(self._by_name[kind, name])
            # Without a value in its upper half a median is no lower than the one before it.
            values = named if len(named) > LEAST else sorted(self._by_kind[kind])
            middles[kind, name] = values[max(0, len(values) // 2 - 1)] if values else -math.inf
        return log - middles[kind, name] >= math.log(TIMES)


def _spread(values: Sequence[float]) -> float:
    """Return the spread of values, weighed with the one that is assumed."""
    own = len(values) * _deviation(values) ** 2
    return math.sqrt((own + WEIGHT * USUAL**2) / (len(values) + WEIGHT))


def _deviation(values: Sequence[float]) -> float:
    middle = median(values)
    return TO_SIGMA * median(abs(one - middle) for one in values)


def _without(values: Sequence[float], one: float) -> list[float]:
    """Return the values less one of that size."""
    left = list(values)
    if one in left:
        left.remove(one)
    return left
