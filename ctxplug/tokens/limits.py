"""UsageLimits: how much a namespace may spend, and the errors that say when it would not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.errors import InvalidValueError, UnknownPriceError, UsageLimitError
from ctxplug.tokens.book import PICO, Book, to_pico
from ctxplug.tokens.prices import VARIABLE, Prices


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """What may be spent per UTC day and per request, in tokens (in and out) and US dollars.

    None is no limit. From `alert_at` (a share) of a daily limit on, one event
    "usage.alert" a day is sent. Raises InvalidValueError for numbers that are no limits.
    """

    daily_tokens: int | None = None
    daily_cost: float | None = None
    request_tokens: int | None = None
    request_cost: float | None = None
    alert_at: float = 0.8

    def __post_init__(self) -> None:
        for name in ("daily_tokens", "daily_cost", "request_tokens", "request_cost", "alert_at"):
            value = getattr(self, name)
            if value is None and name != "alert_at":
                continue
            whole = int if name.endswith("tokens") else int | float
            number = isinstance(value, whole) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf:
                kind = "a whole number" if whole is int else "a number"
                raise InvalidValueError(f"{name} is {kind} from zero on, not {value!r}.", path=name)
        if not 0 < self.alert_at <= 1:
            raise InvalidValueError(
                f"alert_at is a share of the limit above 0 and up to 1, not {self.alert_at!r}.",
                path="alert_at",
            )

    @property
    def on_cost(self) -> bool:
        """Whether cost is limited, so that prices must be known."""
        return self.daily_cost is not None or self.request_cost is not None

    @property
    def on_tokens(self) -> bool:
        """Whether tokens are limited."""
        return self.daily_tokens is not None or self.request_tokens is not None


def refuse_over(
    limits: UsageLimits, book: Book, now: datetime, prices: Prices, tokens: int, pico: int
) -> None:
    """Raise UsageLimitError if a call of `tokens` and `pico` would exceed a limit today.

    Raises UnknownPriceError if the day's cost is limited and not known.
    """
    day = day_of(now)
    if limits.request_tokens is not None and tokens > limits.request_tokens:
        raise _over("request_tokens", 0, tokens, limits.request_tokens)
    if limits.daily_tokens is not None:
        used = book.tokens(day, now)
        if used + tokens > limits.daily_tokens:
            raise _over("daily_tokens", used, tokens, limits.daily_tokens)
    if limits.request_cost is not None and pico > _pico(limits.request_cost):
        raise _over("request_cost", 0, pico / PICO, limits.request_cost)
    if limits.daily_cost is not None:
        spent = book.pico(day, prices, now)
        if isinstance(spent, str):
            raise unknown_price(spent or None, f"was used on {day}")
        if spent + pico > _pico(limits.daily_cost):
            raise _over("daily_cost", spent / PICO, pico / PICO, limits.daily_cost)


def alerts(limits: UsageLimits, book: Book, day: str, prices: Prices) -> Iterator[dict[str, Any]]:
    """Yield the alerts that are due: daily limits whose threshold is crossed and not told yet."""
    if limits.daily_tokens is not None and (day, "daily_tokens") not in book.alerts:
        tokens = book.tokens(day)
        if tokens >= limits.alert_at * limits.daily_tokens:
            yield _alert("daily_tokens", day, tokens, limits.daily_tokens)
    if limits.daily_cost is not None and (day, "daily_cost") not in book.alerts:
        pico = book.pico(day, prices)
        if isinstance(pico, int) and pico >= limits.alert_at * _pico(limits.daily_cost):
            yield _alert("daily_cost", day, pico / PICO, limits.daily_cost)


def unknown_price(model: str | None, why: str) -> UnknownPriceError:
    """Return the error for a cost limit without a price."""
    return UnknownPriceError(
        f"Cost is limited, and the model {model!r} {why}, whose price is unknown (which is not"
        f" zero). Give it in Prices({{{model or 'MODEL'!r}: {{'input': ..., 'output': ...}}}}) or"
        f" in the file that {VARIABLE} names, or limit tokens instead.",
        model=model,
    )


def day_of(now: datetime) -> str:
    """Return the UTC day of an aware time, such as "2024-05-15"."""
    return now.date().isoformat()


def _over(limit: str, used: float, needed: float, allowed: float) -> UsageLimitError:
    tokens = limit.endswith("tokens")
    used_, needed_, allowed_ = (
        f"{n:,} tokens" if tokens else f"${n:,.6f}" for n in (used, needed, allowed)
    )
    until = " It starts anew at midnight UTC." if limit.startswith("daily") else ""
    return UsageLimitError(
        f"The limit {limit} is {allowed_}: {used_} are used or reserved, and this call needs"
        f" {needed_}.{until} Send less, or raise the limit.",
        limit=limit,
        used=used,
        needed=needed,
        budget=allowed,
    )


def _alert(limit: str, day: str, used: float, allowed: float) -> dict[str, Any]:
    return {"limit": limit, "day": day, "used": used, "allowed": allowed}


def _pico(dollars: float) -> int:
    return to_pico(dollars) or 0
