"""Content blocks: from LlamaIndex's to ctxplug's parts and back.

A part says what any reader needs; a block's other fields stand in
`part.extra["llama_index"]`. A block that no part fits is an OpaquePart of its own fields.
"""

from __future__ import annotations

import base64
import binascii
import re
from io import IOBase
from pathlib import Path
from typing import Any

from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.bridge.pydantic import AnyUrl, BaseModel, ValidationError

from ctxplug.messages import ImagePart, OpaquePart, Part, TextPart, ThinkingPart, ToolCallPart
from ctxplug_llamaindex.calls import HAS_CALL_BLOCKS, KEY, how_of, read_call, write_call
from ctxplug_llamaindex.foreign_blocks import foreign_block
from ctxplug_llamaindex.json_data import from_json, to_json

HAS_THINKING = hasattr(types, "ThinkingBlock")  # not in the first cores of 0.13
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_BINARY = ("audio", "data", "image", "video")  # the fields that hold base64


def _classes() -> dict[str, type[BaseModel]]:
    found = (value for value in vars(types).values() if isinstance(value, type))
    models = (value for value in found if issubclass(value, BaseModel))
    return {
        model.model_fields["block_type"].default: model
        for model in models
        if "block_type" in model.model_fields
    }


_CLASSES = _classes()


def read_block(block: Any) -> Part:
    """Return the part for a block."""
    kind = block.block_type
    if kind == "text":
        return TextPart(block.text)
    if kind == "tool_call":
        return read_call(block.tool_call_id, block.tool_name, block.tool_kwargs)
    if kind == "thinking":
        return _read_thinking(block)
    image = _read_image(block) if kind == "image" else None
    return image or opaque(block)


def write_block(part: Part) -> Any:
    """Return the block that `read_block` made `part` of, or the one that says the same.

    None for what LlamaIndex has no block for: a provider's own, or one of a newer core.
    """
    match part:
        case TextPart():
            return TextBlock(text=part.text)
        case ToolCallPart():
            return write_call(part) if HAS_CALL_BLOCKS else None
        case ThinkingPart():
            return _write_thinking(part) if HAS_THINKING else None
        case ImagePart():
            return _write_image(part)
        case OpaquePart() if part.provider == KEY:
            return _write_opaque(dict(part.data))
        case OpaquePart():
            return foreign_block(part)
    return None


def opaque(block: Any) -> OpaquePart:
    """Return the part that keeps all fields of a block, its bytes as base64."""
    return OpaquePart(KEY, _plain(block))


# -- images --------------------------------------------------------------------------------


def _read_image(block: Any) -> ImagePart | None:
    how = {"detail": block.detail} if block.detail is not None else {}
    url = None if block.url is None else str(block.url)
    path = None if block.path is None else str(block.path)
    if block.image is not None:
        data = base64.b64decode(_encoded(block.image))
        also = {"url": url, "path": path}
        how |= {name: value for name, value in also.items() if value is not None}
        media_type = block.image_mimetype
        if media_type is None and data:  # it was given as a stream, of which none is guessed
            media_type = ImageBlock(image=data).image_mimetype
        return ImagePart(data=data, media_type=media_type, extra=_noted(how))
    if url is not None:
        how |= {} if path is None else {"path": path}
        return _image_at(url, block.image_mimetype, how)
    if path is None or block.image_mimetype is None:
        return None
    try:
        data = Path(path).read_bytes()  # the log is to hold what was said
    except OSError:
        return None
    how |= {"from": "path", "path": path}
    return ImagePart(data=data, media_type=block.image_mimetype, extra=_noted(how))


def _image_at(url: str, media_type: str | None, how: dict[str, Any]) -> ImagePart:
    match = _DATA_URL.fullmatch(url)
    data = _decoded(match[2]) if match else None
    if match and data is not None:
        how |= {"from": "url"}
        how |= {} if media_type == match[1] else {"media_type": media_type}
        return ImagePart(data=data, media_type=match[1], extra=_noted(how))
    return ImagePart(url=url, media_type=media_type, extra=_noted(how))


def _write_image(part: ImagePart) -> Any:
    how = how_of(part)
    fields: dict[str, Any] = {"image_mimetype": part.media_type, "detail": how.get("detail")}
    source, path = how.get("from"), how.get("path")
    if path is not None and Path(path).is_file():
        fields["path"] = path
    if part.data is None:
        fields["url"] = part.url
    elif source == "url":
        fields["url"] = f"data:{part.media_type};base64,{base64.b64encode(part.data).decode()}"
        fields["image_mimetype"] = how.get("media_type", part.media_type)
    elif source != "path" or "path" not in fields:
        fields["image"] = base64.b64encode(part.data)
        fields["url"] = how.get("url")
    return ImageBlock(**fields)


# -- thinking ------------------------------------------------------------------------------


def _read_thinking(block: Any) -> ThinkingPart:
    more = dict(block.additional_information)
    signature = redacted = None
    if isinstance(more.get("signature"), str):
        signature = more.pop("signature")
    if more.get("type") == "redacted_thinking" and isinstance(more.get("data"), str):
        redacted = more.pop("data")
    how: dict[str, Any] = {"more": to_json(more)} if more else {}
    how |= {} if block.num_tokens is None else {"num_tokens": block.num_tokens}
    how |= {} if block.content is not None else {"no_content": True}
    return ThinkingPart(block.content or "", signature, redacted, _noted(how))


def _write_thinking(part: ThinkingPart) -> Any:
    how = how_of(part)
    more = from_json(how.get("more", {}))
    more |= {} if part.signature is None else {"signature": part.signature}
    if part.redacted is not None:
        more |= {"type": "redacted_thinking", "data": part.redacted}
    return types.ThinkingBlock(
        content=None if how.get("no_content") else part.text,
        num_tokens=how.get("num_tokens"),
        additional_information=more,
    )


# -- other blocks --------------------------------------------------------------------------


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, BaseModel):
        names = (name for name in type(value).model_fields if getattr(value, name) is not None)
        return {name: _plain(getattr(value, name), name) for name in names}
    if isinstance(value, IOBase) or (isinstance(value, bytes) and name in _BINARY):
        return _encoded(value).decode()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, AnyUrl) else to_json(value)


def _write_opaque(data: dict[str, Any]) -> Any:
    data = from_json(data)
    block = _CLASSES.get(str(data.get("block_type")))
    if block is None:
        return None
    for name in _BINARY:
        if isinstance(data.get(name), str):
            data[name] = data[name].encode()
    try:
        return block.model_validate(data)
    except ValidationError:  # its file is no longer there
        return block.model_construct(**data)


def _encoded(value: bytes | IOBase) -> bytes:
    """Return the base64 of a block's bytes, which holds them so already unless it is a stream."""
    if isinstance(value, bytes):
        return value if _decoded(value) is not None else base64.b64encode(value)
    value.seek(0)
    data = value.read()
    value.seek(0)
    return base64.b64encode(data)


def _decoded(text: str | bytes) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    same = base64.b64encode(data)
    return data if same == (text.encode() if isinstance(text, str) else text) else None


def _noted(how: dict[str, Any]) -> dict[str, Any]:
    return {KEY: how} if how else {}
