"""Tool calls in blocks: to parts and back.

How LlamaIndex wrote a part stands in `part.extra["llama_index"]`, without repeating what the
part itself says, which a redactor may have changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llama_index.core.base.llms import types

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message, ToolCallPart
from ctxplug.wire.rendering import arguments_text
from ctxplug_llamaindex.json_data import from_json, to_json

KEY = "llama_index"
HAS_CALL_BLOCKS = hasattr(types, "ToolCallBlock")  # not in the first cores of 0.13


def how_of(part: Any) -> dict[str, Any]:
    """Return how LlamaIndex wrote `part`; empty if it came from elsewhere."""
    how = part.extra.get(KEY)
    return how if isinstance(how, dict) else {}


def read_call(id: Any, name: str, given: Any) -> ToolCallPart:
    """Return the part of a call whose arguments were `given` as a dict or as text.

    A call without an id, as Ollama's are, is known by its tool's name: what comes of it is
    handed back by LlamaIndex under that.
    """
    how: dict[str, Any] = {}
    if not isinstance(id, str) or not id:
        how["id"], id = to_json(id), name or "call"
    raw = None
    if isinstance(given, str):
        how["text"] = True
        given, raw = _read_text(given)
    return ToolCallPart(id, name, to_json(dict(given)), raw, {KEY: how} if how else {})


def write_call(part: ToolCallPart) -> Any:
    """Return the block of a call."""
    return types.ToolCallBlock(
        tool_call_id=call_id(part), tool_name=part.name, tool_kwargs=call_arguments(part)
    )


def with_call_ids(message: Message) -> Message:
    """Return `message` with its calls known to LlamaIndex by the ids that they have here."""
    if not any("id" in how_of(part) for part in message.tool_calls):
        return message
    parts = []
    for part in message.content:
        if isinstance(part, ToolCallPart) and "id" in (how := how_of(part)):
            kept = {name: value for name, value in how.items() if name != "id"}
            part = replace(part, extra={**part.extra, KEY: kept})
        parts.append(part)
    return replace(message, content=tuple(parts))


def call_id(part: ToolCallPart) -> Any:
    """Return the id that LlamaIndex gave the call, which may be none."""
    how = how_of(part)
    return from_json(how["id"]) if "id" in how else part.id


def call_arguments(part: ToolCallPart) -> Any:
    """Return the arguments, as the text they were given as or as a dict."""
    no_object = part.raw_arguments is not None and not part.arguments
    if how_of(part).get("text", no_object):
        return arguments_text(part)
    return from_json(dict(part.arguments))


def _read_text(text: str) -> tuple[dict[str, Any], str | None]:
    try:
        value = codec.plain(codec.decode(text))
    except InvalidValueError:
        return {}, text
    if not isinstance(value, dict):
        return {}, text
    return value, None if arguments_text(ToolCallPart("", "", value)) == text else text
