"""Retrying: which failures are tried again, how long is waited, and what is said at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from ctxplug.errors import InvalidValueError, StorageError
from ctxplug_server.client.calls import Call

FIRST, LONGEST = 0.1, 5.0  # seconds waited before the first, and at most before any, attempt
LONGEST_ASKED = 60.0  # seconds that a server may ask to wait before the client gives up at once
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Retrying:
    """How often a call is tried again, and how long between: twice as long each time.

    Writes carry a key by which the server knows them again, so trying again is always safe.
    """

    retries: int = 5

    def __post_init__(self) -> None:
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise InvalidValueError(
                f"retries is a number from 0 on, not {self.retries!r}.", path="retries"
            )

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after `attempt`, counted from 1; not the same for all."""
        longest: float = min(LONGEST, FIRST * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)


class Attempts:
    """The attempts of one call: after a failure, how long to wait, or the error to raise."""

    def __init__(
        self,
        call: Call[Any],
        retrying: Retrying,
        url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._retrying = retrying
        self._url = url
        self._clock = clock
        self._began = clock()
        self._made = 0
        self._was_sent = False

    def broken(self, exc: httpx.TransportError) -> float:
        """Return how long to wait after the connection failed, or raise StorageError."""
        self._made += 1
        self._was_sent |= not isinstance(exc, NOT_SENT)
        if isinstance(exc, httpx.UnsupportedProtocol | httpx.ProxyError) or self._is_last():
            raise self._unreachable(exc) from exc
        return self._retrying.pause(self._made)

    def refused(self, after: str | None) -> float | None:
        """Return how long to wait after a failure that may pass; None: that is the answer.

        `after` is its Retry-After.
        """
        self._made += 1
        if self._is_last():
            return None
        asked = _seconds(after)
        if asked is None:
            return self._retrying.pause(self._made)
        return max(asked, self._retrying.pause(self._made)) if asked <= LONGEST_ASKED else None

    def _is_last(self) -> bool:
        return self._made > self._retrying.retries

    def _unreachable(self, exc: Exception) -> StorageError:
        seconds = self._clock() - self._began
        tries = "once" if self._made == 1 else f"{self._made} times in {seconds:.1f} s"
        why = str(exc) or type(exc).__name__
        if not self._was_sent:
            return StorageError(
                f"The server {self._url} cannot be reached, tried {tries}: {why}. See that"
                " `ctxplug serve` runs there and that the address is right.",
                target=self._url,
            )
        lost = (
            " Whether the change was made is not known: look before you make it again."
            if self._call.writes
            else ""
        )
        return StorageError(
            f"The connection to the server {self._url} broke before the answer to"
            f" {self._call.method} {self._call.path} had come, tried {tries}: {why}.{lost} See"
            " that `ctxplug serve` runs there, or open the memory with a longer timeout=.",
            target=self._url,
        )


def _seconds(after: str | None) -> float | None:
    """Return a Retry-After in seconds; None without one, or for a date."""
    try:
        return None if after is None else max(0.0, float(after))
    except ValueError:
        return None
