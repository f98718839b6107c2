"""The one JSON codec: everything that is stored, sent or exported passes through it.

`encode` and `decode` are exact inverses for strings (any code point, lone surrogates
and NUL included), 64-bit and larger integers, finite floats, booleans, None, lists
and string-keyed dicts. There is no fallback for other types and no way for data to
name a class: what is not JSON is refused with its path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from ctxplug.errors import InvalidValueError

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

MAX_DEPTH = 100
MAX_INT_BITS = 14_000  # Python reads and writes at most 4,300 digits
INT64 = range(-(2**63), 2**63)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")

# Cached: json.dumps with options builds an encoder at every call.
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_dumps_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
).encode


def encode(value: Any) -> bytes:
    """Return `value` as compact JSON on one line, or raise InvalidValueError."""
    return _to_bytes(_dump(value, _dumps))


def canonical(value: Any) -> bytes:
    """Return `value` as JSON with sorted keys, for hashing and comparing."""
    return _to_bytes(_dump(value, _dumps_sorted))


def decode(data: bytes | str) -> Any:
    """Return what `encode` was given; raise InvalidValueError on anything but JSON."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidValueError(
            f"This is not JSON that ctxplug can read: {exc}. It begins with {data[:60]!r}."
        ) from exc


def plain(value: Any, path: str = "value", *, int64: bool = False, depth: int = 0) -> Any:
    """Return a deep copy of `value` in plain JSON types (tuples become lists).

    Raises InvalidValueError naming the JSON path of whatever is not JSON: NaN, bytes,
    sets, objects, non-string keys, nesting over 100 levels and, with `int64`,
    integers that do not fit in 64 bits.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return _plain_int(int(value), path, int64)
    if isinstance(value, float):
        return _plain_float(float(value), path)
    if depth >= MAX_DEPTH:
        raise InvalidValueError(
            f"{path} is nested more than {MAX_DEPTH} levels deep; store it as text.",
            path=path,
        )
    if isinstance(value, Mapping):
        copy = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidValueError(
                    f"{path} has the key {key!r} of type {type(key).__name__};"
                    " JSON keys are strings.",
                    path=path,
                )
            copy[str(key)] = plain(item, f"{path}.{key}", int64=int64, depth=depth + 1)
        return copy
    if isinstance(value, list | tuple):
        return [
            plain(item, f"{path}[{i}]", int64=int64, depth=depth + 1)
            for i, item in enumerate(value)
        ]
    raise InvalidValueError(
        f"{path} is of type {type(value).__name__}, which is not JSON;"
        " convert it to text or numbers first.",
        path=path,
    )


def _plain_int(value: int, path: str, int64: bool) -> int:
    if int64 and value not in INT64:
        raise InvalidValueError(f"{path} does not fit in 64 bits; store it as text.", path=path)
    if value.bit_length() > MAX_INT_BITS:
        raise InvalidValueError(
            f"{path} is an integer of {value.bit_length()} bits; store it as text.",
            path=path,
        )
    return value


def _plain_float(value: float, path: str) -> float:
    if value != value or value in (float("inf"), float("-inf")):
        raise InvalidValueError(
            f"{path} is {value!r}, which JSON cannot hold; use None or text.", path=path
        )
    return value


def _dump(value: Any, dumps: Any) -> str:
    try:
        return str(dumps(value))
    except (TypeError, ValueError, RecursionError):
        # `plain` names the offending path, or mends what was merely a subclass.
        return str(dumps(plain(value)))


def _to_bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A lone surrogate becomes its JSON escape. Two that happen to form a pair stay
        # raw (WTF-8), because their escapes would be read back as one character.
        escaped = _SURROGATES.sub(lambda m: m[0] if len(m[0]) == 2 else f"\\u{ord(m[0]):04x}", text)
        return escaped.encode("utf-8", "surrogatepass")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
