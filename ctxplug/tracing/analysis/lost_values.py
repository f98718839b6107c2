"""Values that a call needed, that the log holds, and that its window did not show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ctxplug.messages import Logged
from ctxplug.tracing.analysis.calls import Call, Timeline
from ctxplug.tracing.analysis.finding import HIGH, LOST_VALUE, WARNING, Finding
from ctxplug.tracing.analysis.meant import (
    harmed,
    is_refused,
    left_out,
    meant_by,
    put_right_by,
    stands_for,
)
from ctxplug.tracing.analysis.recovery import made_up_for
from ctxplug.tracing.analysis.values import (
    arguments,
    is_code,
    is_name,
    is_prose,
    length,
    specific,
    squash,
)
from ctxplug.tracing.analysis.whereabouts import Lost, Visible, Whereabouts

SHOWN = 3  # values that a sentence names
BESIDE = 24  # letters that an answer may have beside what was asked for, and twice its own
_ASKS = re.compile(
    r"\b(?:provide|give|tell me|share|what(?:'s| is| are| was)|which|may i have|need (?:your|the)"
    r"|confirm (?:your|the)|remind|again|once more|repeat)\b"
    r"|提供|告诉|告知|再说|再给|哪|多少|是什么|是几|几号|需要您的|需要你的",
    re.IGNORECASE,
)
_REQUESTS = re.compile(
    r"[?？]|\bplease\b|\bneed (?:your|the)\b|\b(?:give|tell|provide|remind|send) (?:me|us)\b"
    r"|请|麻烦|需要|告诉我|吗|呢",
    re.IGNORECASE,
)


def lost_values(timeline: Timeline) -> Iterator[Finding]:
    """Yield what calls and questions lacked: each value once, and once more if it then did harm."""
    past = Whereabouts(timeline.subject.messages)
    told: set[str] = set()
    harmful: set[str] = set()  # told again is what did no harm at first
    for call in timeline.calls:
        if call.window is None or not call.version:
            continue
        if timeline.subject.completed and not call.problem:
            continue  # what went well in what was completed is no cause of anything
        known = harmful if harmed(call) else told
        lost = [one for one in _lost_by(call, timeline, past) if squash(one.value) not in known]
        if lost:
            told |= {squash(one.value) for one in lost}
            harmful |= {squash(one.value) for one in lost if harmed(call)}
            lasting = harmed(call) and not made_up_for(call, timeline.calls[call.place + 1 :])
            yield _of_call(call, lost, HIGH if lasting else WARNING)
    for asked, answer, lost in _asked_again(timeline, past):
        fresh = [one for one in lost if squash(one.value) not in harmful]
        if fresh:
            harmful |= {squash(one.value) for one in fresh}
            yield _of_question(asked, answer, fresh)


# -- calls -------------------------------------------------------------------------------


def _lost_by(call: Call, timeline: Timeline, past: Whereabouts) -> list[Lost]:
    assert call.window is not None
    visible = Visible(timeline, past, call.window, call.version)
    right = made_up_for(call, timeline.calls[call.place + 1 :]) if call.problem else None

    def meant(key: str, used: str) -> list[Lost]:
        if not harmed(call):
            return []
        if right is None:
            return meant_by(call, key, used, visible, past)
        return put_right_by(call, right, key, used, visible, past)

    lost: list[Lost] = []
    for key, value in arguments(call.arguments):
        wanted = [] if is_prose(value) else specific(value)
        if call.problem and not wanted and (is_name(value) or is_code(value)):
            wanted = [value]
        if not wanted and is_refused(call, value):
            wanted = [value]
        for one in wanted:
            held = past.holders(one, call.version)
            if held and not visible.holds(one, held):
                lost.append(visible.lost(one, held))
            elif call.problem and (
                past.of_other(key, one, call.version) and is_refused(call, one)
                if held
                else not visible.holds(one, held)
            ):
                lost += meant(key, one)
        if call.problem and not wanted and stands_for(key, value):
            lost += meant(key, value)
    if harmed(call) and not lost:
        lost += left_out(call, timeline.calls, visible, past)
    return list({squash(one.value): one for one in lost}.values())


# -- questions -----------------------------------------------------------------------------


def _asked_again(
    timeline: Timeline, past: Whereabouts
) -> Iterator[tuple[Logged, Logged, list[Lost]]]:
    """Yield questions whose answers the log held, and the window before the question did not."""
    messages = timeline.subject.messages
    for asked, answer in pairwise(messages):
        if asked.message.role != "assistant" or answer.message.role != "user":
            continue
        if asked.message.tool_calls or not _is_question(asked.message.text):
            continue
        window = timeline.window_before(asked.version)
        if window is None:
            continue
        visible = Visible(timeline, past, window, asked.version)
        lost = []
        values = specific(answer.message.text + " ")
        if length(answer.message.text) > BESIDE + 3 * sum(map(length, values)):
            continue  # that is no answer, but a new matter
        for value in values:
            held = past.holders(value, asked.version)
            if held and not visible.holds(value, held):
                lost.append(visible.lost(value, held))
        if lost:
            yield asked, answer, lost


def _is_question(text: str) -> bool:
    """Say whether a sentence of the text asks for something to be said."""
    sentences = re.split(r"(?<=[.!?;])\s+|(?<=[。！？；\n])", text)
    return any(_ASKS.search(one) and _REQUESTS.search(one) for one in sentences)


# -- sentences -------------------------------------------------------------------------------


def _of_call(call: Call, lost: Sequence[Lost], severity: str) -> Finding:
    values = _listed([one.value for one in lost])
    held = sorted({version for one in lost for version in one.held})
    instead = next((one.used for one in lost if one.used is not None), None)
    failed = call.problem is not None
    summary = f"The call of {call.name!r} needed {values}, which its window did not hold."
    if instead is not None:
        used = f"used {instead!r}" if instead else "left it out"
        summary = f"The call of {call.name!r} {used} where {values} had been cut from its window."
    end = f"; the tool answered: {_quoted(call)}" if failed else ""
    return Finding(
        kind=LOST_VALUE,
        severity=severity,
        summary=summary,
        why=f"{_where(held)} {_fate(lost[0])} in the window of step {lost[0].window.id}, which"
        f" message {call.version} came from{end}.",
        suggestion=_advice(lost[0]),
        steps=call.steps,
        versions=tuple(sorted({*held, *call.versions})),
        data=_data(lost)
        | {"tool": call.name, "call": call.version, "failed": failed, "harmed": harmed(call)},
    )


def _of_question(asked: Logged, answer: Logged, lost: Sequence[Lost]) -> Finding:
    values = _listed([one.value for one in lost])
    held = sorted({version for one in lost for version in one.held})
    return Finding(
        kind=LOST_VALUE,
        severity=WARNING,
        summary=f"The user was asked for {values}, which had been said before.",
        why=f"{_where(held)} {_fate(lost[0])} in the window of step {lost[0].window.id}; message"
        f" {asked.version} asks, and message {answer.version} says it again.",
        suggestion=_advice(lost[0]),
        steps=(lost[0].window.id,),
        versions=tuple(sorted({*held, asked.version, answer.version})),
        data=_data(lost)
        | {"question": asked.version, "answer": answer.version, "failed": False, "harmed": True},
    )


def _data(lost: Sequence[Lost]) -> dict[str, object]:
    first = lost[0]
    return {
        "values": [one.value for one in lost],
        "used": [one.used for one in lost if one.used is not None],
        "held": sorted({version for one in lost for version in one.held}),
        "fate": first.fate or "out of view",
        "window": first.window.id,
        "budget": first.window.data.get("budget"),
    }


def _advice(lost: Lost) -> str:
    held = lost.held[-1]
    if lost.fate is None:
        return (
            f"Keep message {held} in view, or pin it, or remember the value with memory.remember"
            " so that recall brings it."
        )
    return (
        f"Raise the budget above {lost.window.data.get('budget')} tokens, pin message {held}, or"
        " name its tool in the policy's keep_tools; memory.original brings the whole back."
    )


def _where(held: Sequence[int]) -> str:
    if len(held) == 1:
        return f"Message {held[0]} holds it, and"
    return f"Messages {', '.join(map(str, held[:SHOWN]))} hold it, and"


def _fate(lost: Lost) -> str:
    if lost.fate is None:
        return f"message {lost.held[-1]} was out of view"
    if lost.fate == "verbatim":
        return f"message {lost.held[-1]} did not show it"
    return f"message {lost.held[-1]} stood there shortened by {lost.fate!r}"


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(repr(value) for value in values[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown} and {len(values) - SHOWN} more"


def _quoted(call: Call) -> str:
    return repr(call.problem.text[:120]) if call.problem else ""
