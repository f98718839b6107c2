"""Models of answers, made from the types that are sent, so that the document is true.

They document: no answer passes through one. Each has the fields that `wire` writes, an
example made of a real value, and the type's own docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from ctxplug.context.window import ContextWindow
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.storage import EraseReceipt
from ctxplug.tracing.step import Step
from ctxplug_server.schemas.examples import example_of
from ctxplug_server.schemas.messages import MessageModel
from ctxplug_server.schemas.records import EraseReceiptModel, MemoryRecordModel, StepModel
from ctxplug_server.schemas.windows import WindowModel
from ctxplug_server.schemas.words import meaning
from ctxplug_server.wire.forms import computed, hints_of, sent_fields

BY_HAND: Mapping[Any, type[BaseModel]] = {
    Message: MessageModel,
    MemoryRecord: MemoryRecordModel,
    Step: StepModel,
    EraseReceipt: EraseReceiptModel,
    ContextWindow: WindowModel,
}


@cache
def model_of(kind: type) -> type[BaseModel]:
    """Return the model that documents a type of ctxplug."""
    if kind in BY_HAND:
        return BY_HAND[kind]
    hints = hints_of(kind)
    fields: dict[str, Any] = {}
    for name in [field.name for field in sent_fields(kind)]:
        fields[name] = (_shown(hints[name]), Field(description=meaning(name)))
    for name in computed(kind):
        fields[name] = (_shown(_returned(kind, name)), Field(description=meaning(name)))
    example = example_of(kind)
    config = ConfigDict(json_schema_extra={"examples": [example]} if example else None)
    model: type[BaseModel] = create_model(
        kind.__name__, __doc__=inspect.getdoc(kind), __config__=config, **fields
    )
    return model


@cache
def several(name: str, kind: type, **more: Any) -> type[BaseModel]:
    """Return the model of an object that has a list of `kind` under `name`."""
    fields: dict[str, Any] = {name: (list[_shown(kind)], Field(description=meaning(name)))}  # type: ignore[misc]
    fields |= {one: (shown, Field(description=meaning(one))) for one, shown in more.items()}
    title = f"{kind.__name__}List" if not more else f"{kind.__name__}ListWith{len(more)}"
    model: type[BaseModel] = create_model(title, __doc__=f"The answer that lists {name}.", **fields)
    return model


def _shown(kind: Any) -> Any:
    """Return the type that documents `kind`."""
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return model_of(kind)
    if kind is bytes:
        return str
    if kind is timedelta:
        return float
    if origin in (Union, UnionType):
        return reduce(or_, (_shown(arg) for arg in args))
    if origin is tuple and (len(args) != 2 or args[1] is not Ellipsis):
        return list[reduce(or_, (_shown(arg) for arg in args))]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, _shown(args[1])]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Sequence | list | tuple):
        return list[_shown(args[0])]  # type: ignore[misc]
    if kind in (Any, str, int, float, bool, datetime, NoneType) or origin is Literal:
        return kind
    raise TypeError(f"{kind!r} has no form in JSON.")


def _returned(kind: type, name: str) -> Any:
    found = inspect.getattr_static(kind, name)
    function = found.func if isinstance(found, cached_property) else found.fget
    return get_type_hints(function)["return"]
