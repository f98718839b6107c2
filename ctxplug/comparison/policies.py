"""The usual ways to keep a history within a budget, to set beside ours.

Each is made for one session and called before every model call with the whole history
so far; it returns what would be sent. They follow what the frameworks do by default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from ctxplug.messages import Logged, Message, TextPart
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.cache_meter import CacheMeter

Policy: TypeAlias = Callable[[Sequence[Logged]], Sequence[Logged]]
MakePolicy: TypeAlias = Callable[[int, TokenCounter, CacheMeter], Policy]

KEPT_RESULTS = 3
KEPT_MESSAGES = 20
SUMMARY_WORDS = 300
SUMMARY_READS = 4_000  # tokens that the stock summarizer reads at most
OUTPUT_PRICE = 5.0  # of an output token, in plain input tokens


def full_history(budget: int, counter: TokenCounter, meter: CacheMeter) -> Policy:
    """Send everything, whatever the budget."""
    return lambda history: history


def sliding_window(budget: int, counter: TokenCounter, meter: CacheMeter) -> Policy:
    """Send the newest messages that fit, from a user message on."""
    return lambda history: _newest(history, budget)


def clear_tool_results(budget: int, counter: TokenCounter, meter: CacheMeter) -> Policy:
    """Above the budget, blank all but the last 3 tool results; trim what is still too much."""
    blanks: dict[int, Logged] = {}

    def policy(history: Sequence[Logged]) -> Sequence[Logged]:
        if sum(m.tokens for m in history) <= budget:
            return history
        results = [m.version for m in history if m.message.tool_results]
        cleared = set(results[:-KEPT_RESULTS])
        sent = []
        for logged in history:
            if logged.version in cleared:
                if logged.version not in blanks:
                    blanks[logged.version] = _blank(logged, counter)
                logged = blanks[logged.version]
            sent.append(logged)
        return _newest(sent, budget)

    return policy


def summarize(budget: int, counter: TokenCounter, meter: CacheMeter) -> Policy:
    """Above the budget, put a summary in place of all but the last 20 messages.

    A stand-in of 300 words takes the summary's place; the summarizer's own call is charged.
    """
    text = "Summary of the conversation so far: " + "word " * SUMMARY_WORDS
    stand_in = Message("user", text, id="summary")
    summary = Logged(0, stand_in, counter.count(stand_in))
    state = {"cut": 0}

    def policy(history: Sequence[Logged]) -> Sequence[Logged]:
        system = [m for m in history if m.message.role == "system"]
        rest = [m for m in history if m.message.role != "system"]
        sent = [*system, *([summary] if state["cut"] else []), *rest[state["cut"] :]]
        if sum(m.tokens for m in sent) <= budget:
            return sent
        before = state["cut"]
        state["cut"] = _pair_start(rest, max(0, len(rest) - KEPT_MESSAGES))
        read = min(SUMMARY_READS, sum(m.tokens for m in rest[before : state["cut"]]))
        meter.extra += read + OUTPUT_PRICE * summary.tokens
        return [*system, summary, *rest[state["cut"] :]]

    return policy


POLICIES: Mapping[str, MakePolicy] = {
    "full history": full_history,
    "sliding window": sliding_window,
    "clear tool results": clear_tool_results,
    "summarize": summarize,
}


def _newest(history: Sequence[Logged], budget: int) -> Sequence[Logged]:
    system = [m for m in history if m.message.role == "system"]
    rest = [m for m in history if m.message.role != "system"]
    left = budget - sum(m.tokens for m in system)
    start = len(rest)
    while start and rest[start - 1].tokens <= left:
        start -= 1
        left -= rest[start].tokens
    while 0 < start < len(rest) and rest[start].message.role != "user":
        start += 1
    return [*system, *rest[start:]]


def _pair_start(messages: Sequence[Logged], start: int) -> int:
    """Move a cut back to before the call whose results it would part."""
    while start and messages[start].message.role == "tool":
        start -= 1
    return start


def _blank(logged: Logged, counter: TokenCounter) -> Logged:
    results = tuple(
        replace(result, content=(TextPart("[cleared]"),)) for result in logged.message.tool_results
    )
    message = replace(logged.message, content=results)
    return replace(logged, message=message, tokens=counter.count(message))
