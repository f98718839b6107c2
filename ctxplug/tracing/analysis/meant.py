"""What a call that failed needed in place of what it used: a value of the log that was cut."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from ctxplug.tracing.analysis.calls import Call
from ctxplug.tracing.analysis.errors_told import ARGUMENT, PASSING
from ctxplug.tracing.analysis.values import (
    arguments,
    is_name,
    is_placeholder,
    length,
    same_key,
    shape,
    specific,
    squash,
)
from ctxplug.tracing.analysis.whereabouts import Lost, Visible, Whereabouts

NAMED = 4  # letters of a value or a field from which an error's naming it is no chance
_LACKS = re.compile(r"missing|required|argument|parameter|field|缺|必填|参数|字段", re.IGNORECASE)


def meant_by(call: Call, key: str, used: str, visible: Visible, past: Whereabouts) -> list[Lost]:
    """Return what may have been meant by a value that nothing gives: one that was cut.

    That is one of the same field or form; failing that, where the tool refused what was used,
    the one most like it, or the newest.
    """
    form = None if stands_for(key, used) else shape(used)
    made_up = is_refused(call, used or key)
    best: tuple[float, Lost] | None = None
    checked: set[str] = set()
    for version, name, value in past.fields(call.version):
        named = bool(name) and same_key(name, key)
        formed = shape(value) == form
        if not (named or formed or made_up) or value in checked:
            continue
        alike = SequenceMatcher(None, squash(value), squash(used)).ratio() if form else 0.0
        score = alike + named + formed
        if best is not None and score <= best[0]:
            continue
        checked.add(value)
        if not (specific(value) or (named and is_name(value))):
            continue
        held = past.holders(value, call.version) or (version,)
        if not visible.holds(value, held):
            best = score, visible.lost(value, held, used)
    return [best[1]] if best else []


def put_right_by(
    call: Call, right: Call, key: str, used: str, visible: Visible, past: Whereabouts
) -> list[Lost]:
    """Return the value of the call that put `used` right, if it could have been known before."""
    before = {squash(value) for _, value in arguments(call.arguments)}
    for name, value in arguments(right.arguments):
        if name != key or squash(value) in before or not (specific(value) or is_name(value)):
            continue
        held = past.holders(value, call.version)
        if held and not visible.holds(value, held):
            return [visible.lost(value, held, used)]
    return []


def left_out(call: Call, calls: Sequence[Call], visible: Visible, past: Whereabouts) -> list[Lost]:
    """Return the value of a field that the call lacks, and that was cut.

    It is one that the error names, or that all other calls of the tool have.
    """
    assert call.problem is not None
    given = dict(arguments(call.arguments))
    others = [
        set(dict(arguments(one.arguments)))
        for one in calls
        if one.name == call.name and one is not call and not one.problem
    ]
    lacking = others and _LACKS.search(call.problem.text)
    usual = set.intersection(*others) if lacking else set()
    fields = {name for _, name, _ in past.fields(call.version) if length(name) >= NAMED}
    told = {name for name in fields | usual if _names(call.problem.text, name)}
    for name in sorted(told | usual):
        if name not in given:
            return meant_by(call, name, "", visible, past)
    return []


def harmed(call: Call) -> bool:
    """Say whether a call failed, and not by an error that passes, whatever the arguments."""
    return call.problem is not None and call.problem.sort != PASSING


def is_refused(call: Call, value: str) -> bool:
    """Say whether the error of a call names a value that it was given."""
    if call.problem is None or call.problem.sort != ARGUMENT or length(value) < NAMED:
        return False
    return _names(call.problem.text, value)


def stands_for(key: str, used: str) -> bool:
    """Say whether a value is none, or the name of its field."""
    return is_placeholder(used) or squash(used) == squash(key)


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", text) is not None
