"""Whether changing bytes that were already sent pays for itself.

Prices are relative to plain input tokens: r to read a cached prefix, w to write one.
Removing `removed` tokens in front of a suffix of `suffix` tokens saves
`removed * (w + r * (calls - 1))` over the next `calls` requests and costs
`warm * (w - r) * (suffix + removed)` now, where `warm` is the probability that the
prefix is still cached: what stood behind the edit must be written again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Gain:
    """The reckoning behind one edit, in plain input tokens; positive pays."""

    removed: int
    suffix: int
    calls: int
    warm: float
    gain: float
    forced: bool = False

    @property
    def pays(self) -> bool:
        """Whether to edit: it pays, or there is no room otherwise."""
        return self.forced or self.gain > 0

    def to_dict(self) -> dict[str, float | int | bool]:
        """Return the numbers as JSON data."""
        return asdict(self)


def reckon(
    removed: int,
    suffix: int,
    *,
    calls: int,
    warm: float,
    read: float = 0.1,
    write: float = 1.25,
    forced: bool = False,
) -> Gain:
    """Return the gain of removing `removed` tokens in front of `suffix` tokens."""
    saved = removed * (write + read * (calls - 1))
    spent = warm * (write - read) * (suffix + removed)
    return Gain(removed, suffix, calls, warm, saved - spent, forced)


def warmth(idle_seconds: float | None, cache_seconds: float) -> float:
    """Return the probability that the prefix is cached: 1.0 within its life, else 0.0."""
    return 0.0 if idle_seconds is None or idle_seconds >= cache_seconds else 1.0
