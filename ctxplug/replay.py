"""Replay: a recorded conversation through a memory, turn by turn, as if it happened now.

Before each assistant message the memory is asked for the window that the model would
have been sent; the recorded message is then added. What it costs and whether a provider
would accept it is the report of that turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Literal, TypeAlias

from ctxplug.agent_memory import AgentMemory
from ctxplug.context.validity import Fault, check_anthropic, check_openai
from ctxplug.context.window import ContextWindow
from ctxplug.errors import BudgetError, EmptyContextError, InvalidValueError
from ctxplug.transcripts import Conversation

Outcome: TypeAlias = Literal["valid", "invalid", "over budget", "no user yet"]

PROVIDERS: Mapping[str, Callable[[ContextWindow], list[Fault]]] = {
    "anthropic": lambda window: check_anthropic(window.to_anthropic()),
    "openai": lambda window: check_openai(window.to_openai()),
}
"""The providers whose rules every window is checked against."""


@dataclass(frozen=True, slots=True)
class TurnReport:
    """One model call of a replay; counts are in tokens and messages, `seconds` of our work.

    `tokens_in` is the whole history as a request, `tokens_sent` the window (0 where there
    is none). Of the messages so far, `kept` are sent word for word and `compressed` in
    another form. `outcome` says whether the window is "valid" or "invalid" (then `reasons`
    are the broken rules), was "over budget" (`needed` tokens must be sent), or was not
    asked for because there is "no user yet".
    """

    turn: int
    outcome: Outcome
    tokens_in: int
    tokens_sent: int
    kept: int
    compressed: int
    left_out: int
    mended: int
    seconds: float
    needed: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """Totals over turns. Tokens are those of the turns that have a window."""

    turns: int
    valid: int
    invalid: int
    over_budget: int
    no_user_yet: int
    tokens_in: int
    tokens_sent: int
    p50_ms: float
    p95_ms: float

    @property
    def reduction(self) -> float:
        """The share of `tokens_in` that was not sent, 0.0 to 1.0."""
        return 1 - self.tokens_sent / self.tokens_in if self.tokens_in else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the totals as JSON data, `reduction` included."""
        return asdict(self) | {"reduction": self.reduction}


def replay(
    conversation: Conversation, memory: AgentMemory, *, providers: Iterable[str] = tuple(PROVIDERS)
) -> Iterator[TurnReport]:
    """Add the conversation to `memory`, yielding a report for each assistant message.

    The session should be empty. Every message is in it once the iterator is exhausted.
    Raises InvalidValueError for an unknown provider.
    """
    checks = [_check(name) for name in providers]
    tokens_in, turn, seconds = memory.counter.request_tokens, 0, 0.0
    for before, message in enumerate(conversation.messages):
        if message.role == "assistant":
            turn += 1
            report = _turn(memory, checks, before, seconds)
            yield replace(report, turn=turn, tokens_in=tokens_in)
            seconds = 0.0
        started = perf_counter()
        stored = memory.add(message)
        seconds += perf_counter() - started
        tokens_in += memory.counter.count(stored)


def summarize(turns: Sequence[TurnReport]) -> ReplaySummary:
    """Return the totals over `turns`, of one conversation or of many."""
    sent = [turn for turn in turns if turn.outcome in ("valid", "invalid")]
    times = [turn.seconds * 1000 for turn in turns] or [0.0]

    def count(outcome: Outcome) -> int:
        return sum(turn.outcome == outcome for turn in turns)

    return ReplaySummary(
        turns=len(turns),
        valid=count("valid"),
        invalid=count("invalid"),
        over_budget=count("over budget"),
        no_user_yet=count("no user yet"),
        tokens_in=sum(turn.tokens_in for turn in sent),
        tokens_sent=sum(turn.tokens_sent for turn in sent),
        p50_ms=median(times),
        p95_ms=quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0],
    )


def _turn(
    memory: AgentMemory, checks: Iterable[_Check], messages: int, seconds: float
) -> TurnReport:
    started = perf_counter()
    empty = TurnReport(0, "no user yet", 0, 0, 0, 0, 0, 0, seconds)
    try:
        window = memory.context()
    except EmptyContextError:
        return empty
    except BudgetError as exc:
        seconds += perf_counter() - started
        return replace(
            empty, outcome="over budget", needed=exc.needed, reasons=(str(exc),), seconds=seconds
        )
    seconds += perf_counter() - started
    faults = tuple(fault for check in checks for fault in check(window))
    report = window.report
    kept = {version for fate in report.kept for version in fate.versions}
    compressed = {version for fate in report.compressed for version in fate.versions} - kept
    return replace(
        empty,
        outcome="invalid" if faults else "valid",
        tokens_sent=window.tokens,
        kept=len(kept),
        compressed=len(compressed),
        left_out=max(0, messages - len(kept) - len(compressed)),
        mended=len(report.repairs),
        seconds=seconds,
        reasons=faults,
    )


_Check: TypeAlias = Callable[[ContextWindow], Iterable[str]]


def _check(provider: str) -> _Check:
    if provider not in PROVIDERS:
        raise InvalidValueError(
            f"There are no rules for {provider!r}; choose from {', '.join(PROVIDERS)}.",
            path="provider",
        )
    return lambda window: (f"{provider} {fault}" for fault in PROVIDERS[provider](window))
