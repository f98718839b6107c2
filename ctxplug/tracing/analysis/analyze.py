"""The analysis: every question that is asked of a session, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ctxplug.tracing.analysis.cache_breaks import cache_breaks
from ctxplug.tracing.analysis.calls import Timeline, read
from ctxplug.tracing.analysis.failures import failures
from ctxplug.tracing.analysis.finding import (
    LOST_VALUE,
    RETRY_LOOP,
    TOOL_ERROR,
    Analysis,
    Finding,
    ordered,
)
from ctxplug.tracing.analysis.hot_spots import hot_spots
from ctxplug.tracing.analysis.lost_values import lost_values
from ctxplug.tracing.analysis.patterns import patterns
from ctxplug.tracing.analysis.recalls import recalls
from ctxplug.tracing.analysis.repeated_calls import repeated_calls
from ctxplug.tracing.analysis.retry_loops import retry_loops
from ctxplug.tracing.analysis.slow_steps import slow_steps
from ctxplug.tracing.analysis.subject import Subject
from ctxplug.tracing.analysis.tool_errors import other_errors, tool_errors

QUESTIONS: tuple[Callable[[Timeline], Iterator[Finding]], ...] = (
    lost_values,
    tool_errors,
    other_errors,
    retry_loops,
    slow_steps,
    repeated_calls,
    patterns,
    hot_spots,
    recalls,
    cache_breaks,
)


def analyze(subject: Subject) -> Analysis:
    """Return what is found in a session: a pure function of what `subject` gives."""
    timeline = read(subject)
    found = [finding for question in QUESTIONS for finding in question(timeline)]
    found = _explained(found)
    found += failures(timeline, found)
    return Analysis(subject.session, ordered(found), tuple(_notes(timeline)))


def _explained(found: list[Finding]) -> list[Finding]:
    """Mark tool errors that another finding is the reason of, or that a loop is made of."""
    reasons = {
        finding.data["call"]: finding.kind
        for finding in found
        if finding.kind == LOST_VALUE and finding.data.get("failed") and finding.data["harmed"]
    }
    looped = {
        version: RETRY_LOOP
        for finding in found
        if finding.kind == RETRY_LOOP
        for version in finding.versions
    }
    marked = []
    for finding in found:
        if finding.kind == TOOL_ERROR and finding.data["call"]:
            calls = finding.data["calls"]
            named = [why[call] for why in (reasons, looped) for call in calls if call in why]
            reason = next(iter(named), None)
            if reason:
                finding = replace(finding, data={**finding.data, "caused_by": reason})
        marked.append(finding)
    return marked


def _notes(timeline: Timeline) -> Iterator[str]:
    subject = timeline.subject
    if not subject.steps:
        yield (
            "No steps are recorded, so only what the messages tell could be looked at: open the"
            " memory with tracing on."
        )
    elif not timeline.windows:
        yield (
            "No window was recorded, so whether one lacked a value could not be looked at: call"
            " memory.context() before each model call."
        )
    yield from dict.fromkeys(getattr(subject, "notes", ()))
