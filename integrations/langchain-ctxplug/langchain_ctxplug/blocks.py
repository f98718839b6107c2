"""Content blocks: from LangChain's (v1, or a provider's own) to ctxplug's parts and back.

A part says what any reader needs; how the block was written, and its other fields, stand in
`part.extra["langchain"]`, so that it comes back as it was. What no part fits is an OpaquePart.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from ctxplug.messages import (
    ImagePart,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from langchain_ctxplug.calls import KEY, fields_of, how_of, write_call
from langchain_ctxplug.json_data import from_json, to_json

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_ANTHROPIC = frozenset({"document", "search_result", "container_upload", "server_tool_use"})


def read_block(block: str | Mapping[str, Any], provider: str | None = None) -> Part:
    """Return the part for one content block; a tool call's is made by `read_call`."""
    if isinstance(block, str):
        return TextPart(block, {KEY: {"form": "bare"}})
    kind = block.get("type")
    part: Part | None = None
    if kind == "text" and isinstance(block.get("text"), str):
        part = TextPart(block["text"], _how(None, block, "type", "text"))
    elif kind in ("image", "image_url"):
        part = _read_image(block)
    elif kind in ("thinking", "redacted_thinking", "reasoning"):
        part = _read_thinking(block)
    elif kind == "tool_result" and isinstance(block.get("tool_use_id"), str):
        part = _read_result(block, provider)
    if part is not None:
        return part
    if provider is None:
        provider = "anthropic" if kind in _ANTHROPIC else KEY
    return OpaquePart(provider, to_json(dict(block)))


def write_block(part: Part) -> str | dict[str, Any]:
    """Return the block that `read_block` made `part` of, or the plain one for it."""
    how = {} if isinstance(part, OpaquePart) else how_of(part)
    rest = from_json(how.get("rest", {}))
    match part:
        case TextPart():
            return part.text if how.get("form") == "bare" else _block("text", rest, text=part.text)
        case ImagePart():
            return _write_image(part, how.get("form"), rest)
        case ThinkingPart():
            return _write_thinking(part, how.get("form"), rest)
        case OpaquePart():
            return dict(from_json(dict(part.data)))
        case ToolCallPart():
            return write_call(part)
    return _write_result(part, rest)


def _read_image(block: Mapping[str, Any]) -> ImagePart | None:
    if block["type"] == "image_url":
        image = block.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        if not isinstance(url, str):
            return None
        how = _how("image_url", block, "type", "image_url")
        if isinstance(image, Mapping):
            how[KEY] |= fields_of("image", image, "url")
        else:
            how[KEY]["form"] = "image_url_text"
        match = _DATA_URL.fullmatch(url)
        data = _bytes(match[2]) if match else None
        if match and data is not None:
            return ImagePart(data=data, media_type=match[1], extra=how)
        return ImagePart(url=url, extra=how)
    source = block.get("source")
    if isinstance(source, Mapping):
        data = _bytes(source.get("data")) if source.get("type") == "base64" else None
        if data is not None and source.keys() == {"type", "media_type", "data"}:
            how = _how("source", block, "type", "source")
            return ImagePart(data=data, media_type=source["media_type"], extra=how)
        if source.keys() == {"type", "url"} and source["type"] == "url":
            return ImagePart(url=source["url"], extra=_how("source", block, "type", "source"))
        return None
    media = block.get("mime_type")
    if not isinstance(media, str | None):
        return None
    for field, form in (("base64", None), ("data", "data")):
        data = _bytes(block.get(field))
        if data is not None and "url" not in block:
            how = _how(form, block, "type", field, *(["mime_type"] if media else []))
            return ImagePart(data=data, media_type=media, extra=how)
    if isinstance(block.get("url"), str):
        return ImagePart(url=block["url"], extra=_how(None, block, "type", "url"))
    return None


def _write_image(part: ImagePart, form: str | None, rest: dict[str, Any]) -> dict[str, Any]:
    encoded = None if part.data is None else base64.b64encode(part.data).decode()
    if form in ("image_url", "image_url_text"):
        url = part.url if encoded is None else f"data:{part.media_type};base64,{encoded}"
        if form == "image_url_text":
            return _block("image_url", rest, image_url=url)
        image = {"url": url, **from_json(how_of(part).get("image", {}))}
        return _block("image_url", rest, image_url=image)
    if form == "source":
        source: dict[str, Any] = {"type": "url", "url": part.url}
        if encoded is not None:
            source = {"type": "base64", "media_type": part.media_type, "data": encoded}
        return _block("image", rest, source=source)
    if encoded is None:
        return _block("image", rest, url=part.url)
    media = {"mime_type": part.media_type} if part.media_type else {}
    return _block("image", rest, **{"data" if form == "data" else "base64": encoded}, **media)


def _read_thinking(block: Mapping[str, Any]) -> ThinkingPart | None:
    kind = block["type"]
    if kind == "redacted_thinking" and isinstance(block.get("data"), str):
        return ThinkingPart(redacted=block["data"], extra=_how(None, block, "type", "data"))
    field = "thinking" if kind == "thinking" else "reasoning"
    text, signature = block.get(field), block.get("signature")
    extras = block.get("extras")
    if kind == "redacted_thinking" or not isinstance(text, str):
        return None
    if kind == "thinking":
        if not isinstance(signature, str | None) or ("signature" in block and signature is None):
            return None
        how = _how("thinking" if signature is None else None, block, "type", field, "signature")
        return ThinkingPart(text, signature, extra=how)
    signature = extras.get("signature") if isinstance(extras, Mapping) else None
    how = _how("reasoning", block, "type", field, "extras")
    if isinstance(extras, Mapping):
        signed = isinstance(signature, str)
        how[KEY] |= {"extras": to_json({k: v for k, v in extras.items() if k != "signature"})}
        if not signed and "signature" in extras:
            return None
    elif extras is not None or "extras" in block:
        return None
    return ThinkingPart(text, signature, extra=how)


def _write_thinking(part: ThinkingPart, form: str | None, rest: dict[str, Any]) -> dict[str, Any]:
    if part.redacted is not None:
        return _block("redacted_thinking", rest, data=part.redacted)
    if form == "reasoning":
        block = _block("reasoning", rest, reasoning=part.text)
        if "extras" in how_of(part):
            block["extras"] = from_json(how_of(part)["extras"])
            block["extras"] |= {} if part.signature is None else {"signature": part.signature}
        return block
    if part.signature is not None:
        return _block("thinking", rest, thinking=part.text, signature=part.signature)
    if form == "thinking":
        return _block("thinking", rest, thinking=part.text)
    return _block("reasoning", rest, reasoning=part.text)


def read_content(content: Any, provider: str | None) -> tuple[list[Part], bool]:
    """Return the parts of `content`, and whether its being a list must be noted."""
    if isinstance(content, str):
        return ([TextPart(content)] if content else []), False
    parts = [read_block(block, provider) for block in content]
    return parts, reads_as_text(parts)


def reads_as_text(parts: list[Part]) -> bool:
    """Say whether `write_content` makes text of `parts` unless it is told not to."""
    return not parts or (len(parts) == 1 and _is_plain(parts[0]))


def write_content(parts: list[Part], as_list: bool) -> str | list[str | dict[str, Any]]:
    """Return `content` for `parts`: text where that says it all, unless a list is wanted."""
    if not as_list and not parts:
        return ""
    if not as_list and len(parts) == 1 and _is_plain(parts[0]):
        return str(parts[0].text)  # type: ignore[union-attr]
    return [write_block(part) for part in parts]


def _is_plain(part: Part) -> bool:
    return isinstance(part, TextPart) and KEY not in part.extra


def _read_result(block: Mapping[str, Any], provider: str | None) -> ToolResultPart | None:
    content, failed = block.get("content"), block.get("is_error")
    if not isinstance(content, str | list | None) or not isinstance(failed, bool | None):
        return None
    parts, as_list = read_content(content or "", provider)
    if not all(isinstance(part, TextPart | ImagePart | OpaquePart) for part in parts):
        return None
    how = _how("tool_result", block, "type", "tool_use_id", "content", "is_error")
    how[KEY] |= {"list": True} if as_list or content == [] else {}
    how[KEY] |= {"no_content": True} if "content" not in block else {}
    how[KEY] |= {"is_error": failed} if "is_error" in block else {}
    if "content" in block and content is None:
        return None
    return ToolResultPart(block["tool_use_id"], tuple(parts), bool(failed), extra=how)  # type: ignore[arg-type]


def _write_result(part: ToolResultPart, rest: dict[str, Any]) -> dict[str, Any]:
    how = how_of(part)
    block = _block("tool_result", rest, tool_use_id=part.call_id)
    if not how.get("no_content"):
        block["content"] = write_content(list(part.content), bool(how.get("list")))
    if "is_error" in how or part.is_error:
        block["is_error"] = part.is_error
    return block


def _block(kind: str, rest: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields, **rest}


def _how(form: str | None, block: Mapping[str, Any], *taken: str) -> dict[str, Any]:
    how = {"form": form} if form else {}
    how |= fields_of("rest", block, *taken)
    return {KEY: how} if how else {}


def _bytes(text: Any) -> bytes | None:
    """Return the bytes of base64 `text`, if encoding them gives the same text again."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data and base64.b64encode(data).decode() == text else None
