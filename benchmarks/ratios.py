"""Figures that can be compared with those of another day, and by how much they may differ.

A figure is a share of what is right, a count against another count, or a time or size against
something that ran beside it: never a time alone, so that it means the same on every machine.
Each kind has two bands. Inside the first one nothing is said; beyond it a figure got better or
worse; beyond the second it is a regression, which fails a check. Shares and counts are the same
in every run, so their bands are tight. Times vary with what else the machine does, even as
ratios of medians of runs that took turns, so theirs are wide: a check is to catch what became
three times as slow, not a busy neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import log
from typing import Any, Literal

LEAST = 1e-3  # a ratio below it is as good as none
SLACK = 1e-9

Kind = Literal["share", "count", "time", "disk", "size"]


@dataclass(frozen=True)
class Band:
    """What a figure may differ by: in points of a share, else as a factor."""

    said: float
    failed: float


BANDS: Mapping[Kind, Band] = {
    "share": Band(0.005, 0.03),  # of 1.0; the same data give the same share
    "count": Band(1.02, 1.10),  # tokens or cost against another's
    "time": Band(1.5, 3.0),  # of a processor, or of runs in memory that took turns
    "disk": Band(2.0, 8.0),  # with commits in it, which one disk serves to all
    "size": Band(1.15, 1.5),  # memory
}


@dataclass(frozen=True)
class Figure:
    """One value; `lower` says whether less is better."""

    value: float
    kind: Kind
    lower: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, rounded to what means something."""
        digits = ".4f" if self.kind == "share" else ".4g"
        return asdict(self) | {"value": float(f"{self.value:{digits}}")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Figure:
        """Return what `to_dict` was made from."""
        return cls(float(data["value"]), data["kind"], bool(data["lower"]))


@dataclass(frozen=True)
class Change:
    """A figure beside the one before: "same", "better", "worse", "regression", "new", "gone"."""

    name: str
    before: Figure | None
    now: Figure | None
    verdict: str

    def __str__(self) -> str:
        before, now = (
            "-" if f is None else f"{f.value:.1%}" if f.kind == "share" else f"{f.value:.2f}"
            for f in (self.before, self.now)
        )
        return f"{self.verdict}: {self.name}: {before} -> {now}"


def compare(before: Mapping[str, Figure], now: Mapping[str, Figure]) -> list[Change]:
    """Return what became of every figure, in order of name."""
    return [
        Change(name, before.get(name), now.get(name), _verdict(before.get(name), now.get(name)))
        for name in sorted({*before, *now})
    ]


def _verdict(before: Figure | None, now: Figure | None) -> str:
    if before is None or now is None:
        return "new" if before is None else "gone"
    band = BANDS[now.kind]
    if now.kind == "share":
        worse = (now.value - before.value) * (1 if now.lower else -1)
        said, failed = band.said, band.failed
    else:  # by their logarithms, twice as much is as far from the same as half
        worse = log(max(now.value, LEAST) / max(before.value, LEAST)) * (1 if now.lower else -1)
        said, failed = log(band.said), log(band.failed)
    if abs(worse) <= said + SLACK:
        return "same"
    if worse < 0:
        return "better"
    return "regression" if worse > failed + SLACK else "worse"
