"""What may be said of a step; anything else is refused with a sentence."""

from __future__ import annotations

import math
import re

from ctxplug.errors import InvalidValueError
from ctxplug.tracing.span import Span
from ctxplug.tracing.step import KINDS

_SPAN_ID, _TRACE_ID = re.compile("[0-9a-f]{16}"), re.compile("[0-9a-f]{32}")


def to_kind(kind: str) -> str:
    """Return `kind` if it is one."""
    if kind not in KINDS:
        raise InvalidValueError(
            f"A step is of one of the kinds {', '.join(KINDS)}, not {kind!r}.", path="kind"
        )
    return kind


def to_count(last: int | None) -> int | None:
    """Return how many of the last are wanted."""
    if last is not None and (isinstance(last, bool) or not isinstance(last, int) or last < 0):
        raise InvalidValueError(f"last is a number from 0 on, not {last!r}.", path="last")
    return last


def check_place(name: object, parent: object, trace: object) -> None:
    """Check what a step is called and where it stands."""
    if not isinstance(name, str):
        raise InvalidValueError(f"The name of a step is text, not {name!r:.60}.", path="name")
    if isinstance(parent, str) and not _SPAN_ID.fullmatch(parent):
        text = f"A parent is a span, or its id of 16 hexadecimal digits, not {parent!r:.60}."
        raise InvalidValueError(text, path="parent")
    if parent is not None and not isinstance(parent, str | Span):
        text = f"A parent is a span, or its id as text, not {parent!r:.60}."
        raise InvalidValueError(text, path="parent")
    if trace is not None and not (isinstance(trace, str) and _TRACE_ID.fullmatch(trace)):
        text = f"A trace is named by 32 hexadecimal digits, not {trace!r:.60}."
        raise InvalidValueError(text, path="trace")


def check_measured(
    duration: object, outcome: object, tokens: object, cost: object, error: object
) -> None:
    """Check what was measured of a step elsewhere."""
    if not _is_number(duration):
        raise InvalidValueError(f"duration is in seconds, not {duration!r:.60}.", path="duration")
    if not isinstance(outcome, str) or not outcome:
        text = f'outcome is text such as "ok" or "error", not {outcome!r:.60}.'
        raise InvalidValueError(text, path="outcome")
    if tokens is not None and not (isinstance(tokens, int) and _is_number(tokens)):
        raise InvalidValueError(f"tokens is a number from 0 on, not {tokens!r:.60}.", path="tokens")
    if cost is not None and not _is_number(cost):
        raise InvalidValueError(f"cost is in dollars, from 0 on, not {cost!r:.60}.", path="cost")
    if error is not None and not isinstance(error, str):
        raise InvalidValueError(f"error is text, not {error!r:.60}.", path="error")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value >= 0 and math.isfinite(value)
