"""SessionPolicy: when a session counts as idle or expired, and how long an ended one is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from ctxplug.errors import InvalidValueError

_TIMES = ("idle_after", "expire_after", "suspended_for", "retain")


@dataclass(frozen=True, kw_only=True)
class SessionPolicy:
    """How sessions age. Times are timedeltas or seconds, and None is never.

    A session in which nothing was said for `idle_after` is idle, and expired after
    `expire_after`; one that was suspended for `suspended_for` is expired too. What is
    completed, failed or expired for `retain` is removed, with all that it says, by
    `memory.retire` and `memory.maintain`.
    """

    idle_after: timedelta | float | None = 1_800.0
    expire_after: timedelta | float | None = None
    suspended_for: timedelta | float | None = None
    retain: timedelta | float | None = None

    def __post_init__(self) -> None:
        for name in _TIMES:
            object.__setattr__(self, name, _seconds(getattr(self, name), name))

    def time(self, name: str) -> timedelta | None:
        """Return one of the times, such as "retain", as a timedelta."""
        seconds: float | None = getattr(self, name)
        return None if seconds is None else timedelta(seconds=seconds)


def _seconds(value: timedelta | float | None, name: str) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidValueError(
            f"{name} is a timedelta or seconds, or None, not {value!r}.", path=name
        )
    # What cannot be added to a time is for ever, and says so by None.
    if not 0 < seconds <= 1e11 or math.isnan(seconds):
        raise InvalidValueError(
            f"{name} is {value!r}; give a time above zero, or None for never.", path=name
        )
    return float(seconds)
