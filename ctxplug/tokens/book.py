"""Book: what a ledger's entries add up to. Pure: entries in, totals out.

Costs are whole picodollars (1e-12 US dollars), so that sums are exact and a limit is hit
exactly. The kinds of entries:

- `usage`: tokens that were spent, by session, agent, model and UTC day; it may close a
  `reservation`;
- `reservation`: what a call that is under way may spend, until `expires_at`;
- `release`: a reservation given back unspent;
- `alert`: that a limit's threshold was crossed on a day;
- `checkpoint`: the totals so far, with the `page` of what was spent since the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ctxplug.tokens.prices import Prices, cost
from ctxplug.tokens.usage import Usage

PICO = 1_000_000_000_000
USAGE, RESERVATION, RELEASE = "usage", "reservation", "release"
ALERT, CHECKPOINT = "alert", "checkpoint"
DAYS_KEPT = 2  # a call that began before midnight is settled on the day it began


@dataclass(frozen=True, slots=True)
class Cell:
    """Calls of one day, session, agent and model; `pico` is None where they had no price."""

    day: str
    session: str
    agent: str | None
    model: str | None
    calls: int
    usage: Usage
    pico: int | None

    @property
    def key(self) -> tuple[str, str, str | None, str | None, bool]:
        """What cells are added up by."""
        return self.day, self.session, self.agent, self.model, self.pico is None

    def plus(self, other: Cell) -> Cell:
        """Return the sum of two cells of one key."""
        pico = None if self.pico is None or other.pico is None else self.pico + other.pico
        calls, usage = self.calls + other.calls, self.usage + other.usage
        return replace(self, calls=calls, usage=usage, pico=pico)

    def priced(self, prices: Prices) -> Cell:
        """Return the cell with a price, if `prices` knows one by now."""
        if self.pico is not None:
            return self
        return replace(self, pico=to_pico(cost(self.usage, prices.price_of(self.model))))

    def to_row(self) -> list[Any]:
        """Return the cell as JSON; `from_row` is the inverse."""
        u = self.usage
        counts = [u.input_tokens, u.output_tokens, u.cache_read_tokens, u.cache_write_tokens]
        counts.append(u.cache_write_1h_tokens)
        return [self.day, self.session, self.agent, self.model, self.calls, counts, self.pico]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Cell:
        """Return the cell of `to_row`."""
        day, session, agent, model, calls, (plain, output, read, write, long), pico = row
        usage = Usage(plain, output, read, write, model, long)
        return cls(day, session, agent, model, calls, usage, pico)


@dataclass(frozen=True, slots=True)
class Day:
    """One day's totals; `unpriced` is the usage by model whose cost is not in `pico`."""

    tokens: int = 0
    pico: int = 0
    unpriced: Mapping[str, Usage] = field(default_factory=dict)

    def plus(self, cell: Cell) -> Day:
        """Return the day with `cell` in it."""
        tokens = self.tokens + cell.usage.total
        if cell.pico is not None:
            return replace(self, tokens=tokens, pico=self.pico + cell.pico)
        model = cell.model or ""
        more = self.unpriced.get(model, Usage()) + cell.usage
        return replace(self, tokens=tokens, unpriced={**self.unpriced, model: more})


@dataclass(frozen=True, slots=True)
class Reserved:
    """What an open reservation holds of its day's limits."""

    day: str
    tokens: int
    pico: int
    expires_at: datetime


@dataclass
class Book:
    """The totals after the entry of `version`; `last` is that entry's id."""

    version: int = 0
    last: str = ""
    since: int = 0  # entries after the last checkpoint
    days: dict[str, Day] = field(default_factory=dict)
    open: dict[str, Reserved] = field(default_factory=dict)
    alerts: set[tuple[str, str]] = field(default_factory=set)
    page: dict[tuple[Any, ...], Cell] = field(default_factory=dict)

    def copy(self) -> Book:
        """Return a copy; its size is bounded by what happens between two checkpoints."""
        copies = dict(self.days), dict(self.open), set(self.alerts), dict(self.page)
        return Book(self.version, self.last, self.since, *copies)

    def apply(self, version: int, kind: str, body: Mapping[str, Any]) -> None:
        """Enter one entry of the stream."""
        self.version, self.last, self.since = version, body["id"], self.since + 1
        if kind == USAGE:
            self.open.pop(body.get("reservation") or "", None)
            cell = Cell.from_row(body["cell"])
            self.days[cell.day] = self.days.get(cell.day, Day()).plus(cell)
            known = self.page.get(cell.key)
            self.page[cell.key] = known.plus(cell) if known else cell
        elif kind == RESERVATION:
            self.open[body["id"]] = _reserved(body)
        elif kind == RELEASE:
            self.open.pop(body["reservation"], None)
        elif kind == ALERT:
            self.alerts.add((body["day"], body["limit"]))
        elif kind == CHECKPOINT:
            self._turn_page(body)

    def checkpoint(self, now: datetime) -> dict[str, Any]:
        """Return the body of a checkpoint entry; what is over is left out of it."""
        kept = sorted(self.days)[-DAYS_KEPT:]
        return {
            "days": {day: _day_to_json(self.days[day]) for day in kept},
            "open": [
                {**_reserved_to_json(one), "id": id}
                for id, one in self.open.items()
                if one.expires_at > now
            ],
            "alerts": sorted([day, limit] for day, limit in self.alerts if day in kept),
            "page": [cell.to_row() for cell in self.page.values()],
        }

    def _turn_page(self, body: Mapping[str, Any]) -> None:
        self.days = {day: _day_from_json(one) for day, one in body["days"].items()}
        self.open = {one["id"]: _reserved(one) for one in body["open"]}
        self.alerts = {(day, limit) for day, limit in body["alerts"]}
        self.page, self.since = {}, 0

    # -- what is spent -----------------------------------------------------------------

    def tokens(self, day: str, now: datetime | None = None) -> int:
        """Return the tokens of `day`; with `now`, those of open reservations too."""
        return self.days.get(day, Day()).tokens + sum(r.tokens for r in self._holding(day, now))

    def pico(self, day: str, prices: Prices, now: datetime | None = None) -> int | str:
        """Return the cost of `day`, or the name of the model whose price is unknown."""
        total = self.days.get(day, Day())
        spent = total.pico + sum(r.pico for r in self._holding(day, now))
        for model, usage in total.unpriced.items():
            known = to_pico(cost(usage, prices.price_of(model)))
            if known is None:
                return model
            spent += known
        return spent

    def _holding(self, day: str, now: datetime | None) -> Iterable[Reserved]:
        if now is None:
            return ()
        return [r for r in self.open.values() if r.day == day and r.expires_at > now]


def to_pico(dollars: float | None) -> int | None:
    """Return US dollars as whole picodollars."""
    return None if dollars is None else round(dollars * PICO)


def _reserved(body: Mapping[str, Any]) -> Reserved:
    expires_at = datetime.fromisoformat(body["expires_at"])
    return Reserved(body["day"], body["tokens"], body["pico"], expires_at)


def _reserved_to_json(one: Reserved) -> dict[str, Any]:
    expires_at = one.expires_at.isoformat()
    return {"day": one.day, "tokens": one.tokens, "pico": one.pico, "expires_at": expires_at}


def _day_to_json(day: Day) -> dict[str, Any]:
    unpriced = [Cell("", "", None, m, 0, u, None).to_row() for m, u in day.unpriced.items()]
    return {"tokens": day.tokens, "pico": day.pico, "unpriced": unpriced}


def _day_from_json(data: Mapping[str, Any]) -> Day:
    cells = [Cell.from_row(row) for row in data["unpriced"]]
    return Day(data["tokens"], data["pico"], {cell.model or "": cell.usage for cell in cells})
