"""Rendering for OpenAI's Responses API: one flat list of items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.wire.images import data_url, image_note, media_type_of
from ctxplug.wire.openai_reading import CONTENT_BLOCKS, PROVIDER
from ctxplug.wire.rendering import CallIds, add_extra, arguments_text, clean, clean_text, own_extra

_CALL_ID = re.compile("[^\ud800-\udfff]{1,64}")


def to_responses_items(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the `input` items of a Responses API request.

    Texts and images become `message` items, calls `function_call` and results
    `function_call_output` items. An OpaquePart of provider "openai" that is an item, such
    as `reasoning`, stays in its place (R03, R04); thinking and other providers' opaque
    parts are left out. Deterministic; what is given is copied, never changed.
    """
    items: list[dict[str, Any]] = []
    ids = CallIds(_CALL_ID, "call_", unique=True)
    custom: set[str] = set()
    for message in messages:
        items.extend(_result(part, ids, custom) for part in message.tool_results)
        role = _role(message)
        blocks: list[dict[str, Any]] = []
        for part in message.content:
            item = _item(part, ids, custom)
            if item is not None:
                _flush(items, role, blocks)
                items.append(item)
            elif block := _block(part, role):
                blocks.append(block)
        _flush(items, role, blocks)
    return items


def _role(message: Message) -> str:
    if message.role == "tool":
        return "user"
    if own_extra(message.extra, PROVIDER).get("role") == "developer":
        return "developer"
    return message.role


def _flush(items: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    # An assistant's text is `output_text` only with ids we do not have: plain text is free.
    content: Any = list(blocks)
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        content = blocks[0]["text"]
    if content:
        items.append({"type": "message", "role": role, "content": content})
    blocks.clear()


def _item(part: Part, ids: CallIds, custom: set[str]) -> dict[str, Any] | None:
    if isinstance(part, OpaquePart):
        own = part.provider == PROVIDER and part.data.get("type") not in CONTENT_BLOCKS
        return dict(clean(part.data)) if own else None
    if not isinstance(part, ToolCallPart):
        return None
    name = clean_text(part.name)
    call_id = ids.of_call(part.id)
    if own_extra(part.extra, PROVIDER).get("type") == "custom":
        custom.add(call_id)
        item = {"type": "custom_tool_call", "call_id": call_id, "name": name}
        return item | {"input": arguments_text(part)}
    item = {"type": "function_call", "call_id": call_id, "name": name}
    return item | {"arguments": arguments_text(part)}


def _result(part: ToolResultPart, ids: CallIds, custom: set[str]) -> dict[str, Any]:
    blocks = [block for p in part.content if (block := _block(p, "user")) is not None]
    output: Any = blocks
    if not blocks:
        output = ""
    elif len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        output = blocks[0]["text"]
    call_id = ids.of_result(part.call_id)
    kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
    return {"type": kind, "call_id": call_id, "output": output}


def _block(part: Part, role: str) -> dict[str, Any] | None:
    text_type = "output_text" if role == "assistant" else "input_text"
    match part:
        case TextPart():
            return {"type": text_type, "text": clean_text(part.text)} if part.text else None
        case ImagePart() if role == "user":
            return _image(part)
        case ImagePart():
            return {"type": text_type, "text": clean_text(image_note(part))}
        case OpaquePart() if part.provider == PROVIDER and role == "user":
            return _file_or_audio(part.data)
        case _:
            return None


def _image(part: ImagePart) -> dict[str, Any]:
    url = part.url
    if part.data is not None:
        url = data_url(part.data, media_type_of(part.data, part.media_type))
    detail = own_extra(own_extra(part.extra, PROVIDER), "image_url").get("detail", "auto")
    return {"type": "input_image", "image_url": clean_text(url or ""), "detail": clean(detail)}


def _file_or_audio(data: Mapping[str, Any]) -> dict[str, Any] | None:
    kind = data.get("type")
    if kind == "file":
        return add_extra({"type": "input_file"}, own_extra(data, "file"))
    return dict(clean(data)) if kind == "input_audio" else None
