"""Steps that took far longer than steps of their kind and name usually do."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ctxplug.tracing.analysis.calls import Timeline
from ctxplug.tracing.analysis.finding import SLOW_STEP, WARNING, Finding
from ctxplug.tracing.analysis.robust import Outlier, Usual
from ctxplug.tracing.step import COMPACTION, SPAN, Step

WAITED = 0.1  # seconds beyond the usual, below which nobody minds


def slow_steps(timeline: Timeline) -> Iterator[Finding]:
    """Yield the steps that are slow against the session's and the namespace's history."""
    subject = timeline.subject
    known = [*subject.history, *subject.steps]
    compacted = {step.parent for step in known if step.kind == COMPACTION}
    usual = Usual((_sort(s, compacted), s.name, s.duration) for s in known)
    inner: dict[str, list[Step]] = {}
    for step in subject.steps:
        if step.parent:
            inner.setdefault(step.parent, []).append(step)
    slow = {}
    for step in subject.steps:
        outlier = usual.outlier(_sort(step, compacted), step.name, step.duration)
        if outlier and step.duration - outlier.usual >= WAITED:
            slow[step.id] = step, outlier
    for step, outlier in slow.values():
        if not any(one.id in slow for one in inner.get(step.id, ())):
            yield _slow(step, outlier)


def _sort(step: Step, compacted: Collection[str | None]) -> str:
    """Return what steps are compared by: a window with a compaction is another thing."""
    if step.id in compacted:
        return f"{step.kind} with {COMPACTION}"
    return f"{SPAN} {step.name}" if step.kind == SPAN else step.kind


def _slow(step: Step, outlier: Outlier) -> Finding:
    what = f"{step.kind} {step.name!r}" if step.name else step.kind
    of = f"steps of {what}" if outlier.by_name else f"{step.kind} steps of any name"
    return Finding(
        kind=SLOW_STEP,
        severity=WARNING,
        summary=f"The {what} took {step.duration:.2f} s, {outlier.ratio:.0f} times the usual.",
        why=f"The median of {outlier.known} other {of} is {outlier.usual:.2f} s, and step"
        f" {step.id} is {outlier.far:.1f} robust standard deviations of the logarithm above it.",
        suggestion=_advice(step),
        steps=(step.id,),
        data={
            "duration": step.duration,
            "usual": outlier.usual,
            "ratio": outlier.ratio,
            "deviations": outlier.far,
            "known": outlier.known,
            "name": step.name,
            "kind": step.kind,
        },
    )


def _advice(step: Step) -> str:
    if step.kind == "tool":
        return "Give the tool a timeout a few times its usual duration, and let it be tried again."
    if step.kind == "model":
        return "Set a deadline for model calls, and look at the tokens and retries of this one."
    return "Look at the steps inside it, and give its parts spans of their own if there are none."
