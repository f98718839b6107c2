"""Tool calls in `additional_kwargs`: "tool_calls" of several forms, and "function_call".

Older integrations of models list calls there alone, newer ones beside their blocks. A call
that stands in both places is one part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms.llm import ToolSelection

from ctxplug.errors import InvalidMessageError
from ctxplug.messages import Message, Part, ToolCallPart
from ctxplug.wire.rendering import arguments_text
from ctxplug_llamaindex.calls import (
    HAS_CALL_BLOCKS,
    KEY,
    call_arguments,
    call_id,
    how_of,
    read_call,
)
from ctxplug_llamaindex.json_data import from_json, to_json

CALLS = "tool_calls"
FUNCTION = "function_call"  # OpenAI's first form: one call, without an id

_OPENAI = "openai"
_FORMS = {  # where a listed call has its id, name and arguments
    _OPENAI: ("id", "name", "arguments"),  # the last two inside "function"
    "selection": ("tool_id", "tool_name", "tool_kwargs"),
    "block": ("tool_call_id", "tool_name", "tool_kwargs"),
    "input": ("id", "name", "input"),
    "args": ("id", "name", "args"),
    "arguments": ("id", "name", "arguments"),
}


def read_listed(parts: Sequence[Part], kwargs: dict[str, Any]) -> tuple[list[Part], list[Any]]:
    """Return `parts` with the calls that `kwargs` lists, which are taken out of it.

    The other list is of what cannot be read as a call: its place, and itself as JSON.
    """
    merged, unread = list(parts), []
    listed = kwargs.get(CALLS)
    if isinstance(listed, list | tuple) and listed:
        del kwargs[CALLS]
        for place, item in enumerate(listed):
            call = _read(item, place)
            if call is None:
                unread.append([place, to_json(item)])
                continue
            same = _same(call, merged)
            if same is None:
                merged.append(_noted(call, aside=True))
            else:
                merged[same] = _both(merged[same], call)  # type: ignore[arg-type]
    function = kwargs.get(FUNCTION)
    if isinstance(function, Mapping) and not any(isinstance(p, ToolCallPart) for p in merged):
        merged += _read_function(function, kwargs)
    return merged, unread


def write_listed(parts: Sequence[Part], unread: Sequence[Any]) -> dict[str, Any]:
    """Return the additional_kwargs that list the calls among `parts` again."""
    listed = {place: from_json(item) for place, item in unread}
    kwargs: dict[str, Any] = {}
    others: list[Any] = []
    for part in parts:
        if not isinstance(part, ToolCallPart):
            continue
        how = how_of(part)
        if "listed" in how:
            listed[how["listed"]["place"]] = _write(part, how["listed"])
        elif FUNCTION in how:
            given = {"name": part.name, "arguments": arguments_text(part)}
            kwargs[FUNCTION] = {**given, **from_json(how[FUNCTION])}
        elif not HAS_CALL_BLOCKS:
            others.append(_write(part, {"form": _OPENAI, "text": True}))
    calls = [listed[place] for place in sorted(listed)] + others
    return {**kwargs, CALLS: calls} if calls else kwargs


def is_aside(part: Part) -> bool:
    """Say whether a part is a call that stands in no block."""
    if not isinstance(part, ToolCallPart):
        return False
    how = how_of(part)
    return not HAS_CALL_BLOCKS or bool(how.get("aside")) or FUNCTION in how


# -- one listed call -----------------------------------------------------------------------


def _read(item: Any, place: int) -> ToolCallPart | None:
    """Return the part of a listed call; None if it is in no form that is known."""
    fields = _fields(item)
    function = _fields(fields.get("function"))
    if function:
        form, own = _OPENAI, {**fields, **function}
    else:
        own = fields
        found = (
            form for form, (_, *of) in _FORMS.items() if form != _OPENAI and {*of} <= own.keys()
        )
        form = next(found, "")
    of_id, of_name, of_arguments = _FORMS.get(form, ("", "", ""))
    name, given = own.get(of_name), own.get(of_arguments)
    if not isinstance(name, str) or not name or not isinstance(given, str | Mapping):
        return None
    call = read_call(own.get(of_id), name, given)
    how: dict[str, Any] = {"place": place, "form": form}
    how |= {"text": True} if isinstance(given, str) else {}
    how |= {"selection": True} if isinstance(item, ToolSelection) else {}
    how |= {} if of_id in own else {"no_id": True}
    if form == _OPENAI:
        how |= _rest("rest", fields, "id", "function")
        how |= _rest("function", function, "name", "arguments")
    else:
        how |= _rest("rest", fields, of_id, of_name, of_arguments)
    return _noted(call, listed=how)


def _write(part: ToolCallPart, how: Mapping[str, Any]) -> Any:
    of_id, of_name, of_arguments = _FORMS[how["form"]]
    given = arguments_text(part) if how.get("text") else from_json(dict(part.arguments))
    given = from_json(how["given"]) if "given" in how else given
    rest = from_json(how.get("rest", {}))
    id = {} if how.get("no_id") else {of_id: call_id(part)}
    if how["form"] == _OPENAI:
        inner = from_json(how.get("function", {}))
        function = {"arguments": given, "name": part.name, **inner}
        rest = rest if "place" in how else {"type": "function"}
        return {**id, "function": function, **rest}
    fields = {**id, of_name: part.name, of_arguments: given, **rest}
    return ToolSelection(**fields) if how.get("selection") else fields


def _fields(item: Any) -> dict[str, Any]:
    if isinstance(item, BaseModel):
        names = [*type(item).model_fields, *(item.model_extra or {})]
        return {name: getattr(item, name) for name in names}
    return dict(item) if isinstance(item, Mapping) else {}


def _rest(name: str, fields: Mapping[str, Any], *taken: str) -> dict[str, Any]:
    rest = {key: to_json(value) for key, value in fields.items() if key not in taken}
    return {name: rest} if rest else {}


def _noted(call: ToolCallPart, **notes: Any) -> ToolCallPart:
    return replace(call, extra={**call.extra, KEY: {**how_of(call), **notes}})


def _same(call: ToolCallPart, parts: Sequence[Part]) -> int | None:
    """Return the place of the part that is the same call in a block, and not listed yet."""
    for place, part in enumerate(parts):
        same = isinstance(part, ToolCallPart) and (part.id, part.name) == (call.id, call.name)
        if same and "listed" not in how_of(part):
            return place
    return None


def _both(block: ToolCallPart, listed: ToolCallPart) -> ToolCallPart:
    """Return the part of a call that stands in a block and is listed."""
    how = how_of(listed)["listed"]
    given = call_arguments(listed)
    if dict(block.arguments) != dict(listed.arguments):
        return _noted(block, listed={**how, "given": to_json(given)})
    if listed.raw_arguments is not None and not how_of(block).get("text"):
        block = replace(_noted(block, text=False), raw_arguments=listed.raw_arguments)
    if how.get("text") and arguments_text(block) != given:
        how = {**how, "given": given}
    return _noted(block, listed=how)


def _read_function(function: Mapping[str, Any], kwargs: dict[str, Any]) -> list[Part]:
    said = {"role": "assistant", "content": None, FUNCTION: dict(function)}
    try:
        calls = Message.from_openai(said)[0].tool_calls
    except InvalidMessageError:  # it stays in additional_kwargs as it is
        return []
    del kwargs[FUNCTION]
    rest = {key: to_json(v) for key, v in function.items() if key not in ("name", "arguments")}
    return [
        ToolCallPart(c.id, c.name, c.arguments, c.raw_arguments, {KEY: {FUNCTION: rest}})
        for c in calls
    ]
