"""Cursors: where a list goes on, as text that says nothing to whoever holds it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ctxplug import codec
from ctxplug.errors import CtxplugError, InvalidValueError

__all__ = ["cursor_of", "read_cursor"]


def cursor_of(place: Any) -> str:
    """Return the cursor for `place`, which is JSON."""
    return base64.urlsafe_b64encode(codec.encode(place)).decode("ascii").rstrip("=")


def read_cursor(cursor: str | None, shape: tuple[type, ...]) -> list[Any] | None:
    """Return the place of `cursor`, a list of values of the types of `shape`; None without one."""
    if not cursor:
        return None
    try:
        place = codec.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", True))
    except (CtxplugError, binascii.Error, ValueError):
        place = None
    same = isinstance(place, list) and len(place) == len(shape)
    if not same or not all(type(v) is kind for v, kind in zip(place, shape, strict=True)):
        raise InvalidValueError(
            f"{cursor[:60]!r} is no cursor of this list; begin again without one.", path="cursor"
        )
    return list(place)
