"""Sketch: percentiles of any number of durations in little room, each exact to one percent.

DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 2019): a value is counted in the bucket of its logarithm.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

ERROR = 0.01  # of a percentile, relative
LEAST, MOST = 1e-6, 1e5  # seconds; what is below or above counts as these
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SLOT, SLOTS = 60.0, 15  # what is recent: so many slots of so many seconds

_GAMMA = (1 + ERROR) / (1 - ERROR)
_LOG = math.log(_GAMMA)


class Sketch:
    """A distribution of durations; not to be used from two threads at once."""

    __slots__ = ("buckets", "count", "highest", "total")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.highest = 0.0

    def add(self, value: float) -> None:
        """Count one duration, in seconds."""
        place = math.ceil(math.log(min(max(value, LEAST), MOST)) / _LOG)
        self.buckets[place] = self.buckets.get(place, 0) + 1
        self.count += 1
        self.total += value
        self.highest = max(self.highest, value)

    def merge(self, other: Sketch) -> None:
        """Count all that another has counted."""
        for place, count in other.buckets.items():
            self.buckets[place] = self.buckets.get(place, 0) + count
        self.count += other.count
        self.total += other.total
        self.highest = max(self.highest, other.highest)

    def quantile(self, q: float) -> float | None:
        """Return the duration that a share `q` does not exceed; None if there is none."""
        if not self.count:
            return None
        seen = 0
        for place in sorted(self.buckets):
            seen += self.buckets[place]
            if seen >= q * self.count:
                return min(2 * _GAMMA**place / (_GAMMA + 1), self.highest)
        return self.highest

    def below(self, bounds: Sequence[float]) -> list[int]:
        """Return how many do not exceed each of `bounds`, which ascend."""
        counts, places = [], sorted(self.buckets)
        seen, at = 0, 0
        for bound in bounds:
            while at < len(places) and 2 * _GAMMA ** places[at] / (_GAMMA + 1) <= bound:
                seen += self.buckets[places[at]]
                at += 1
            counts.append(seen)
        return counts

    def to_dict(self) -> dict[str, float | int | None]:
        """Return its figures as JSON data; durations in seconds."""
        found = {name: _rounded(self.quantile(q)) for name, q in QUANTILES.items()}
        mean = self.total / self.count if self.count else None
        return {
            "count": self.count,
            "mean": _rounded(mean),
            **found,
            "highest": _rounded(self.highest if self.count else None),
        }


class Durations:
    """Durations as they come in: all of them, and those of the last 15 minutes by themselves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = Sketch()
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: deque[tuple[int, Sketch]] = deque(maxlen=SLOTS)

    def add(self, seconds: float) -> None:
        """Count one."""
        now = int(self._clock() // SLOT)
        with self._lock:
            if not self._slots or self._slots[-1][0] != now:
                self._slots.append((now, Sketch()))
            self._slots[-1][1].add(seconds)
            self._all.add(seconds)

    def all(self) -> Sketch:
        """Return all of them."""
        with self._lock:
            return merged([self._all])

    def recent(self) -> Sketch:
        """Return those of the last 15 minutes."""
        oldest = int(self._clock() // SLOT) - SLOTS
        with self._lock:
            return merged(sketch for slot, sketch in self._slots if slot > oldest)

    def to_dict(self) -> Mapping[str, object]:
        """Return the recent percentiles, and how many there were in all, as JSON data."""
        return {**self.recent().to_dict(), "all": self._all.count}


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """Return one sketch of all that several have counted."""
    whole = Sketch()
    for one in sketches:
        whole.merge(one)
    return whole


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
