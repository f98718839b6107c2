"""Arguments of verbs as JSON, by the rules that the verbs read them by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ctxplug import codec
from ctxplug.errors import UnsupportedError
from ctxplug.records import to_tags
from ctxplug.times import to_datetime

FOR_EVER = "forever"


def time(value: datetime | str | float | None) -> str | None:
    """Return a time as ISO 8601; None stays None."""
    return None if value is None else to_datetime(value).isoformat()


def texts(value: Iterable[str] | str | None) -> list[str] | None:
    """Return one text or several as a list; None stays None."""
    return None if value is None else list(to_tags(value))


def seconds(value: timedelta | float | None) -> float | str | None:
    """Return a span of time in seconds; infinity, which JSON cannot hold, by its name."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return FOR_EVER if isinstance(value, float) and value == math.inf else value


def json_dict(value: Mapping[str, Any] | None, name: str) -> Any:
    """Return metadata as plain JSON; raise InvalidValueError that says where it is none."""
    return None if value is None else codec.plain(value, name)


def json_text(value: Mapping[str, Any], name: str) -> str:
    """Return metadata as JSON text, for a parameter."""
    return codec.encode(json_dict(value, name)).decode("utf-8", "surrogatepass")


def refuse_given(value: object, capability: str, instead: str) -> None:
    """Raise UnsupportedError where `value` is given: it does not go over the wire."""
    if value is not None:
        raise UnsupportedError(
            f"A remote memory takes no {capability}: {instead}", capability=capability
        )
