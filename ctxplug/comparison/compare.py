"""Replay a transcript under several policies and set the results side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ctxplug.agent_memory import AgentMemory
from ctxplug.comparison.policies import POLICIES
from ctxplug.comparison.survival import Survival, tool_only
from ctxplug.context.policy import PRESETS, ContextPolicy
from ctxplug.errors import BudgetError, EmptyContextError, UnknownComponentError
from ctxplug.messages import Logged, Message
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.cache_meter import CacheMeter
from ctxplug.tracing.sent import counted


@dataclass(frozen=True)
class Row:
    """One policy's figures; token sums are over all model calls.

    `cost` is the effective input in plain input tokens, `hit_share` what of the input was
    read from the cache, `history` the mean tokens of history sent, `covered` the mean share
    of messages that what is sent stands for (word for word or compressed), `words` the share
    sent word for word; `lost` of `needed` argument values came from a tool result that was
    gone; `facts` is the mean share of the history's numbers, dates and identifiers that are
    in what is sent. `skipped` calls had no window within the budget.
    """

    policy: str
    calls: int
    tokens: int
    cost: float
    hit_share: float
    history: float
    covered: float
    words: float
    needed: int
    lost: int
    results_removed: float
    facts: float | None
    skipped: int = 0


@dataclass(frozen=True)
class Comparison:
    """All rows for one transcript and budget; counts are by `counter`."""

    budget: int
    counter: str
    messages: int
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class _Call:
    """What a policy sends before one assistant message, and how much of the past it is."""

    sent: Sequence[Logged]
    covered: int
    words: int


Sender = Callable[[Sequence[Logged]], _Call | None]


def compare(
    messages: Sequence[Message],
    *,
    budget: int,
    counter: TokenCounter,
    policies: Sequence[str | ContextPolicy] = ("balanced", *POLICIES),
    progress: Callable[[int], None] = lambda calls: None,
) -> Comparison:
    """Return the figures of each policy: names of ours, of the usual ones, or a ContextPolicy.

    Raises UnknownComponentError for a name that is neither.
    """
    counted = [Logged(i + 1, m, counter.count(m)) for i, m in enumerate(messages)]
    needs = {
        i: tool_only(logged.message, counted[:i])
        for i, logged in enumerate(counted)
        if logged.message.role == "assistant" and i
    }
    rows = [_row(policy, counted, needs, budget, counter, progress) for policy in policies]
    return Comparison(budget, counter.name, len(messages), tuple(rows))


def _row(
    policy: str | ContextPolicy,
    counted: Sequence[Logged],
    needs: dict[int, list[str]],
    budget: int,
    counter: TokenCounter,
    progress: Callable[[int], None],
) -> Row:
    meter, survival = CacheMeter(), Survival()
    covered = words = history = 0.0
    skipped = 0
    for i, call in _calls(policy, counted, needs, budget, counter, meter):
        progress(1)
        if call is None:
            skipped += 1
            continue
        meter.request(call.sent)
        survival.look(needs[i], counted[:i], call.sent)
        covered += call.covered / i
        words += call.words / i
        history += sum(m.tokens for m in call.sent if m.message.role != "system")
    n = max(1, meter.calls)
    full = survival.results_full
    return Row(
        policy=policy if isinstance(policy, str) else policy.name,
        calls=meter.calls,
        tokens=meter.tokens,
        cost=meter.cost,
        hit_share=meter.hit_share,
        history=history / n,
        covered=covered / n,
        words=words / n,
        needed=survival.tool_only,
        lost=survival.lost,
        results_removed=1 - survival.results_sent / full if full else 0.0,
        facts=survival.fact_share,
        skipped=skipped,
    )


def _calls(
    policy: str | ContextPolicy,
    counted: Sequence[Logged],
    needs: dict[int, list[str]],
    budget: int,
    counter: TokenCounter,
    meter: CacheMeter,
) -> Iterator[tuple[int, _Call | None]]:
    if isinstance(policy, str) and policy in POLICIES:
        send = POLICIES[policy](budget, counter, meter)
        for i in needs:
            sent = send(counted[:i])
            verbatim = sum(m.version > 0 for m in sent)
            yield i, _Call(sent, verbatim, verbatim)
        return
    if isinstance(policy, str) and policy not in PRESETS:
        known = (*PRESETS, *POLICIES)
        raise UnknownComponentError(
            f"There is no policy {policy!r} to compare; choose from {', '.join(known)}.",
            kind="policy",
            name=policy,
            known=known,
        )
    with AgentMemory.open(
        namespace="comparison", session="one", budget=budget, policy=policy, counter=counter
    ) as memory:
        for i, logged in enumerate(counted):
            if i in needs:
                yield i, _window(memory)
            memory.add(logged.message)


def _window(memory: AgentMemory) -> _Call | None:
    try:
        window = memory.context()
    except (BudgetError, EmptyContextError):
        return None
    kept = {v for fate in window.report.kept for v in fate.versions}
    known = kept | {v for fate in window.report.compressed for v in fate.versions}
    return _Call(counted(window, memory.counter), len(known), len(kept))
