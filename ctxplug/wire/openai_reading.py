"""Reading one OpenAI chat completion message dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctxplug import codec
from ctxplug.errors import InvalidMessageError, InvalidValueError
from ctxplug.messages import ImagePart, Message, OpaquePart, Part, TextPart, ToolCallPart
from ctxplug.messages import ToolResultPart as Result
from ctxplug.wire import reading as read
from ctxplug.wire.images import read_data_url
from ctxplug.wire.rendering import LEGACY_CALL, arguments_text

PROVIDER = "openai"
CONTENT_BLOCKS = frozenset({"file", "input_audio"})
"""Blocks of a user message that ctxplug keeps as they are."""

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_KNOWN = {"role", "content", "name"}


def read_message(message: Mapping[str, Any]) -> Message:
    """Return ours for one message dict; raise InvalidMessageError naming the path."""
    data = read.mapping(message, "")
    role = read.text(data, "role", "")
    if role not in ROLES:
        raise InvalidMessageError(
            f"role is {role!r}; an OpenAI message has one of the roles {', '.join(ROLES)}.",
            path="role",
        )
    if role in ("tool", "function"):
        return Message("tool", _result(data, role))
    name = read.optional_text(data, "name", "")
    if role == "assistant":
        return _assistant(data, name)
    fields = read.rest(data, _KNOWN, "")
    if role == "developer":
        fields["role"] = role
        role = "system"
    content = read.parts(data.get("content"), "content", _block)
    return Message(role, content, name=name, extra=read.extra(PROVIDER, fields))


def _assistant(data: Mapping[str, Any], name: str | None) -> Message:
    content = data.get("content")
    parts = [] if content is None else read.parts(content, "content", _block)
    refusal = read.optional_text(data, "refusal", "")
    if refusal is not None:
        parts.append(TextPart(refusal, extra={PROVIDER: {"refusal": True}}))
    calls = data.get("tool_calls")
    for i, call in enumerate([] if calls is None else read.array(calls, "tool_calls")):
        path = f"tool_calls[{i}]"
        parts.append(_call(read.mapping(call, path), path))
    if data.get("function_call") is not None:
        parts.append(_legacy_call(read.mapping(data["function_call"], "function_call")))
    known = _KNOWN | {"refusal", "tool_calls", "function_call"}
    extra = read.extra(PROVIDER, read.rest(data, known, ""))
    return Message("assistant", parts, name=name, extra=extra)


def _call(call: Mapping[str, Any], path: str) -> ToolCallPart:
    id = read.text(call, "id", path)
    if call.get("type") == "custom":
        custom = read.mapping(call.get("custom"), f"{path}.custom")
        return ToolCallPart(
            id,
            read.text(custom, "name", f"{path}.custom"),
            raw_arguments=read.text(custom, "input", f"{path}.custom"),
            extra={PROVIDER: {"type": "custom", **read.rest(call, _CALL_KEYS, path)}},
        )
    where = f"{path}.function"
    function = read.mapping(call.get("function"), where)
    fields = read.rest(call, _CALL_KEYS, path)
    if inner := read.rest(function, {"name", "arguments"}, where):
        fields["function"] = inner
    arguments, raw = _arguments(read.text(function, "arguments", where))
    return ToolCallPart(
        id, read.text(function, "name", where), arguments, raw, read.extra(PROVIDER, fields)
    )


_CALL_KEYS = {"id", "type", "function", "custom"}


def _legacy_call(call: Mapping[str, Any]) -> ToolCallPart:
    name = read.text(call, "name", "function_call")
    arguments, raw = _arguments(read.text(call, "arguments", "function_call"))
    return ToolCallPart(LEGACY_CALL + name, name, arguments, raw)


def _arguments(text: str) -> tuple[Mapping[str, Any], str | None]:
    try:
        value = codec.plain(codec.decode(text))
    except InvalidValueError:
        return {}, text
    if not isinstance(value, dict):
        return {}, text
    rendered = arguments_text(ToolCallPart("", "", value))
    return value, None if rendered == text else text


def _result(data: Mapping[str, Any], role: str) -> Result:
    content = data.get("content")
    if role == "function":
        name = read.text(data, "name", "")
        parts = [] if content is None else read.parts(content, "content", _block)
        return Result(LEGACY_CALL + name, _result_parts(parts), name=name)
    return Result(
        read.text(data, "tool_call_id", ""),
        _result_parts(read.parts(content, "content", _block)),
        name=read.optional_text(data, "name", ""),
        extra=read.extra(PROVIDER, read.rest(data, {*_KNOWN, "tool_call_id"}, "")),
    )


def _result_parts(parts: list[Part]) -> tuple[TextPart | ImagePart | OpaquePart, ...]:
    return tuple(p for p in parts if isinstance(p, TextPart | ImagePart | OpaquePart))


def _block(block: Mapping[str, Any], path: str) -> Part:
    match read.text(block, "type", path):
        case "text":
            fields = read.rest(block, {"type", "text"}, path)
            return TextPart(read.text(block, "text", path), read.extra(PROVIDER, fields))
        case "refusal":
            fields = read.rest(block, {"type"}, path) | {"refusal": True}
            return TextPart(read.text(block, "refusal", path), read.extra(PROVIDER, fields))
        case "image_url":
            return _image(block, path)
        case _:
            return OpaquePart(PROVIDER, read.copy(block, path))


def _image(block: Mapping[str, Any], path: str) -> ImagePart:
    where = f"{path}.image_url"
    image = read.mapping(block.get("image_url"), where)
    fields = read.rest(block, {"type", "image_url"}, path)
    if inner := read.rest(image, {"url"}, where):
        fields["image_url"] = inner
    extra = read.extra(PROVIDER, fields)
    url = read.text(image, "url", where)
    if not url.lower().startswith("data:"):
        return ImagePart(url, extra=extra)
    found = read_data_url(url)
    if found is None:
        raise InvalidMessageError(
            f"{where}.url is a data: URL that cannot be read; it begins with {url[:40]!r}.",
            path=f"{where}.url",
        )
    return ImagePart(data=found[0], media_type=found[1], extra=extra)
