"""What every call's arguments must be before a schema is asked: JSON, small and flat enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctxplug import codec
from ctxplug.errors import InvalidValueError, ToolArgumentsError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MOST_FAULTS = 5  # fields that one error names


def check_size(tool: str, arguments: Mapping[str, Any] | str) -> bytes:
    """Return `arguments` as JSON, or raise ToolArgumentsError if they are none or too large."""
    if isinstance(arguments, str):
        arguments = _read(tool, arguments)
    if not isinstance(arguments, Mapping):
        raise ToolArgumentsError(
            f"The arguments of {tool!r} are a JSON object with a value for each name, not a"
            f" {type(arguments).__name__}.",
            tool=tool,
        )
    deep = _too_deep(arguments)
    if deep:
        raise ToolArgumentsError(
            f"The arguments of {tool!r} are nested more than {MAX_DEPTH} levels deep at {deep!r}.",
            tool=tool,
            path=deep,
        )
    try:
        data = codec.encode(arguments)
    except InvalidValueError as exc:
        path = exc.path.partition(".")[2]
        raise ToolArgumentsError(
            f"The arguments of {tool!r} are not JSON at {path!r}.", tool=tool, path=path
        ) from exc
    if len(data) > MAX_BYTES:
        raise _too_long(tool, len(data))
    return data


def misfit(tool: str, faults: Sequence[tuple[str, str]]) -> ToolArgumentsError:
    """Return the error for fields and what is wrong with each."""
    named = "; ".join(f"{path or 'they'}: {what}" for path, what in faults[:MOST_FAULTS])
    more = len(faults) - MOST_FAULTS
    rest = f"; and {more} more" if more > 0 else ""
    return ToolArgumentsError(
        f"The arguments of {tool!r} do not fit: {named}{rest}.", tool=tool, path=faults[0][0]
    )


def to_path(keys: Sequence[Any]) -> str:
    """Return a JSON path such as `trip.days[2]`."""
    path = ""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
    return path


def _read(tool: str, text: str) -> Any:
    if len(text) > MAX_BYTES:
        raise _too_long(tool, len(text.encode("utf-8", "surrogatepass")))
    try:
        return codec.decode(text)
    except InvalidValueError as exc:
        raise ToolArgumentsError(
            f"The arguments of {tool!r} are not JSON. Send an object with a value for each name.",
            tool=tool,
        ) from exc


def _too_long(tool: str, size: int) -> ToolArgumentsError:
    return ToolArgumentsError(
        f"The arguments of {tool!r} take {size} bytes, more than {MAX_BYTES}.", tool=tool
    )


def _too_deep(arguments: Mapping[str, Any]) -> str:
    """Return the path of what is nested too deep, or nothing."""
    if not any(isinstance(value, Mapping | list | tuple) for value in arguments.values()):
        return ""  # as most are
    left: list[tuple[Any, tuple[Any, ...]]] = [(arguments, ())]
    while left:
        value, path = left.pop()
        if isinstance(value, Mapping):
            items = list(value.items())
        elif isinstance(value, list | tuple):
            items = list(enumerate(value))
        else:
            continue
        if len(path) >= MAX_DEPTH:
            return to_path(path)
        left += [(inner, (*path, key)) for key, inner in items]
    return ""
