"""Attempts: what the SDK does for one call, watched from inside its retry loop.

Each attempt is held to the deadline and paid for. An attempt whose answer was lost on its
way may have been billed, so its reservation is not given back, and the next attempt is
reserved anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any

from ctxplug.tokens.ledger import Reservation
from ctxplug.tokens.usage import Usage
from ctxplug_anthropic.deadline import Deadline

_NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")


class Attempts:
    """The attempts of one call; `reserve` holds what a further one may cost."""

    def __init__(
        self,
        deadline: Deadline,
        reservation: Reservation,
        reserve: Callable[[], Reservation],
        retries: int,
    ) -> None:
        self.deadline = deadline
        self.made = 0
        self.lost = 0
        self.reservations = [reservation]
        self.given_up = False
        self.in_flight = False  # sent, and neither refused nor failed
        self.partial: Any = None  # the SDK's message, as far as it was streamed
        self._reserve = reserve
        self._retries = retries

    @property
    def text(self) -> str:
        """The text that has arrived of a streamed reply."""
        blocks = getattr(self.partial, "content", None) or ()
        return "".join(b.text for b in blocks if getattr(b, "type", None) == "text")

    def sync_middleware(self, request: Any, call_next: Callable[[Any], Any]) -> Any:
        """Make one attempt: a middleware of the sync client."""
        if self._begin():
            self.reservations.append(self._reserve())
        self._sent()
        try:
            return self._answered(call_next(request), request)
        except Exception as exc:
            self._failed(exc)
            raise

    def async_middleware(
        self, arun: Callable[..., Awaitable[Any]]
    ) -> Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]:
        """Return a middleware of the async client; `arun` runs what waits for the store."""

        async def attempt(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
            if self._begin():
                await arun(lambda: self.reservations.append(self._reserve()))
            self._sent()
            try:
                return self._answered(await call_next(request), request)
            except Exception as exc:
                self._failed(exc)
                raise

        return attempt

    def ended_without_reply(self) -> None:
        """Note that there is no reply: what is in flight may be billed all the same."""
        self.given_up = True
        if self.in_flight and getattr(self.partial, "usage", None) is None:
            self.lost += 1
        self.in_flight = False

    def spent_on_lost(self, window_tokens: int) -> Usage:
        """Return what lost attempts are taken to have cost: their whole input, by our count."""
        spent = Usage(input_tokens=window_tokens * self.lost)
        usage = getattr(self.partial, "usage", None)
        return spent if usage is None else Usage.of(usage) + spent

    # -- inside --------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Refuse what comes too late; say whether this attempt needs a reservation of its own."""
        if self.given_up or self.deadline.remaining <= 0:
            raise self.deadline.error(self.made)
        return self.lost >= len(self.reservations)

    def _sent(self) -> None:
        self.made += 1
        self.in_flight = True

    def _answered(self, response: Any, request: Any) -> Any:
        """Let the SDK not wait for longer than there is time: it raises its error at once."""
        if response.status_code < 400:
            return response
        self.in_flight = False
        if request.retries_taken < self._retries:
            wait = _asked_to_wait(response.headers)
            if wait is not None and wait >= self.deadline.remaining:
                response.headers["x-should-retry"] = "false"
        return response

    def _failed(self, exc: Exception) -> None:
        self.in_flight = False
        if type(exc.__cause__).__name__ not in _NEVER_SENT:
            self.lost += 1


def _asked_to_wait(headers: Any) -> float | None:
    """Return for how many seconds the API asks to wait."""
    for name, unit in (("retry-after-ms", 1_000.0), ("retry-after", 1.0)):
        try:
            return float(headers.get(name)) / unit
        except (TypeError, ValueError):
            continue
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, TypeError):
        return None
    from datetime import UTC, datetime

    return (date - datetime.now(UTC)).total_seconds() if date.tzinfo else None
