"""Forms: how a value of some type becomes JSON data and the same value again.

The reader knows which type it expects, so no data ever names a class. A dataclass goes field
by field as its annotations say, times as ISO 8601, spans of time as seconds, bytes as base64.
What can be computed from the fields (`ok`, `counts`, ...) stands beside them for whoever
reads plain JSON, and is computed anew on the other side.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ctxplug.errors import InvalidValueError
from ctxplug.wire.rendering import clean_text
from ctxplug_server.wire.kinds import beside, left_away, own_forms

Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one type are written as JSON data, and read back."""

    write: Change
    read: Change


def _same(value: Any) -> Any:
    return value


PLAIN = Form(_same, _same)


_forms: dict[Any, Form] = {}


def form_of(kind: Any) -> Form:
    """Return the form of a type: a dataclass of ctxplug, JSON, a time, or several of these."""
    found = _forms.get(kind)
    if found is None:
        found = _forms[kind] = _made(kind)
    return found


def _made(kind: Any) -> Form:
    if kind in own_forms():
        write, read = own_forms()[kind]
        return Form(write, _careful(kind.__name__, read))
    if kind is datetime:
        return Form(datetime.isoformat, _to_time)
    if kind is timedelta:
        return Form(timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds))
    if kind is bytes:
        return Form(lambda data: base64.b64encode(data).decode(), _to_bytes)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_form(kind)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _union_form(args)
    if origin is tuple:
        return _tuple_form(args)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_form(args)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _items_form(args[0], list)
    if kind in (Any, str, int, float, bool, NoneType) or origin is Literal:
        return PLAIN
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return PLAIN
    raise TypeError(f"{kind!r} has no form in JSON.")


def computed(kind: type) -> Sequence[str]:
    """Return the names of what is written beside the fields of a dataclass."""
    return beside().get(kind, ())


def sent_fields(kind: type) -> Sequence[Field[Any]]:
    """Return the fields of a dataclass that are written."""
    away = left_away().get(kind, ())
    return [field for field in fields(kind) if field.name not in away]


@cache
def hints_of(kind: type) -> Mapping[str, Any]:
    """Return the types of the fields of a dataclass."""
    return get_type_hints(kind)


def _dataclass_form(kind: type) -> Form:
    hints = hints_of(kind)
    names = [(field.name, form_of(hints[field.name])) for field in sent_fields(kind)]
    required = {
        field.name
        for field in sent_fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }
    more = computed(kind)

    def write(value: Any) -> Any:
        data = {name: form.write(getattr(value, name)) for name, form in names}
        for name in more:
            data[name] = write_any(getattr(value, name))
        return data

    def read(data: Any) -> Any:
        if not isinstance(data, Mapping) or not required <= data.keys():
            raise _unreadable(kind.__name__, data)
        return kind(**{name: form.read(data[name]) for name, form in names if name in data})

    return Form(write, _careful(kind.__name__, read))


def write_any(value: Any) -> Any:
    """Return a value of whatever type as JSON data."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: write_any(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [write_any(item) for item in value]
    return form_of(type(value)).write(value)


def _union_form(args: tuple[Any, ...]) -> Form:
    one = [arg for arg in args if arg is not NoneType]
    if len(one) > 1:  # numbers and text, as JSON has them
        forms = [form_of(arg) for arg in one]
        if any(form is not PLAIN for form in forms):
            raise TypeError(f"{args!r} cannot be told apart in JSON.")
        return PLAIN
    form = form_of(one[0])
    if form is PLAIN:
        return PLAIN
    return Form(
        lambda value: None if value is None else form.write(value),
        lambda data: None if data is None else form.read(data),
    )


def _tuple_form(args: tuple[Any, ...]) -> Form:
    if len(args) == 2 and args[1] is Ellipsis:
        return _items_form(args[0], tuple)
    forms = [form_of(arg) for arg in args]

    def write(values: Any) -> Any:
        return [form.write(value) for form, value in zip(forms, values, strict=True)]

    def read(data: Any) -> Any:
        return tuple(form.read(one) for form, one in zip(forms, data, strict=True))

    return Form(write, _careful("list", read))


def _items_form(item: Any, kind: type) -> Form:
    form = form_of(item)

    def read(data: Any) -> Any:
        if not isinstance(data, list | tuple):
            raise _unreadable("list", data)
        return kind(data) if form is PLAIN else kind(map(form.read, data))

    if form is PLAIN:
        return Form(list, read)
    return Form(lambda values: [form.write(value) for value in values], read)


def _mapping_form(args: tuple[Any, ...]) -> Form:
    form = form_of(args[1]) if args else PLAIN

    def read(data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _unreadable("object", data)
        return {key: form.read(value) for key, value in data.items()}

    return Form(lambda values: {key: form.write(value) for key, value in values.items()}, read)


def _to_time(data: Any) -> datetime:
    try:
        time = datetime.fromisoformat(data)
    except (TypeError, ValueError) as exc:
        raise _unreadable("time", data) from exc
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _to_bytes(data: Any) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, binascii.Error) as exc:
        raise _unreadable("base64 text", data) from exc


def _careful(name: str, read: Change) -> Change:
    def careful(data: Any) -> Any:
        try:
            return read(data)
        except InvalidValueError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as exc:
            raise _unreadable(name, data) from exc

    return careful


def _unreadable(name: str, data: Any) -> InvalidValueError:
    shown = clean_text(repr(data)[:80])
    return InvalidValueError(f"This cannot be read as a {name}: {shown}.")
