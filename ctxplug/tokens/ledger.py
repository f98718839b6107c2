"""UsageLedger: what a namespace spends on model calls, and limits that hold under concurrency.

A call is reserved before it is made and settled after it, so two writers, threads or
processes, never both get what is left of a limit (see `usage_stream`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.scope import Scope
from ctxplug.storage import Backend
from ctxplug.tokens.book import ALERT, PICO, RELEASE, RESERVATION, USAGE, Book, Cell, to_pico
from ctxplug.tokens.limits import UsageLimits, alerts, day_of, refuse_over, unknown_price
from ctxplug.tokens.prices import PER, Prices, cost
from ctxplug.tokens.usage import Usage
from ctxplug.tokens.usage_report import UsageReport, make_report
from ctxplug.tokens.usage_stream import Draft, UsageStream

RESERVED_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """Part of the limits of `day`, held for one call until it is settled, released or expired."""

    id: str
    tokens: int
    cost: float
    day: str
    expires_at: datetime
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was entered; `cost` in US dollars is None where the price is unknown."""

    usage: Usage
    cost: float | None
    day: str


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _tell_nobody(kind: str, **data: Any) -> None:
    pass


class UsageLedger:
    """The usage of one namespace; session and agent are those of `scope` unless given.

    `limits` hold for the whole namespace. `notify("usage.alert", limit=..., day=...,
    used=..., allowed=...)` is called once a day for each daily limit whose threshold is
    crossed, by whichever process crosses it. `reserved_seconds` is how long a reservation
    that nobody settles stands. Usable from any thread.
    """

    def __init__(
        self,
        backend: Backend,
        scope: Scope,
        *,
        prices: Prices | None = None,
        limits: UsageLimits | None = None,
        clock: Callable[[], datetime] = _utc_now,
        notify: Callable[..., None] = _tell_nobody,
        reserved_seconds: float = RESERVED_SECONDS,
    ) -> None:
        self.limits = limits or UsageLimits()
        self.prices = prices or Prices()
        self._backend = backend
        self._scope = scope
        self._stream = UsageStream(backend, scope)
        self._clock = clock
        self._notify = notify
        self._reserved = timedelta(seconds=reserved_seconds)

    def record(
        self,
        usage: Any,
        *,
        model: str | None = None,
        cost: float | None = None,
        session: str | None = None,
        agent: str | None = None,
    ) -> Recorded:
        """Enter what a call has spent, and return it with its cost.

        `usage` is what `Usage.of` reads; `cost` in US dollars overrides the price table. It
        is spent, so it is entered even beyond a limit: what comes next is then refused, by
        `check` and `reserve`.
        """
        now = self._now()
        spent = self._spent(Usage.of(usage, model=model), cost, day_of(now), session, agent)
        return self._enter(lambda book: [(USAGE, spent)], now, day_of(now))

    def check(
        self,
        tokens: int | Usage | None = None,
        *,
        cost: float | None = None,
        model: str | None = None,
    ) -> None:
        """Raise what `reserve` would raise for the same call now; store nothing."""
        size, pico = self._need(tokens, cost, model)
        refuse_over(self.limits, self._stream.book(), self._now(), self.prices, size, pico)

    def reserve(
        self,
        tokens: int | Usage | None = None,
        *,
        cost: float | None = None,
        model: str | None = None,
    ) -> Reservation:
        """Hold what a call may take at most, so that no other call can take it.

        `tokens` counts input and output; a number is priced at the dearest rate of `model`,
        a Usage as it is; `cost` in US dollars overrides that. Raises UsageLimitError if a
        limit would be exceeded, UnknownPriceError if cost is limited and cannot be known.
        """
        size, pico = self._need(tokens, cost, model)
        model = model or (tokens.model if isinstance(tokens, Usage) else None)
        now = self._now()
        until, day = now + self._reserved, day_of(now)
        body = {"day": day, "tokens": size, "pico": pico, "expires_at": until.isoformat()}

        def build(book: Book) -> list[Draft]:
            refuse_over(self.limits, book, now, self.prices, size, pico)
            return [(RESERVATION, body)]

        entered = self._stream.append(build, _nothing, now)[0][1]
        return Reservation(entered["id"], size, pico / PICO, day, until, model)

    def settle(
        self,
        reservation: Reservation,
        usage: Any,
        *,
        model: str | None = None,
        cost: float | None = None,
        session: str | None = None,
        agent: str | None = None,
    ) -> Recorded:
        """Replace a reservation by what its call has spent, on the day it was reserved.

        After `expires_at` it is entered all the same. Raises InvalidValueError for a
        reservation that was settled or released before.
        """
        read = Usage.of(usage, model=model)
        read = replace(read, model=read.model or reservation.model)
        now = self._now()
        spent = self._spent(read, cost, reservation.day, session, agent)
        spent["reservation"] = reservation.id

        def build(book: Book) -> list[Draft]:
            _refuse_closed(reservation, book, now)
            return [(USAGE, spent)]

        return self._enter(build, now, reservation.day)

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back: its call was not made. Doing so twice is no error."""

        def build(book: Book) -> list[Draft]:
            held = reservation.id in book.open
            return [(RELEASE, {"reservation": reservation.id})] if held else []

        self._stream.append(build, _nothing, self._now())

    def report(self, days: int = 7) -> UsageReport:
        """Return what the last `days` UTC days, today included, have cost."""
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 36_600:
            raise InvalidValueError(f"days is a number from 1 on, not {days!r}.", path="days")
        book = self._stream.book()
        until = self._now().date()
        since = until - timedelta(days=days - 1)
        cells = [*self._stream.pages(book.version, since), *book.page.values()]
        return make_report(cells, self._scope.namespace, since, until, self.prices)

    # -- a-twins -----------------------------------------------------------------------

    async def arecord(self, usage: Any, **options: Any) -> Recorded:
        """Async twin of `record`."""
        return await self._backend.arun(partial(self.record, usage, **options))

    async def acheck(self, tokens: int | Usage | None = None, **options: Any) -> None:
        """Async twin of `check`."""
        await self._backend.arun(partial(self.check, tokens, **options))

    async def areserve(self, tokens: int | Usage | None = None, **options: Any) -> Reservation:
        """Async twin of `reserve`."""
        return await self._backend.arun(partial(self.reserve, tokens, **options))

    async def asettle(self, reservation: Reservation, usage: Any, **options: Any) -> Recorded:
        """Async twin of `settle`."""
        return await self._backend.arun(partial(self.settle, reservation, usage, **options))

    async def arelease(self, reservation: Reservation) -> None:
        """Async twin of `release`."""
        await self._backend.arun(partial(self.release, reservation))

    async def areport(self, days: int = 7) -> UsageReport:
        """Async twin of `report`."""
        return await self._backend.arun(partial(self.report, days))

    # -- inside ------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _need(
        self, tokens: int | Usage | None, dollars: float | None, model: str | None
    ) -> tuple[int, int]:
        """Return the tokens and picodollars that a call may take at most."""
        if tokens is None and (self.limits.on_tokens or dollars is None):
            raise InvalidValueError("Say how many tokens the call may take.", path="tokens")
        if tokens is None:
            tokens = 0
        size = tokens.total if isinstance(tokens, Usage) else tokens
        for name, value in (("tokens", size), ("cost", dollars or 0)):
            if not value >= 0:
                raise InvalidValueError(f"{name} is zero or more, not {value!r}.", path=name)
        if dollars is None and self.limits.on_cost:
            dollars = self._dearest(tokens, model)
        return size, to_pico(dollars) or 0

    def _dearest(self, tokens: int | Usage, model: str | None) -> float | None:
        if isinstance(tokens, Usage):
            model = model or tokens.model
        price = self.prices.price_of(model)
        if price is None:
            raise unknown_price(model, "is to be called")
        if isinstance(tokens, Usage):
            return cost(tokens, price)
        return tokens * price.dearest / PER

    def _spent(
        self, usage: Usage, dollars: float | None, day: str, session: str | None, agent: str | None
    ) -> dict[str, Any]:
        if dollars is None:
            dollars = cost(usage, self.prices.price_of(usage.model))
        session, agent = session or self._scope.session, agent or self._scope.agent
        cell = Cell(day, session, agent, usage.model, 1, usage, to_pico(dollars))
        return {"cell": cell.to_row()}

    def _enter(self, build: Callable[[Book], list[Draft]], now: datetime, day: str) -> Recorded:
        """Append one usage entry, with the alerts that it sets off, and tell of these."""

        def follow(book: Book) -> list[Draft]:
            due = alerts(self.limits, book, day, self.prices)
            return [(ALERT, alert) for alert in due]

        entered = self._stream.append(build, follow, now)
        for kind, body in entered:
            if kind == ALERT:
                self._notify("usage.alert", **{k: v for k, v in body.items() if k != "id"})
        cell = Cell.from_row(entered[0][1]["cell"])
        return Recorded(cell.usage, None if cell.pico is None else cell.pico / PICO, cell.day)


def _nothing(book: Book) -> Sequence[Draft]:
    return ()


def _refuse_closed(reservation: Reservation, book: Book, now: datetime) -> None:
    if reservation.id not in book.open and now < reservation.expires_at:
        raise InvalidValueError(
            f"The reservation {reservation.id!r} was settled or released before, or is of another"
            " namespace; reserve anew for another call.",
            path="reservation",
        )
