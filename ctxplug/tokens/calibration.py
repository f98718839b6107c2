"""Calibration: what the provider counted, beside what we counted, for the next estimate.

Pure: every observation gives a new value. The estimate is corrected by the mean ratio of
the two, and a margin is kept free that covers how far the ratios lay from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ctxplug.errors import InvalidValueError

LEAST, MOST = 0.25, 4.0  # a ratio beyond is a mistake somewhere, and is taken as this
WEIGHT = 0.1  # of a new ratio, once there are enough to lean on
COVER = 2.0  # spreads that are kept free: about 2 % of requests lay beyond, in simulation
MAX_MARGIN = 3.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model's real counts compare to those of one counter.

    `ratio` is the exponentially weighted mean of actual / counted, begun at 1.0 as if seen
    once. `spread` is how far ratios lay from it: it jumps to each larger deviation and
    decays towards smaller ones. `samples` is how many were seen.
    """

    model: str
    counter: str
    ratio: float = 1.0
    spread: float = 0.0
    samples: int = 0

    def __post_init__(self) -> None:
        whole = isinstance(self.samples, int) and self.samples >= 0
        if not (LEAST <= self.ratio <= MOST and 0.0 <= self.spread <= MOST and whole):
            raise InvalidValueError(
                f"This is no calibration: a ratio of {self.ratio!r} ({LEAST} to {MOST}), a"
                f" spread of {self.spread!r} and {self.samples!r} samples.",
                path="calibration",
            )

    def observe(self, counted: int, actual: int) -> Calibration:
        """Return the calibration after a request of `counted` tokens that had `actual` ones.

        Raises InvalidValueError unless both are above zero.
        """
        if not (counted > 0 and actual > 0):
            raise InvalidValueError(
                f"A request has tokens; {counted!r} were counted and {actual!r} reported.",
                path="usage",
            )
        seen = min(MOST, max(LEAST, actual / counted))
        weight = max(WEIGHT, 1.0 / (self.samples + 2))
        ratio = self.ratio + weight * (seen - self.ratio)
        away = abs(seen - ratio)
        spread = max(away, self.spread + weight * (away - self.spread))
        return replace(self, ratio=ratio, spread=spread, samples=self.samples + 1)

    def margin(self, prior: float = 0.0) -> float:
        """Return the share of a calibrated count to keep free, at most 3.0.

        `prior` is the counter's own margin: it holds in full before the first sample and
        fades as they agree; twice what the samples spread is added.
        """
        return min(MAX_MARGIN, prior / (self.samples + 1) + COVER * self.spread / self.ratio)

    def estimate(self, counted: int) -> int:
        """Return how many tokens the provider is likely to count, rounded up."""
        return math.ceil(counted * self.ratio)

    def limit(self, budget: int, prior: float = 0.0) -> int:
        """Return how many tokens, as counted, fit in `budget` tokens of the provider's.

        Without samples it is `budget / (1 + prior)`.
        """
        return int(budget / (self.ratio * (1.0 + self.margin(prior))))

    def margin_on(self, prior: float) -> float:
        """Return the margin by which a budget is divided to get a limit, never below zero.

        A counter that counts too much is not trusted to go beyond the budget.
        """
        return max(0.0, self.ratio * (1.0 + self.margin(prior)) - 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON data; `from_dict` is the exact inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Rebuild a calibration; raise InvalidValueError if `data` is not one."""
        try:
            return cls(**data)
        except TypeError as exc:
            raise InvalidValueError(f"This is not a calibration: {exc}.") from exc


def limit(budget: int, margin: float, calibration: Calibration | None = None) -> int:
    """Return how many tokens, as a counter of `margin` counts, fit in `budget`."""
    if calibration is None:
        return int(budget / (1.0 + margin))
    return calibration.limit(budget, margin)
