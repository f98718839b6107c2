"""Re-run: the calls of a session once more under other settings, and what differs.

The messages are those of the log and the queries those of the calls, so that the settings
alone make a difference. The loop here knows neither windows nor stores: a `Scratch` makes the
windows, and `recorded` gives those that were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from ctxplug.errors import BudgetError, EmptyContextError
from ctxplug.storage import Entry
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.cache_meter import CacheMeter
from ctxplug.tokens.prices import Prices, cost
from ctxplug.tokens.usage import Usage
from ctxplug.tracing.difference import Cost, Difference
from ctxplug.tracing.past import Said, head_of, said_of
from ctxplug.tracing.sent import Sent, Window, sent
from ctxplug.tracing.step import WINDOW, Step

CACHED = 300.0  # seconds for which a provider keeps a prefix that is not asked for


class Scratch(Protocol):
    """A memory for one re-run, which nobody else sees.

    `said` has, by the versions of its own log, what they are in the log that is re-run.
    """

    counter: TokenCounter
    budget: int | None
    policy: str
    said: dict[int, Said]

    @property
    def notes(self) -> list[str]:
        """What is not as it was then for other reasons than the settings."""

    def take(self, entry: Entry) -> None:
        """Take over an entry of the log that is re-run."""

    def window(self, step: Step, *, alike: bool) -> Window:
        """Make the window for a recorded call; `alike` while nothing has differed so far."""


@dataclass(frozen=True)
class Total:
    """Sums over the calls of a session; `failed` are those that got no window."""

    calls: int
    failed: int
    tokens: int
    cost: Cost
    compactions: int

    @property
    def hit_share(self) -> float:
        """The share of the input that was read from the cache, 0.0 to 1.0."""
        return self.cost.read / self.tokens if self.tokens else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self) | {"hit_share": self.hit_share}


@dataclass(frozen=True)
class Rerun:
    """What a session's calls would have been under other settings.

    `calls` are the differences, in order; `before` and `after` the sums. `notes` say what is
    not as it was then for other reasons than the settings.
    """

    session: str
    settings: Mapping[str, Any]
    calls: tuple[Difference, ...]
    before: Total
    after: Total
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether every call would have been sent the same."""
        return all(call.same for call in self.calls)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "session": self.session,
            "settings": dict(self.settings),
            "same": self.same,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "calls": [call.to_dict() for call in self.calls],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        differ = sum(not call.same for call in self.calls)
        lines = [
            f"{len(self.calls)} calls of {self.session}, {differ} of them otherwise",
            f"tokens: {self.before.tokens:,} -> {self.after.tokens:,}",
            f"cost in plain input tokens: {self.before.cost.plain:,.0f} ->"
            f" {self.after.cost.plain:,.0f}",
            f"compactions: {self.before.compactions} -> {self.after.compactions}",
        ]
        dollars = self.before.cost.dollars, self.after.cost.dollars
        if None not in dollars:
            lines.insert(3, f"cost in dollars: {dollars[0]:.4f} -> {dollars[1]:.4f}")
        if self.before.failed or self.after.failed:
            lines.append(f"calls without a window: {self.before.failed} -> {self.after.failed}")
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True)
class Recording:
    """What is re-run: the calls, oldest first, and what is known of them.

    `window(step)` has the window that was sent then, and says whether it is `exact`.
    `earlier` are calls that stand in the log too, but in the sessions it was forked from.
    """

    session: str
    calls: Sequence[Step]
    entries: Iterable[Entry]
    window: Callable[[Step], Any]
    counter: TokenCounter
    earlier: Sequence[Step] = ()


def rerun(
    recording: Recording,
    scratch: Scratch,
    *,
    models: tuple[str | None, str | None],
    prices: Prices,
    settings: Mapping[str, Any],
    progress: Callable[[int], None] = lambda calls: None,
) -> Rerun:
    """Make the calls of `recording` again in `scratch` and return what differs.

    `models` are that of the recording and that of the re-run, for what they cost at `prices`.
    """
    log = iter(recording.entries)
    said: dict[int, Said] = {}
    waiting: list[Entry] = []
    bills = tuple(Bill(model, prices) for model in models)
    found: list[Difference] = []
    own = {step.id for step in recording.calls}
    alike, inexact = True, 0
    for step in sorted((*recording.earlier, *recording.calls), key=lambda one: head_of(one) or 0):
        _take(log, waiting, head_of(step) or 0, scratch, said)
        then, exact = _recorded(step, recording, said)
        inexact += not exact
        now = _again(step, scratch, alike)
        alike = alike and _alike(then, now)
        if step.id in own:
            costs = bills[0].enter(then, step), bills[1].enter(now, step)
            found.append(Difference(then, now, step.id, costs, step.data.get("query")))
            progress(1)
    notes = list(scratch.notes)
    if inexact:
        notes.append(f"{inexact} of the windows that were sent are not known exactly any more")
    before = _total([one.before for one in found], bills[0])
    after = _total([one.after for one in found], bills[1])
    return Rerun(recording.session, settings, tuple(found), before, after, tuple(notes))


class Bill:
    """What calls cost one after the other, with the prompt cache."""

    def __init__(self, model: str | None, prices: Prices) -> None:
        self.ratios = prices.ratios_of(model)
        self._price = prices.price_of(model)
        self._meter = CacheMeter(ratios=self.ratios)
        self._last: datetime | None = None
        self.sum = Cost(dollars=None if self._price is None else 0.0)

    def enter(self, call: Sent, step: Step) -> Cost:
        """Enter a call at the time of `step`, and return what its input costs."""
        if call.error is not None:
            return Cost(dollars=self.sum.dollars and 0.0)
        idle = (step.started_at - self._last).total_seconds() if self._last else 0.0
        self._last = step.started_at
        read, written = self._meter.request(
            call.prompt, front=call.front, key=tuple(call.tools), cold=idle >= CACHED
        )
        usage = Usage(cache_read_tokens=read, cache_write_tokens=written)
        plain = self.ratios.read * read + self.ratios.write * written
        spent = Cost(read, written, plain, cost(usage, self._price))
        self.sum += spent
        return spent


def _take(
    log: Iterator[Entry],
    waiting: list[Entry],
    head: int,
    scratch: Scratch,
    said: dict[int, Said],
) -> None:
    """Let `scratch` take over the log up to `head`; what was read too far waits."""
    while True:
        entry = waiting.pop() if waiting else next(log, None)
        if entry is None:
            return
        if entry.version > head:
            waiting.append(entry)
            return
        if "message" in entry.body:
            said[entry.version] = said_of(entry)
        scratch.take(entry)


def _recorded(step: Step, recording: Recording, said: Mapping[int, Said]) -> tuple[Sent, bool]:
    data = step.data
    if "hash" not in data:
        error = (step.error or step.outcome).partition(":")[0]
        blank = Sent(data.get("budget", 0), data.get("policy", ""), data.get("counter", ""))
        return _failed(blank, error, data.get("needed")), True
    made = recording.window(step)
    return sent(made.window, said, recording.counter), made.exact


def _again(step: Step, scratch: Scratch, alike: bool) -> Sent:
    try:
        window = scratch.window(step, alike=alike)
    except (BudgetError, EmptyContextError) as exc:
        budget = scratch.budget or step.data.get("budget", 0)
        blank = Sent(budget, scratch.policy, scratch.counter.name)
        return _failed(blank, type(exc).__name__, getattr(exc, "needed", None))
    return sent(window, scratch.said, scratch.counter)


def _failed(blank: Sent, error: str, needed: int | None) -> Sent:
    return Sent(blank.budget, blank.policy, blank.counter, error=error, needed=needed)


def _alike(before: Sent, after: Sent) -> bool:
    return (before.error, before.tokens, before.places) == (
        after.error,
        after.tokens,
        after.places,
    )


def _total(calls: Sequence[Sent], bill: Bill) -> Total:
    return Total(
        calls=len(calls),
        failed=sum(call.error is not None for call in calls),
        tokens=sum(call.tokens for call in calls),
        cost=bill.sum,
        compactions=_compactions(calls),
    )


def _compactions(calls: Sequence[Sent]) -> int:
    """Count what calls tell of a number that begins anew with each budget and each edit."""
    last: dict[int, int] = {}
    count = 0
    for call in calls:
        if call.error is None:
            before = last.get(call.budget, 0)
            count += call.compactions - before if call.compactions >= before else call.compactions
            last[call.budget] = call.compactions
    return count


def windows_of(steps: Iterable[Step]) -> list[Step]:
    """Return those of `steps` that are calls which can be made again, in order."""
    return [step for step in steps if step.kind == WINDOW and head_of(step) is not None]
