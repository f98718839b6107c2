"""Failure chains: from what went wrong first to where it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ctxplug.tracing.analysis.calls import Call, Timeline
from ctxplug.tracing.analysis.finding import (
    FAILURE,
    HIGH,
    LOST_VALUE,
    MODEL_ERROR,
    RETRY_LOOP,
    SLOW_STEP,
    TOOL_ERROR,
    WINDOW_ERROR,
    Finding,
)
from ctxplug.tracing.step import Step

BEFORE = 3  # calls before a failure that are told


def failures(timeline: Timeline, found: Sequence[Finding]) -> Iterator[Finding]:
    """Yield a chain for each thing that failed for good, and for a session that is marked so."""
    ends = [f for f in found if f.kind in (TOOL_ERROR, MODEL_ERROR, WINDOW_ERROR)]
    for end in ends:
        yield _chain(timeline, end, found)
    if timeline.subject.failed is not None:
        yield _session(timeline, timeline.subject.failed, found)


def _chain(timeline: Timeline, end: Finding, found: Sequence[Finding]) -> Finding:
    root = _root(end, found)
    links = _before(timeline, end)
    if root is not end:
        links.append({"kind": root.kind, "what": root.summary, "steps": list(root.steps)})
    links.append({"kind": end.kind, "what": end.summary, "steps": list(end.steps)})
    after = _after(timeline, end)
    links += after
    before = len(links) - 1 - len(after)
    told = f"{before} thing{'s' * (before != 1)} preceded it"
    return Finding(
        kind=FAILURE,
        severity=HIGH,
        summary=f"The session failed at: {end.summary}"
        if root is end
        else f"{end.summary} It goes back to: {root.summary}",
        why=f"{told}, and {len(after)} message{'s' * (len(after) != 1)} followed."
        + (f" {root.why}" if root is not end else ""),
        suggestion=root.suggestion,
        steps=tuple(dict.fromkeys((*root.steps, *end.steps))),
        versions=tuple(sorted({*root.versions, *end.versions})),
        data={"root": root.kind, "end": end.kind, "chain": links},
    )


def _root(end: Finding, found: Sequence[Finding]) -> Finding:
    """Return what the failure goes back to: what the call lacked, or the loop that it ends."""
    calls = [call for call in end.data.get("calls", ()) if call]
    for finding in found:
        lacked = finding.kind == LOST_VALUE and finding.data.get("call") in calls
        lacked = lacked and finding.data["harmed"]  # an error that passes is no matter of values
        looped = finding.kind == RETRY_LOOP and set(calls) & set(finding.versions)
        slow = finding.kind == SLOW_STEP and set(finding.steps) & set(end.steps)
        if lacked or looped or (slow and "tim" in str(end.data.get("sort", ""))):
            return finding
    return end


def _before(timeline: Timeline, end: Finding) -> list[dict[str, Any]]:
    """Return the calls before, in the same turn."""
    version = end.data.get("call") or 0
    here = [i for i, call in enumerate(timeline.calls) if version and call.version == version]
    if not here:
        return [_step(step) for step in _steps_before(timeline, end)]
    call = timeline.calls[here[0]]
    earlier = timeline.calls[max(0, here[0] - BEFORE) : here[0]]
    return [_link(one) for one in earlier if one.turn == call.turn]


def _steps_before(timeline: Timeline, end: Finding) -> Sequence[Step]:
    steps = timeline.subject.steps
    place = next((i for i, step in enumerate(steps) if step.id in end.steps), 0)
    return steps[max(0, place - BEFORE) : place]


def _step(step: Step) -> dict[str, Any]:
    return {"kind": step.kind, "what": f"{step.name}: {step.outcome}", "steps": [step.id]}


def _link(call: Call) -> dict[str, Any]:
    outcome = call.problem.text if call.problem else "ok"
    return {"kind": "call", "what": f"{call.name}: {outcome}", "steps": list(call.steps)}


def _after(timeline: Timeline, end: Finding) -> list[dict[str, Any]]:
    """Return what the model said next to the user."""
    last = max(end.versions, default=0)
    if not last:
        return []
    for logged in timeline.subject.messages:
        message = logged.message
        if logged.version > last and message.role == "assistant" and message.text:
            return [{"kind": "answer", "what": message.text[:160], "version": logged.version}]
    return []


def _session(timeline: Timeline, reason: str, found: Sequence[Finding]) -> Finding:
    roots = [f for f in found if f.kind in (LOST_VALUE, TOOL_ERROR, RETRY_LOOP, SLOW_STEP)]
    root = roots[0] if roots else None
    last = timeline.subject.steps[-1:]
    return Finding(
        kind=FAILURE,
        severity=HIGH,
        summary=f"The session is marked as failed: {reason[:160]!r}.",
        why=f"The likeliest reason that was found: {root.summary}"
        if root
        else "Nothing that was recorded tells why.",
        suggestion=root.suggestion
        if root
        else "Look at the last windows with memory.trace.replay(), and record the tools and models"
        " of the application as steps.",
        steps=root.steps if root else tuple(step.id for step in last),
        versions=root.versions if root else (),
        data={"root": root.kind if root else None, "end": "session", "reason": reason},
    )
