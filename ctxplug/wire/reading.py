"""Reading provider dicts: fields checked, with the path of whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ctxplug import codec
from ctxplug.errors import InvalidMessageError, InvalidValueError
from ctxplug.messages import Part, TextPart


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """Return `value` if it is an object with string keys, or raise InvalidMessageError."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise wrong(path, "an object", value)
    return value


def text(data: Mapping[str, Any], key: str, path: str) -> str:
    """Return the text at `key`, or raise InvalidMessageError."""
    value = data.get(key)
    if not isinstance(value, str):
        raise wrong(join(path, key), "text", value)
    return str(value)


def optional_text(data: Mapping[str, Any], key: str, path: str) -> str | None:
    """Return the text at `key` or None, or raise InvalidMessageError."""
    return None if data.get(key) is None else text(data, key, path)


def array(value: Any, path: str) -> list[Any]:
    """Return `value` as a list, or raise InvalidMessageError; text is not a list."""
    if not isinstance(value, list | tuple):
        raise wrong(path, "a list", value)
    return list(value)


def parts(content: Any, path: str, block: Callable[[Mapping[str, Any], str], Part]) -> list[Part]:
    """Return what a message's content says: a text is one part, else `block` reads each."""
    if isinstance(content, str):
        return [TextPart(str(content))]
    places = ((f"{path}[{i}]", value) for i, value in enumerate(array(content, path)))
    return [block(mapping(value, place), place) for place, value in places]


def copy(value: Any, path: str) -> Any:
    """Return a deep copy of JSON data, or raise InvalidMessageError."""
    try:
        return codec.plain(value, path)
    except InvalidValueError as exc:
        raise InvalidMessageError(str(exc), path=exc.path) from exc


def rest(data: Mapping[str, Any], known: Collection[str], path: str) -> dict[str, Any]:
    """Return a copy of the fields that are not `known`; None counts as left out."""
    return {
        str(key): copy(value, join(path, key))
        for key, value in data.items()
        if key not in known and value is not None
    }


def extra(provider: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` as a part's or message's `extra`; empty when there are none."""
    return {provider: dict(fields)} if fields else {}


def join(path: str, key: str) -> str:
    """Return the path of `key` below `path`."""
    return f"{path}.{key}" if path else key


def wrong(path: str, expected: str, value: Any) -> InvalidMessageError:
    """Return the error for a value that is not what the provider's format has there."""
    where = path or "The message"
    return InvalidMessageError(
        f"{where} must be {expected}, not {value!r:.80} of type {type(value).__name__}.",
        path=path,
    )
