"""Calls that fetched again what an earlier answer, cut since, had brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ctxplug.tracing.analysis.calls import Call, Timeline
from ctxplug.tracing.analysis.finding import INFO, REPEATED_CALL, Finding
from ctxplug.tracing.step import WINDOW

VERBATIM = "verbatim"


class Again(NamedTuple):
    """A call, the one that it does again, and what had become of that one's answer."""

    call: Call
    before: Call
    fate: str | None


def repeated_calls(timeline: Timeline) -> Iterator[Finding]:
    """Yield, by tool, calls whose answer was in the log already, and not in full in the window."""
    answered: dict[str, Call] = {}
    again: dict[str, list[Again]] = defaultdict(list)
    for call in timeline.calls:
        before = answered.get(call.key)
        if before and call.text and call.text == before.text and call.window and before.answered:
            fate = _fate(timeline, call, before.answered) if call.turn != before.turn else VERBATIM
            if fate != VERBATIM:
                again[call.name].append(Again(call, before, fate))
        if call.text and not call.problem:
            answered[call.key] = call
    for some in again.values():
        yield _of(some)


def _fate(timeline: Timeline, call: Call, version: int) -> str | None:
    """Return what had become of an answer; what cannot be known counts as verbatim."""
    assert call.window is not None and call.window.kind == WINDOW
    window = timeline.goes_on_from(call.window)
    if version > int(window.data["head"]):
        return VERBATIM
    seen = timeline.subject.seen(window)
    return VERBATIM if seen is None else seen.fates.get(version)


def _of(some: Sequence[Again]) -> Finding:
    call, before, fate = some[0]
    gone = "was out of view" if fate is None else f"had been shortened by {fate!r}"
    times = "once" if len(some) == 1 else f"{len(some)} times"
    return Finding(
        kind=REPEATED_CALL,
        severity=INFO,
        summary=f"{call.name!r} was called again {times} for what it had already answered.",
        why=f"Message {before.answered} holds the same answer as message {call.answered}, and"
        f" {gone} when message {call.version} asked.",
        suggestion=f"Name {call.name!r} in the policy's keep_tools, raise the budget, or offer the"
        " model the tool expand, with which it reads an original back.",
        steps=tuple(dict.fromkeys(s for one in some for c in one[:2] for s in c.steps)),
        versions=tuple(sorted({v for one in some for c in one[:2] for v in c.versions})),
        data={"tool": call.name, "times": len(some), "fate": fate or "out of view"},
    )
