"""What a LangGraph store's `filter` means, in plain Python.

A filter names fields and what they hold: `{"status": "active"}`, a part of a nested object
`{"meta": {"lang": "zh"}}`, the same by a path, `{"meta.lang": "zh"}`, or operators,
`{"score": {"$gte": 3, "$lt": 5}}`. All of it must hold. A key that a value has literally
("meta.lang" itself) goes before the path it could also be.

Equality is JSON's: 1 equals 1.0, true is not 1, and lists are compared item by item. A field
that is missing matches None alone, no operator but `$eq: None`. Numbers are ordered among
numbers and texts among texts; anything else is not comparable and does not match.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ctxplug.errors import InvalidValueError

_MISSING = object()
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
OPERATORS = ("$eq", "$ne", *_ORDERS)
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def checked_filter(filter: Any) -> Mapping[str, Any] | None:
    """Return `filter` if it makes sense, None for an empty one; else raise InvalidValueError."""
    if filter is None:
        return None
    if not isinstance(filter, Mapping):
        raise InvalidValueError(
            f"Invalid filter: it is an object such as {{'status': 'active'}}, not {filter!r:.80}.",
            path="filter",
        )
    _check(filter)
    return filter or None


def matches(value: Any, filter: Mapping[str, Any]) -> bool:
    """Say whether every condition of `filter` holds for `value`."""
    return isinstance(value, Mapping) and all(
        _holds(_field(value, key), wanted) for key, wanted in filter.items()
    )


def _check(filter: Mapping[Any, Any]) -> None:
    for key, wanted in filter.items():
        _check_key(key)
        for found in _objects(wanted):
            if any(isinstance(k, str) and k.startswith("$") for k in found):
                _check_operators(found)
            else:
                _check(found)


def _objects(wanted: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(wanted, Mapping):
        yield wanted
    elif isinstance(wanted, list | tuple):
        for item in wanted:
            yield from _objects(item)


def _check_key(key: Any) -> None:
    if not isinstance(key, str) or not key:
        reason = "a key is the non-empty name of a field"
    elif key.startswith("$"):
        reason = (
            "an operator stands behind the field it is for, as in {'score': {'$gt': 3}}, and"
            " conditions side by side must all hold; there is no $and, $or or $not"
        )
    elif not all(key.split(".")):
        reason = "between the dots of a path stand names"
    elif _CONTROL.search(key):
        reason = "it holds a control character"
    else:
        return
    raise InvalidValueError(f"Invalid filter key {key!r:.80}: {reason}.", path="filter")


def _check_operators(found: Mapping[Any, Any]) -> None:
    unknown = [key for key in found if key not in OPERATORS]
    if unknown:
        raise InvalidValueError(
            f"Unsupported operator {unknown[0]!r:.80} in a filter; the operators are"
            f" {', '.join(OPERATORS)}, and they do not mix with names of fields.",
            path="filter",
        )


def _field(value: Mapping[str, Any], key: str) -> Any:
    """Return what stands in `value` under `key`, literally or else as a path."""
    if key in value:
        return value[key]
    at = key.find(".")
    while at != -1:
        inner = value.get(key[:at])
        if isinstance(inner, Mapping):
            found = _field(inner, key[at + 1 :])
            if found is not _MISSING:
                return found
        at = key.find(".", at + 1)
    return _MISSING


def _holds(found: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return _equal(found, wanted, _holds)
    if any(key in OPERATORS for key in wanted):
        return all(_compares(found, name, operand) for name, operand in wanted.items())
    return matches(found, wanted)


def _compares(found: Any, name: str, operand: Any) -> bool:
    if name == "$eq":
        return _equal(found, operand, _same)
    if found is _MISSING:
        return False
    if name == "$ne":
        return not _equal(found, operand, _same)
    both_numbers = _is_number(found) and _is_number(operand)
    if both_numbers or (isinstance(found, str) and isinstance(operand, str)):
        return _ORDERS[name](found, operand)
    return False


def _same(found: Any, wanted: Any) -> bool:
    return _equal(found, wanted, _same)


def _equal(found: Any, wanted: Any, inner: Callable[[Any, Any], bool]) -> bool:
    """Compare as JSON; `inner` compares the items of lists."""
    if found is _MISSING:
        return wanted is None
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(map(inner, found, wanted))
        )
    if isinstance(wanted, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == wanted.keys()
            and all(inner(found[key], wanted[key]) for key in wanted)
        )
    if _is_number(found) and _is_number(wanted):
        return bool(found == wanted)
    return type(found) is type(wanted) and bool(found == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
