"""To and from JSON, exactly, for all that the verbs of AgentMemory take and give.

`to_json` writes any of these values as JSON data, `from_json` reads one of a type that the
reader names, and `ctxplug.codec` makes bytes of the data and data of the bytes.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ctxplug_server.wire.forms import form_of, write_any
from ctxplug_server.wire.windows import read_window, write_window

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Return a value of ctxplug, or several in lists and mappings, as JSON data."""
    return write_any(value)


def from_json(kind: type[T] | Any, data: Any) -> Any:
    """Return the value of type `kind`, such as `list[MemoryRecord]`, that `to_json` wrote."""
    return form_of(kind).read(data)


__all__ = ["from_json", "read_window", "to_json", "write_window"]
