"""OpenAI chat completion dicts: read into ours, and rendered from ours.

Rendering is deterministic, never changes what it is given, and copies all of it. It
does not invent missing results or calls. `to_responses_items` renders for the
Responses API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ctxplug.errors import InvalidMessageError
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.wire import reading as read
from ctxplug.wire.images import data_url, image_note, media_type_of
from ctxplug.wire.openai_reading import CONTENT_BLOCKS, PROVIDER, read_message
from ctxplug.wire.openai_responses import to_responses_items
from ctxplug.wire.rendering import (
    LEGACY_CALL,
    CallIds,
    add_extra,
    arguments_text,
    clean,
    clean_text,
    own_extra,
)
from ctxplug.wire.tools import read_tool

__all__ = ["PROVIDER", "from_dict", "to_messages", "to_responses_items", "to_tools"]

# Longer ids are refused: "Expected a string with maximum length 40".
_CALL_ID = re.compile("[^\ud800-\udfff]{1,40}")
_NOT_IN_A_NAME = re.compile(r"[\s<|\\/>\ud800-\udfff]")
_RESPONSE_ONLY = frozenset({"role", "annotations", "audio"})


def from_dict(message: Mapping[str, Any]) -> list[Message]:
    """Return ours for one chat completion message dict, of a request or a response.

    Roles: system, developer, user, assistant, tool and the legacy function. Fields that
    ctxplug does not interpret are kept in `extra["openai"]`. Raises InvalidMessageError
    with the path of what is wrong.
    """
    return [read_message(message)]


def to_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the request's `messages`, in place order.

    Content is text where it is one plain text, a list of blocks otherwise. Every result
    is a message of its own; an image in it becomes a note. Thinking and other providers'
    opaque parts are left out, and a message left with nothing is skipped (O05, O06).
    """
    rendered: list[dict[str, Any]] = []
    ids = CallIds(_CALL_ID, "call_", unique=False)
    for message in messages:
        rendered.extend(_result(part, ids) for part in message.tool_results)
        if entry := _message(message, ids):
            rendered.append(entry)
    return rendered


def to_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return tool dicts of OpenAI's or Anthropic's style in OpenAI's chat style.

    OpenAI's own come back as they are, custom tools included. Raises
    InvalidMessageError for what is neither style, and for tools that only another
    provider can run.
    """
    rendered = []
    for i, item in enumerate(tools):
        tool = read_tool(item, f"tools[{i}]")
        if "function" in tool.source or isinstance(tool.source.get("custom"), Mapping):
            rendered.append(clean(tool.source))
            continue
        if tool.style == "own":
            raise InvalidMessageError(
                f"tools[{i}] is {tool.name!r}, which only its provider can run; leave it out"
                " of OpenAI requests.",
                path=f"tools[{i}]",
            )
        function: dict[str, Any] = {"name": clean_text(tool.name)}
        if tool.description is not None:
            function["description"] = clean_text(tool.description)
        function["parameters"] = clean(tool.schema)
        if tool.style == "openai":
            add_extra(function, read.rest(tool.source, {"type"}, f"tools[{i}]"))
        rendered.append({"type": "function", "function": function})
    return rendered


def _message(message: Message, ids: CallIds) -> dict[str, Any] | None:
    extra = own_extra(message.extra, PROVIDER)
    role: Any = "user" if message.role == "tool" else message.role
    if role == "system" and extra.get("role") == "developer":
        role = "developer"
    parts = [p for p in message.content if not isinstance(p, ToolResultPart | ToolCallPart)]
    blocks = [block for p in parts if (block := _block(p, role)) is not None]
    entry: dict[str, Any] = {"role": role}
    if message.name is not None:
        entry["name"] = _name(message.name)
    refusals = [b["refusal"] for b in blocks if b["type"] == "refusal"]
    if refusals and len(refusals) < len(blocks):  # a refusal block must stand alone
        blocks = [b for b in blocks if b["type"] != "refusal"]
        entry["refusal"] = "\n".join(refusals)
    entry["content"] = _content(blocks)
    _add_calls(entry, message.tool_calls, ids)
    audio = extra.get("audio")
    if role == "assistant" and isinstance(audio, Mapping) and "id" in audio:
        entry["audio"] = {"id": clean(audio["id"])}
    said = any(block.get("text") != "" for block in blocks) or "refusal" in entry
    acted = bool(entry.keys() & {"tool_calls", "function_call", "audio"})
    if not (said or acted) and (role == "assistant" or not blocks):
        return None
    return add_extra(entry, {k: v for k, v in extra.items() if k not in _RESPONSE_ONLY})


def _content(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]] | None:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks or None


def _block(part: Part, role: str) -> dict[str, Any] | None:
    match part:
        case TextPart():
            extra = dict(own_extra(part.extra, PROVIDER))
            if extra.pop("refusal", False) and role == "assistant":
                return add_extra({"type": "refusal", "refusal": clean_text(part.text)}, extra)
            return add_extra({"type": "text", "text": clean_text(part.text)}, extra)
        case ImagePart() if role == "user":
            return _image(part)
        case ImagePart():
            return {"type": "text", "text": clean_text(image_note(part))}
        case OpaquePart() if part.provider == PROVIDER and role == "user":
            return dict(clean(part.data)) if part.data.get("type") in CONTENT_BLOCKS else None
        case _:
            return None


def _image(part: ImagePart) -> dict[str, Any]:
    extra = own_extra(part.extra, PROVIDER)
    url = part.url
    if part.data is not None:
        url = data_url(part.data, media_type_of(part.data, part.media_type))
    image = add_extra({"url": clean_text(url or "")}, own_extra(extra, "image_url"))
    return add_extra({"type": "image_url", "image_url": image}, extra)


def _add_calls(entry: dict[str, Any], calls: Iterable[ToolCallPart], ids: CallIds) -> None:
    for call in calls:
        extra = own_extra(call.extra, PROVIDER)
        name = clean_text(call.name)
        if call.id.startswith(LEGACY_CALL):
            entry["function_call"] = {"name": name, "arguments": arguments_text(call)}
            continue
        item: dict[str, Any] = {"id": ids.of_call(call.id)}
        if extra.get("type") == "custom":
            item |= {"type": "custom", "custom": {"name": name, "input": arguments_text(call)}}
        else:
            function = {"name": name, "arguments": arguments_text(call)}
            add_extra(function, own_extra(extra, "function"))
            item |= {"type": "function", "function": function}
        entry.setdefault("tool_calls", []).append(add_extra(item, extra))


def _result(part: ToolResultPart, ids: CallIds) -> dict[str, Any]:
    texts: list[Part] = [
        TextPart(image_note(p)) if isinstance(p, ImagePart) else p for p in part.content
    ]
    blocks = [block for p in texts if (block := _block(p, "tool")) is not None]
    content = _content(blocks) or ""
    if part.call_id.startswith(LEGACY_CALL):
        name = part.name or part.call_id.removeprefix(LEGACY_CALL)
        return {"role": "function", "name": clean_text(name), "content": content}
    entry: dict[str, Any] = {"role": "tool", "tool_call_id": ids.of_result(part.call_id)}
    if part.name is not None:
        entry["name"] = _name(part.name)
    entry["content"] = content
    return add_extra(entry, own_extra(part.extra, PROVIDER))


def _name(name: str) -> str:
    # The API takes at most 64 characters, and none of these.
    return _NOT_IN_A_NAME.sub("_", name)[:64] or "_"
