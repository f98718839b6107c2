"""Anthropic Messages dicts: read into ours, and rendered from ours.

Rendering is deterministic, never changes what it is given, and copies all of it. It
puts what is there into the form the API takes (rules A03 to A30 of
`ctxplug.context.validity`); it does not invent missing results or calls.
"""

from __future__ import annotations

import base64
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
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.wire import reading as read
from ctxplug.wire.images import image_note, media_type_of, resolve
from ctxplug.wire.rendering import CallIds, add_extra, clean, clean_text, own_extra
from ctxplug.wire.tools import read_tool

PROVIDER = "anthropic"
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
EMPTY_ERROR = "The tool failed without a message."

_CALL_ID = re.compile("[a-zA-Z0-9_-]+")
# What a response carries and a request must not.
_RESPONSE_ONLY = {"id", "type", "model", "stop_reason", "stop_sequence", "stop_details"}
_RESPONSE_ONLY |= {"usage", "container", "context_management", "input_transformations"}


def from_dict(message: Mapping[str, Any]) -> list[Message]:
    """Return ours for one Anthropic message dict, of a request or of a response.

    In a user turn every tool_result becomes a message of role "tool", then the rest a
    user message. Fields that ctxplug does not interpret are kept in
    `extra["anthropic"]`. Raises InvalidMessageError with the path of what is wrong.
    """
    data = read.mapping(message, "")
    role = read.text(data, "role", "")
    if role not in ("user", "assistant", "system"):
        raise InvalidMessageError(
            f"role is {role!r}; an Anthropic message has the role 'user', 'assistant' or 'system'.",
            path="role",
        )
    parts = read.parts(data.get("content"), "content", _read_block)
    groups: list[tuple[str, list[Part]]] = [(role, parts)]
    if role == "user":
        results = [part for part in parts if isinstance(part, ToolResultPart)]
        others: list[Part] = [p for p in parts if not isinstance(p, ToolResultPart)]
        groups = [("tool", [part]) for part in results]
        if others or not results:
            groups.append(("user", others))
    extra = read.extra(PROVIDER, read.rest(data, {"role", "content"}, ""))
    return [
        Message(kind, content, extra=extra if i == 0 else None)
        for i, (kind, content) in enumerate(groups)
    ]


def to_messages(
    messages: Iterable[Message],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the request's `system` blocks and its `messages`, as merged turns.

    Every content is a list of blocks. Results come first in a user turn (A23, A30), text
    before calls in an assistant turn (A27); blank text is dropped (A07, A08), call ids
    are made acceptable (A15), and text is valid Unicode (A09). Thinking without a
    signature and other providers' opaque parts have no place here and are left out.
    """
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    ids = CallIds(_CALL_ID, "toolu_", unique=True)
    for message in messages:
        if message.role == "system":
            system.extend(_blocks(_as_text(message.content), ids))
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content = message.content if role == "user" else _as_text(message.content)
        blocks = _blocks(content, ids)
        if not blocks:
            continue
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        turns[-1]["content"].extend(blocks)
        fields = own_extra(message.extra, PROVIDER)
        add_extra(turns[-1], {k: v for k, v in fields.items() if k not in _RESPONSE_ONLY})
    for turn in turns:
        _arrange(turn)
    if turns and turns[-1]["role"] == "assistant":
        _strip_end(turns[-1]["content"])
    return system, turns


def to_tools(tools: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return tool dicts of OpenAI's or Anthropic's style in Anthropic's.

    Anthropic's own come back as they are, `cache_control` and server tools included.
    Raises InvalidMessageError for what is neither style.
    """
    rendered = []
    for i, item in enumerate(tools):
        tool = read_tool(item, f"tools[{i}]")
        if tool.style != "openai":
            rendered.append(clean(tool.source))
            continue
        entry: dict[str, Any] = {"name": clean_text(tool.name)}
        if tool.description is not None:
            entry["description"] = clean_text(tool.description)
        rendered.append(entry | {"input_schema": clean(tool.schema)})
    return rendered


def _read_block(block: Mapping[str, Any], path: str) -> Part:
    def extra(*known: str) -> dict[str, Any]:
        return read.extra(PROVIDER, read.rest(block, {"type", *known}, path))

    match read.text(block, "type", path):
        case "text":
            return TextPart(read.text(block, "text", path), extra=extra("text"))
        case "thinking":
            return ThinkingPart(
                read.text(block, "thinking", path),
                signature=read.optional_text(block, "signature", path),
                extra=extra("thinking", "signature"),
            )
        case "redacted_thinking":
            return ThinkingPart(redacted=read.text(block, "data", path), extra=extra("data"))
        case "tool_use":
            return ToolCallPart(
                read.text(block, "id", path),
                read.text(block, "name", path),
                read.copy(read.mapping(block.get("input"), f"{path}.input"), f"{path}.input"),
                extra=extra("id", "name", "input"),
            )
        case "tool_result":
            return _read_result(block, path, extra("tool_use_id", "content", "is_error"))
        case "image":
            return _read_image(block, path)
        case _:
            return OpaquePart(PROVIDER, read.copy(block, path))


def _read_result(block: Mapping[str, Any], path: str, extra: dict[str, Any]) -> ToolResultPart:
    is_error = block.get("is_error")
    if is_error is not None and not isinstance(is_error, bool):
        raise read.wrong(f"{path}.is_error", "true or false", is_error)
    inner = block.get("content")
    parts = read.parts(() if inner is None else inner, f"{path}.content", _read_block)
    content: list[TextPart | ImagePart | OpaquePart] = []
    for i, part in enumerate(parts):
        if not isinstance(part, TextPart | ImagePart | OpaquePart):
            raise InvalidMessageError(
                f"{path}.content[{i}] is a {part.type} block; a tool result holds text,"
                " images and documents.",
                path=f"{path}.content[{i}]",
            )
        content.append(part)
    return ToolResultPart(
        read.text(block, "tool_use_id", path), tuple(content), bool(is_error), extra=extra
    )


def _read_image(block: Mapping[str, Any], path: str) -> ImagePart | OpaquePart:
    where = f"{path}.source"
    source = read.mapping(block.get("source"), where)
    kind = read.text(source, "type", where)
    if kind not in ("base64", "url"):
        return OpaquePart(PROVIDER, read.copy(block, path))
    fields = read.rest(block, {"type", "source"}, path)
    if inner := read.rest(source, {"type", "media_type", "data", "url"}, where):
        fields["source"] = inner
    extra = read.extra(PROVIDER, fields)
    media_type = read.optional_text(source, "media_type", where)
    if kind == "url":
        return ImagePart(read.text(source, "url", where), media_type=media_type, extra=extra)
    try:
        data = base64.b64decode(read.text(source, "data", where), validate=True)
    except ValueError as exc:
        raise InvalidMessageError(
            f"{where}.data is not base64: {exc}.", path=f"{where}.data"
        ) from exc
    return ImagePart(data=data, media_type=media_type, extra=extra)


def _as_text(content: tuple[Part, ...]) -> list[Part]:
    # Only user turns take images.
    return [TextPart(image_note(p)) if isinstance(p, ImagePart) else p for p in content]


def _blocks(content: Iterable[Part], ids: CallIds) -> list[dict[str, Any]]:
    blocks = (_block(part, ids) for part in content)
    return [block for block in blocks if block is not None]


def _block(part: Part, ids: CallIds) -> dict[str, Any] | None:
    if isinstance(part, OpaquePart):
        return clean(part.data) if part.provider == PROVIDER else None
    extra = own_extra(part.extra, PROVIDER)
    match part:
        case TextPart():
            text = clean_text(part.text)
            return add_extra({"type": "text", "text": text}, extra) if text.strip() else None
        case ThinkingPart():
            block = _thinking(part)
            return add_extra(block, extra) if block else None
        case ImagePart():
            return _image(part, extra)
        case ToolCallPart():
            call = {"type": "tool_use", "id": ids.of_call(part.id)}
            call |= {"name": clean_text(part.name), "input": clean(part.arguments)}
            return add_extra(call, extra)
        case ToolResultPart():
            return add_extra(_result(part, ids), extra)


def _thinking(part: ThinkingPart) -> dict[str, Any] | None:
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": clean_text(part.redacted)}
    if part.signature is None:
        return None
    signature = clean_text(part.signature)
    return {"type": "thinking", "thinking": clean_text(part.text), "signature": signature}


def _image(part: ImagePart, extra: Mapping[str, Any]) -> dict[str, Any]:
    image = resolve(part)
    source: dict[str, Any]
    if image.data is not None:
        media_type = media_type_of(image.data, image.media_type)
        if media_type not in IMAGE_TYPES:
            return {"type": "text", "text": clean_text(image_note(image))}
        encoded = base64.b64encode(image.data).decode()
        source = {"type": "base64", "media_type": media_type, "data": encoded}
    elif image.url is not None and image.url.lower().startswith(("http://", "https://")):
        source = {"type": "url", "url": clean_text(image.url)}
    else:
        return {"type": "text", "text": clean_text(image_note(image))}
    add_extra(source, own_extra(extra, "source"))
    return add_extra({"type": "image", "source": source}, extra)


def _result(part: ToolResultPart, ids: CallIds) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": ids.of_result(part.call_id)}
    if part.is_error:  # text only, and not empty (A28)
        block["is_error"] = True
        texts = [p for p in _as_text(part.content) if isinstance(p, TextPart)]
        block["content"] = _blocks(texts, ids) or [{"type": "text", "text": EMPTY_ERROR}]
    elif content := _blocks(part.content, ids):
        block["content"] = content
    return block


def _arrange(turn: dict[str, Any]) -> None:
    blocks: list[dict[str, Any]] = turn["content"]
    if turn["role"] == "user":
        blocks.sort(key=lambda block: block.get("type") != "tool_result")
        return
    first = next((i for i, b in enumerate(blocks) if b.get("type") == "tool_use"), len(blocks))
    late = [block for block in blocks[first:] if block.get("type") == "text"]
    if late:
        others = [block for block in blocks[first:] if block.get("type") != "text"]
        turn["content"] = blocks[:first] + late + others


def _strip_end(blocks: list[dict[str, Any]]) -> None:
    if blocks[-1].get("type") == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()
