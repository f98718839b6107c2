"""Errors: which of them nothing made up for, and what came of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ctxplug.messages import Logged
from ctxplug.tracing.analysis.calls import Call, Timeline
from ctxplug.tracing.analysis.errors_told import ARGUMENT, PASSING, PERMISSION
from ctxplug.tracing.analysis.finding import (
    HIGH,
    INFO,
    MODEL_ERROR,
    RECOVERED_ERROR,
    STEP_ERROR,
    TOOL_ERROR,
    WARNING,
    WINDOW_ERROR,
    Finding,
)
from ctxplug.tracing.analysis.recovery import made_up_for
from ctxplug.tracing.analysis.values import words
from ctxplug.tracing.step import CANCELLED, ERROR, MODEL, SPAN, WINDOW, Step

_ADVICE = {
    PASSING: "Let the tool be tried again after a pause, with a longer timeout, or have another"
    " source for what it gives.",
    ARGUMENT: "Look at where the model took the arguments from; say in the tool's description"
    " which it takes, and let its error name what would be right.",
    PERMISSION: "Give the agent the right that it needs, or do not offer it the tool.",
}
_SORRY = re.compile(
    r"\b(?:sorry|apologi[sz]e|unfortunately|unable|error|issue|problem|however|not|no|cannot)\b"
    r"|n['’]t\b|抱歉|对不起|很遗憾|无法|不能|没有|未能|不|错误|问题|失败",
    re.IGNORECASE,
)
_OTHERWISE = "Let the tool's error say what to do, and tell the model when to try again."


def tool_errors(timeline: Timeline) -> Iterator[Finding]:
    """Yield the tool errors; those that nothing made up for as causes, one for equal calls."""
    lasting: dict[str, list[Call]] = defaultdict(list)
    for call in timeline.calls:
        if call.problem is None:
            continue
        later = made_up_for(call, timeline.calls[call.place + 1 :])
        if later is not None:
            yield _recovered(call, later)
        elif timeline.subject.failed is None and (told := _told(call, timeline)):
            yield _handled(call, told)
        else:
            lasting[call.key].append(call)
    for some in lasting.values():
        yield _lasting(some, timeline)


def other_errors(timeline: Timeline) -> Iterator[Finding]:
    """Yield errors of models, windows and the application's own steps that nothing followed up."""
    steps = timeline.subject.steps
    for i, step in enumerate(steps):
        if step.ok or step.outcome == CANCELLED:
            continue
        if step.kind in (MODEL, WINDOW):
            later = next((s for s in steps[i + 1 :] if s.kind == step.kind and s.ok), None)
            if later is None:
                yield _of_model(step) if step.kind == MODEL else _of_window(step)
        elif step.kind in (ERROR, SPAN) and not _holds_failure(step, steps):
            yield _of_step(step)


def _told(call: Call, timeline: Timeline) -> Logged | None:
    """Return the message in which the user was told of a refusal, if all went on from there.

    That a tool refuses an argument is how it is to work; what says so has words of the error.
    """
    assert call.problem is not None
    if call.problem.sort != ARGUMENT or not call.answered:
        return None
    later = [one for one in timeline.subject.messages if one.version > call.answered]
    spoken = [one for one in later if one.message.role in ("user", "assistant") and _says(one)]
    if len(spoken) < 2 or spoken[0].message.role != "assistant":
        return None
    answer, after = spoken[0], spoken[1:]
    if not any(one.message.role == "user" for one in after):
        return None
    text = answer.message.text
    shared = set(words(call.problem.text)) & set(words(text))
    return answer if _SORRY.search(text) and shared else None


def _says(logged: Logged) -> bool:
    return bool(logged.message.text) and not logged.message.tool_results


def _lasting(some: Sequence[Call], timeline: Timeline) -> Finding:
    call, last = some[0], some[-1]
    assert call.problem is not None
    rest = [other for other in timeline.calls[last.place + 1 :] if other.name == call.name]
    times = "" if len(some) == 1 else f", the first of {len(some)} that ask the same"
    after = (
        f"of {len(rest)} later calls of {call.name!r} none gave what it was to give"
        if rest
        else f"{call.name!r} was not called again"
    )
    return Finding(
        kind=TOOL_ERROR,
        severity=HIGH,
        summary=f"The tool {call.name!r} failed, and nothing made up for it:"
        f" {call.problem.text[:160]!r}.",
        why=f"{_place(call)} asks for it{times}, {_answer(call)}, and {after}.",
        suggestion=_ADVICE.get(call.problem.sort, _OTHERWISE),
        steps=tuple(dict.fromkeys(step for one in some for step in one.steps)),
        versions=tuple(sorted({version for one in some for version in one.versions})),
        data={
            "tool": call.name,
            "error": call.problem.text,
            "sort": call.problem.sort,
            "call": call.version,
            "calls": [one.version for one in some],
            "arguments": dict(call.arguments),
        },
    )


def _recovered(call: Call, later: Call) -> Finding:
    assert call.problem is not None
    how = "with the same arguments" if later.key == call.key else "with corrected arguments"
    if later.name != call.name:
        how = f"by way of {later.name!r}"
    return Finding(
        kind=RECOVERED_ERROR,
        severity=INFO,
        summary=f"The tool {call.name!r} failed, and then it went on {how}:"
        f" {call.problem.text[:120]!r}.",
        why=f"{_place(call)} asks in vain, {_place(later).lower()} with success.",
        suggestion=_ADVICE.get(call.problem.sort, _OTHERWISE),
        steps=tuple(dict.fromkeys((*call.steps, *later.steps))),
        versions=(*call.versions, *later.versions),
        data={"tool": call.name, "error": call.problem.text, "sort": call.problem.sort},
    )


def _handled(call: Call, told: Logged) -> Finding:
    assert call.problem is not None
    return Finding(
        kind=RECOVERED_ERROR,
        severity=INFO,
        summary=f"The tool {call.name!r} refused a call, and the user was told:"
        f" {call.problem.text[:120]!r}.",
        why=f"{_place(call)} asks in vain, message {told.version} speaks of it, and the"
        " user went on from there.",
        suggestion=_ADVICE[ARGUMENT],
        steps=call.steps,
        versions=(*call.versions, told.version),
        data={"tool": call.name, "error": call.problem.text, "sort": call.problem.sort},
    )


def _place(call: Call) -> str:
    if call.version:
        return f"Message {call.version}"
    return f"Step {call.step.id}" if call.step else "A call"


def _answer(call: Call) -> str:
    if call.answered:
        return f"message {call.answered} is its error"
    return f"step {call.step.id} ended as {call.step.outcome!r}" if call.step else "it failed"


def _of_model(step: Step) -> Finding:
    return Finding(
        kind=MODEL_ERROR,
        severity=HIGH,
        summary=f"The call of the model {step.name or 'without a name'} failed:"
        f" {(step.error or step.outcome)[:160]!r}.",
        why=f"Step {step.id} ended as {step.outcome!r} after {step.duration:.1f} s, and no later"
        " call succeeded.",
        suggestion="Try again within a deadline, and have another model to turn to.",
        steps=(step.id,),
        data={"error": step.error, "outcome": step.outcome},
    )


def _of_window(step: Step) -> Finding:
    needed, budget = step.data.get("needed"), step.data.get("budget")
    most = max(step.data.get("tokens", {}).items(), key=lambda part: part[1], default=None)
    return Finding(
        kind=WINDOW_ERROR,
        severity=HIGH,
        summary=f"No window fitted the budget of {budget} tokens: {needed} were needed."
        if needed
        else f"A window could not be made: {(step.error or step.outcome)[:160]!r}.",
        why=f"Step {step.id} ended as {step.outcome!r}"
        + (f", the largest part being {most[0]!r} with {most[1]} tokens." if most else "."),
        suggestion="Raise the budget, shorten the system prompt or offer fewer tools, or use a"
        " policy with digest_loop for long tool loops.",
        steps=(step.id,),
        data={"needed": needed, "budget": budget, "error": step.error},
    )


def _of_step(step: Step) -> Finding:
    return Finding(
        kind=STEP_ERROR,
        severity=WARNING,
        summary=f"The step {step.name or step.kind!r} failed:"
        f" {(step.error or step.outcome)[:160]!r}.",
        why=f"Step {step.id} ended as {step.outcome!r}, and no step inside it tells why.",
        suggestion="Give the parts of it spans of their own, so that the next trace tells which.",
        steps=(step.id,),
        data={"error": step.error, "name": step.name},
    )


def _holds_failure(step: Step, steps: Sequence[Step]) -> bool:
    """Say whether a step inside this one failed: then that is what to look at."""
    return any(inner.parent == step.id and not inner.ok for inner in steps)
