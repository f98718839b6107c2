"""Limits: how often one key may call, and how often an address may come with a wrong one."""

from __future__ import annotations

import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from ctxplug.errors import InvalidValueError
from ctxplug_server.problems import TooManyRequestsError
from ctxplug_server.settings import ServerSettings

__all__ = ["Limits"]


class Limits:
    """The counts of one server, in memory."""

    def __init__(self, settings: ServerSettings) -> None:
        self._storage = MemoryStorage()
        self._counter = SlidingWindowCounterRateLimiter(self._storage)
        self._fixed = FixedWindowRateLimiter(self._storage)
        self._rate = _parsed(settings.rate, "rate")
        self._failures = _parsed(settings.failures, "failures")

    def passes(self, caller: str) -> float | None:
        """Count a request of `caller`; return the seconds to wait if it is one too many."""
        if self._rate is None or self._counter.hit(self._rate, "key", caller):
            return None
        window = self._counter.get_window_stats(self._rate, "key", caller)
        return max(0.1, window.reset_time - time.time())

    def failed(self, address: str) -> bool:
        """Count a request without a valid key; say whether its address has had too many."""
        if self._failures is None:
            return False
        return not self._fixed.hit(self._failures, "address", address)

    def too_many_failures(self) -> TooManyRequestsError:
        """Return what an address is told that came with too many wrong keys."""
        window = 60.0 if self._failures is None else float(self._failures.get_expiry())
        return TooManyRequestsError(
            "Too many requests without a valid key came from this address; wait, then try again.",
            retry_after=window,
        )


def _parsed(rate: str | None, name: str) -> RateLimitItem | None:
    if rate is None:
        return None
    try:
        return parse(rate)
    except ValueError as exc:
        raise InvalidValueError(
            f'{name} is a rate such as "100/second" or "6000/minute", not {rate!r}.', path=name
        ) from exc
