"""Steps of a trace that were measured elsewhere, entered under the ids that they have there."""

from __future__ import annotations

from ctxplug import AgentMemory, codec
from ctxplug.tracing.checks import check_measured, check_place
from ctxplug.tracing.step import Step
from ctxplug_server.schemas.tracing import StepIn


def entered(memory: AgentMemory, step: StepIn) -> Step:
    """Enter a step into the trace of `memory` and return it; its data may have any keys."""
    measured = step.duration, step.outcome, step.tokens, step.cost, step.error
    check_measured(*measured)
    check_place(step.name, step.parent, step.trace)
    check_place(step.name, step.id, None)
    span = memory.trace.span(step.name, kind=step.kind, parent=step.parent)
    span.id, span.trace = step.id or span.id, step.trace or span.trace
    span.data.update(codec.plain(step.data, "data"))
    span.started = step.started_at.timestamp()
    span.duration, span.outcome, span.tokens, span.cost, span.error = measured
    memory.trace.ended(span)
    return span.step(memory.scope)
