"""History: samples of a quantity over time, in bounded room and at equal distances."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 480
LONGEST = 7 * 86_400.0  # seconds that are looked back at


class History:
    """Samples, each a time in seconds and values; when there are `most`, every second one goes.

    So they always reach back to the beginning, or a week, the more sparsely the longer it is.
    """

    def __init__(self, every: float, *, most: int = MOST, longest: float = LONGEST) -> None:
        self.every = every
        self.samples: list[tuple[float, ...]] = []
        self._most = most
        self._longest = longest

    def add(self, at: float, *values: float) -> bool:
        """Keep a sample, unless it comes too soon after the last one; say whether it was kept."""
        if self.samples and at - self.samples[-1][0] < 0.9 * self.every:
            return False
        self.samples.append((at, *values))
        while self.samples[0][0] < at - self._longest:
            del self.samples[0]
        if len(self.samples) >= self._most:
            self.samples = self.samples[::2]
            self.every *= 2
        return True

    def of(self, place: int) -> list[tuple[float, float]]:
        """Return the times with one of the values."""
        return [(sample[0], sample[1 + place]) for sample in self.samples]

    def thinned(self, most: int) -> Sequence[tuple[float, ...]]:
        """Return at most so many of the samples, the newest included."""
        step = max(1, -(-len(self.samples) // most))
        return self.samples[::-1][::step][::-1]


def per_day(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the growth in a day, from the first sample to the last; None: unknown."""
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0]) * 86_400
