"""Whether a later call gave what a failed one did not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import takewhile

from ctxplug.tracing.analysis.calls import Call
from ctxplug.tracing.analysis.errors_told import ARGUMENT
from ctxplug.tracing.analysis.values import arguments, squash

WORDS = 3  # at the beginning of two tools' names that make them ways to the same
SAME = 0.5  # of the arguments of a call that was put right
ALIKE = 0.6  # of a single argument that was put right


def made_up_for(call: Call, later: Sequence[Call]) -> Call | None:
    """Return the later call of the same tool that gave what `call` did not."""
    assert call.problem is not None
    for other in later:
        if other.problem or other.text is None:
            continue
        if other.name != call.name:
            if call.problem.sort == ARGUMENT and _another_way(call, other):
                return other
            continue
        if other.key == call.key:
            return other
        if call.problem.sort == ARGUMENT and _put_right(call.arguments, other.arguments):
            return other
    return None


def _another_way(call: Call, other: Call) -> bool:
    """Say whether another tool is another way to the same, as find_x_by_a is to find_x_by_b."""
    first, second = (re.findall(r"[A-Za-z][a-z]*|\d+", one.name) for one in (call, other))
    same = list(takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    return len(same) >= WORDS and 0 <= other.turn - call.turn <= 1


def _put_right(wrong: Mapping[str, object], right: Mapping[str, object]) -> bool:
    """Say whether `right` may be `wrong` with its mistake corrected."""
    first = [(key, squash(value)) for key, value in arguments(wrong)]
    second = [(key, squash(value)) for key, value in arguments(right)]
    if not first or not second:
        return not first
    if len(first) == len(second) == 1:
        return SequenceMatcher(None, first[0][1], second[0][1]).ratio() >= ALIKE
    same = len(set(first) & set(second))
    return same / len(set(first)) >= SAME
