"""Deadline: when a turn must be over, retries and waits of the SDK included."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ctxplug.errors import InvalidValueError
from ctxplug_anthropic.chat_errors import ChatDeadlineError


class Deadline:
    """`seconds` from now on; None is no deadline."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0
        ):
            raise InvalidValueError(
                f"deadline is a number of seconds above zero, or None, not {seconds!r}.",
                path="deadline",
            )
        self.seconds = math.inf if seconds is None else float(seconds)
        self._clock = clock
        self._end = clock() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left, not below zero."""
        return max(0.0, self._end - self._clock())

    @property
    def timeout(self) -> float | None:
        """Seconds that are left, or None where there is no deadline."""
        return None if math.isinf(self.seconds) else self.remaining

    def error(self, attempts: int = 0, partial: str = "") -> ChatDeadlineError:
        """Return the error for a turn that took too long."""
        return ChatDeadlineError(
            f"The turn was not over after {self.seconds:g} seconds ({attempts} attempts of its"
            " last call). What was stored stays: give the same message again to go on, or a"
            " longer deadline.",
            seconds=self.seconds,
            attempts=attempts,
            partial=partial,
        )
