"""Trend: whether a quantity that is sampled over time grows without end, told with care.

**The rule.** Suspected is what passes all of this, on the samples after the warm-up, which is
the first third of them:

1. The samples are cut into 20 blocks of equal length, and of each the lowest value counts: the
   floor that is left when what was taken for a while has been given back.
2. The Mann-Kendall test (Mann 1945, Kendall 1975), one-sided, finds the floors rising, p < 0.001;
   its variance is corrected for ties, and for autocorrelation as Hamed and Rao do (1998).
3. The second half of the floors rises by itself (p < 0.05), and by at least half as much as the
   first: what levels off is a cache that fills.
4. No single step from one floor to the next is more than 30% of the whole rise: what jumps a
   few times is a larger working set, not a leak.
5. The slope after Theil (1950) and Sen (1968) comes to at least 5% of the first floor, and to at
   least `least` (16 MB for a process), over the time that is looked at.

Mann-Kendall with Sen's slope is what Garg, van Moorsel, Vaidyanathan and Trivedi brought to
software aging (ISSRE 1998); that the test alone cries wolf is shown by Machida, Andrzejak, Matias
and Vicente (WoSAR 2013), which is why the rest is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from statistics import NormalDist, median
from typing import Any

WARM_UP = 1 / 3  # of the samples
BLOCKS = 20
LEAST_SAMPLES = 90  # before which nothing is said
CERTAIN, HALF_CERTAIN = 0.001, 0.05
GOES_ON = 0.5  # of what the first half rose, that the second has to
JUMP = 0.3  # of the whole rise
SHARE = 0.05  # of the first floor
LEAST = 16 * 2**20  # bytes
TOO_SHORT, STEADY, RISING, SUSPECTED = "too_short", "steady", "rising", "suspected"
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Trend:
    """What is said of the growth: `verdict`, and the figures on which it is based.

    `per_hour` is the slope, `p` the chance of such floors without a trend, `grown` by how much
    they rose; `samples` were looked at, which took `hours`.
    """

    verdict: str
    samples: int
    hours: float = 0.0
    per_hour: float = 0.0
    p: float = 1.0
    grown: float = 0.0
    second_half: float = 0.0

    @property
    def suspected(self) -> bool:
        """Whether a leak is suspected."""
        return self.verdict == SUSPECTED

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def trend_of(samples: Sequence[tuple[float, float]], *, least: float = LEAST) -> Trend:
    """Return the trend of samples, each a time in seconds and a value, in order."""
    if len(samples) < LEAST_SAMPLES:
        return Trend(TOO_SHORT, len(samples))
    warm = samples[int(len(samples) * WARM_UP) :]
    floors = _floors(warm)
    values = [value for _, value in floors]
    slope = _slope(floors)
    span = floors[-1][0] - floors[0][0]
    p, grown = rising(values), slope * span
    half = len(floors) // 2
    first = max(0.0, _slope(floors[:half])) * (floors[half - 1][0] - floors[0][0])
    second = _slope(floors[half:]) * (floors[-1][0] - floors[half][0])
    goes_on = rising(values[half:]) < HALF_CERTAIN and second >= GOES_ON * first
    jump = max(b - a for a, b in pairwise(values))
    enough = grown >= max(least, SHARE * values[0]) and jump <= JUMP * grown
    verdict = STEADY
    if p < CERTAIN:
        verdict = SUSPECTED if goes_on and enough else RISING
    hours = (warm[-1][0] - warm[0][0]) / 3_600
    return Trend(verdict, len(warm), hours, slope * 3_600, p, grown, second)


def rising(values: Sequence[float]) -> float:
    """Return the chance that values without a trend rise so much; Mann-Kendall, one-sided."""
    n = len(values)
    score = sum(_sign(b - a) for a, b in combinations(values, 2))
    variance = n * (n - 1) * (2 * n + 5) / 18
    for value in set(values):
        ties = values.count(value)
        variance -= ties * (ties - 1) * (2 * ties + 5) / 18
    variance *= _correction(values)
    if score <= 0 or variance <= 0:
        return 1.0
    return 1 - _NORMAL.cdf((score - 1) / math.sqrt(variance))


def _floors(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the middle time and the lowest value of each block."""
    edges = [len(samples) * i // BLOCKS for i in range(BLOCKS + 1)]
    blocks = [samples[a:b] for a, b in pairwise(edges)]
    return [
        ((block[0][0] + block[-1][0]) / 2, min(value for _, value in block)) for block in blocks
    ]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the median of the slopes between all pairs of points (Theil, Sen)."""
    return median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2))


def _correction(values: Sequence[float]) -> float:
    """Return by how much autocorrelation widens the variance (Hamed and Rao); at least 1."""
    n = len(values)
    middle = _slope(list(enumerate(values)))
    ranks = _ranks([value - middle * i for i, value in enumerate(values)])
    mean = sum(ranks) / n
    spread = sum((rank - mean) ** 2 for rank in ranks)
    if not spread:
        return 1.0
    more = 0.0
    for lag in range(1, n - 1):
        pairs = zip(ranks, ranks[lag:], strict=False)
        r = sum((a - mean) * (b - mean) for a, b in pairs) / spread
        if abs(r) > 1.96 / math.sqrt(n):  # others are no different from none
            more += (n - lag) * (n - lag - 1) * (n - lag - 2) * r
    return max(1.0, 1 + 2 / (n * (n - 1) * (n - 2)) * more)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(values)
    return [order.index(value) + (order.count(value) - 1) / 2 for value in values]


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def said_of(trend: Trend, lang: str = "en") -> str:
    """Return a trend in a sentence, in English or Chinese."""
    return _SAID[lang][trend.verdict].format(
        samples=trend.samples,
        least=LEAST_SAMPLES,
        hours=f"{trend.hours:.1f}",
        rate=f"{trend.per_hour / 2**20:.1f}",
        grown=f"{trend.grown / 2**20:.0f}",
        p=f"{trend.p:.2g}",
    )


_SAID = {
    "en": {
        TOO_SHORT: "Too little is known to say anything: {samples} of {least} samples.",
        STEADY: "No trend: over {hours} hours the memory of the process does not keep rising.",
        RISING: "It rose by {grown} MB over {hours} hours, but levels off, jumps, or is small: no"
        " leak is suspected.",
        SUSPECTED: "A leak is suspected: what is left after releases rose by {grown} MB over"
        " {hours} hours, about {rate} MB an hour, and goes on (p = {p}).",
    },
    "zh": {
        TOO_SHORT: "样本太少，还不能下结论：已有 {samples} 个，需要 {least} 个。",
        STEADY: "没有趋势：{hours} 小时内进程内存没有持续上升。",
        RISING: "{hours} 小时内上升了 {grown} MB，但正在趋平、呈跳跃或幅度很小：不怀疑泄漏。",
        SUSPECTED: "怀疑内存泄漏：{hours} 小时内，释放之后剩下的内存上升了 {grown} MB，"
        "约每小时 {rate} MB，且仍在继续（p = {p}）。",
    },
}
