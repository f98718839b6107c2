"""UsageReport: tokens and cost of some days, by day, session, agent and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, TypeAlias

from ctxplug.scope import Namespace, namespace_key
from ctxplug.tokens.book import PICO, Cell
from ctxplug.tokens.prices import Prices
from ctxplug.tokens.usage import Usage

By: TypeAlias = Literal["day", "session", "agent", "model"]
NAMELESS = "(none)"  # calls without an agent or a model


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Calls added up. `unpriced_calls` had no known price, and then `cost` is None."""

    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    priced_cost: float = 0.0
    unpriced_calls: int = 0

    @property
    def tokens(self) -> int:
        """All tokens, in and out."""
        return self.usage.total

    @property
    def cost(self) -> float | None:
        """The cost in US dollars, or None if that of any call is unknown."""
        return None if self.unpriced_calls else self.priced_cost

    @property
    def cache_hit_share(self) -> float:
        """The share of input tokens that was read from the prompt cache, 0.0 to 1.0."""
        whole = self.usage.total_input
        return self.usage.cache_read_tokens / whole if whole else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON data; an unknown cost is null."""
        return {
            "calls": self.calls,
            "tokens": self.tokens,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "cache_read_tokens": self.usage.cache_read_tokens,
            "cache_write_tokens": self.usage.cache_write_tokens,
            "cache_hit_share": round(self.cache_hit_share, 4),
            "cost": self.cost,
            "priced_cost": self.priced_cost,
            "unpriced_calls": self.unpriced_calls,
        }


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a namespace spent from `since` to `until`, both included, in UTC days.

    `by_day` has every day, quiet ones too; the others are in order of tokens, most first.
    """

    namespace: Namespace
    since: str
    until: str
    prices_as_of: str
    total: UsageLine
    by_day: Mapping[str, UsageLine]
    by_session: Mapping[str, UsageLine]
    by_agent: Mapping[str, UsageLine]
    by_model: Mapping[str, UsageLine]

    def by(self, what: By) -> Mapping[str, UsageLine]:
        """Return the lines by "day", "session", "agent" or "model"."""
        lines: Mapping[str, UsageLine] = getattr(self, f"by_{what}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        data: dict[str, Any] = {
            "namespace": namespace_key(self.namespace),
            "since": self.since,
            "until": self.until,
            "currency": "USD",
            "prices_as_of": self.prices_as_of,
            "total": self.total.to_dict(),
        }
        for name in ("by_day", "by_session", "by_agent", "by_model"):
            data[name] = {key: line.to_dict() for key, line in getattr(self, name).items()}
        return data


def make_report(
    cells: Iterable[Cell], namespace: Namespace, since: date, until: date, prices: Prices
) -> UsageReport:
    """Return the report of `cells`; what had no price then is priced if it has one now."""
    wanted = [
        cell.priced(prices) for cell in cells if since.isoformat() <= cell.day <= until.isoformat()
    ]
    days = [(since + timedelta(n)).isoformat() for n in range((until - since).days + 1)]
    by_day = _grouped([(cell.day, cell) for cell in wanted])
    return UsageReport(
        namespace,
        since.isoformat(),
        until.isoformat(),
        prices.as_of,
        total=_line(wanted),
        by_day={day: by_day.get(day, UsageLine()) for day in days},
        by_session=_grouped([(cell.session, cell) for cell in wanted]),
        by_agent=_grouped([(cell.agent or NAMELESS, cell) for cell in wanted]),
        by_model=_grouped([(cell.model or NAMELESS, cell) for cell in wanted]),
    )


def _grouped(cells: Iterable[tuple[str, Cell]]) -> dict[str, UsageLine]:
    groups: dict[str, list[Cell]] = {}
    for name, cell in cells:
        groups.setdefault(name, []).append(cell)
    lines = {name: _line(group) for name, group in groups.items()}
    return dict(sorted(lines.items(), key=lambda pair: (-pair[1].tokens, pair[0])))


def _line(cells: Iterable[Cell]) -> UsageLine:
    calls = unpriced = pico = 0
    usage = Usage()
    for cell in cells:
        calls += cell.calls
        usage += cell.usage
        pico += cell.pico or 0
        unpriced += cell.calls if cell.pico is None else 0
    return UsageLine(calls, usage, pico / PICO, unpriced)
