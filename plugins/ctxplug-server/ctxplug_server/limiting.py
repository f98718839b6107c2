"""Limits: how often one key may call, and how often an address may come with a wrong one.

By the generic cell rate algorithm (ITU-T I.371): a rate of N in a time lets N pass at once, and
then one more each Nth of that time. It keeps one number for each caller, and no thread.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ctxplug.errors import InvalidValueError
from ctxplug_server.problems import TooManyRequestsError
from ctxplug_server.settings import ServerSettings

__all__ = ["Limits", "Rate", "Rates"]

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
REMEMBERED = 10_000  # callers, before those that are owed nothing are forgotten
_RATE = re.compile(r"\s*([1-9]\d{0,8})\s*/\s*(second|minute|hour|day)s?\s*\Z")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds."""

    count: int
    seconds: float


class Rates:
    """Who may pass, at one rate; `now` tells seconds."""

    def __init__(self, rate: Rate, now: Callable[[], float] = time.monotonic) -> None:
        self._apart = rate.seconds / rate.count
        self._ahead = rate.seconds - self._apart
        self._now = now
        self._due: dict[str, float] = {}  # when each caller will have used up nothing
        self._lock = threading.Lock()

    def wait(self, who: str) -> float | None:
        """Count one of `who`; return the seconds to wait if it is one too many."""
        with self._lock:
            now = self._now()
            due = max(now, self._due.get(who, now))
            if due - now > self._ahead + 1e-9:
                return due - now - self._ahead
            self._due[who] = due + self._apart
            if len(self._due) > REMEMBERED:
                self._due = {one: due for one, due in self._due.items() if due > now}
            return None


class Limits:
    """The counts of one server, in memory."""

    def __init__(self, settings: ServerSettings) -> None:
        self._rates = _parsed(settings.rate, "rate")
        self._failures = _parsed(settings.failures, "failures")

    def passes(self, caller: str) -> float | None:
        """Count a request of `caller`; return the seconds to wait if it is one too many."""
        return None if self._rates is None else self._rates.wait(caller)

    def failed(self, address: str) -> TooManyRequestsError | None:
        """Count a request without a valid key; return what its address is told after too many."""
        wait = None if self._failures is None else self._failures.wait(address)
        if wait is None:
            return None
        return TooManyRequestsError(
            "Too many requests without a valid key came from this address; wait, then try again.",
            retry_after=max(1.0, wait),
        )


def _parsed(rate: str | None, name: str) -> Rates | None:
    if rate is None:
        return None
    found = _RATE.match(rate)
    if found is None:
        raise InvalidValueError(
            f'{name} is a rate such as "100/second" or "6000/minute", not {rate!r}.', path=name
        )
    return Rates(Rate(int(found[1]), SECONDS[found[2]]))
