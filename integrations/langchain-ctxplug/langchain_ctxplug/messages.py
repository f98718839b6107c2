"""LangChain messages to ctxplug's and back, without loss.

Text, images, thinking, tool calls and tool results become typed parts, which every other
reader of the log understands. Whatever has no place there (usage, response metadata,
additional keywords, an artifact) stands in `message.extra["langchain"]` as JSON. Artifacts
that are no JSON are kept as `json_data` says. A chunk becomes the message it is a chunk of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages.base import BaseMessageChunk

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
from ctxplug.scope import new_id
from langchain_ctxplug.blocks import (
    read_block,
    read_content,
    reads_as_text,
    write_block,
    write_content,
)
from langchain_ctxplug.calls import (
    CALL_BLOCKS,
    KEY,
    call_id,
    call_name,
    how_of,
    read_call,
    unread_call,
)
from langchain_ctxplug.json_data import from_json, to_json

__all__ = ["from_message", "from_messages", "to_message", "to_messages"]

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
}
_CHAT_ROLES = {
    "assistant": "assistant",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
}
_TYPES = {"user": "human", "assistant": "ai", "system": "system", "tool": "tool"}
_CLASSES: dict[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
    "chat": ChatMessage,
}


def to_messages(messages: BaseMessage | Iterable[BaseMessage]) -> list[Message]:
    """Return ours for each LangChain message; raise InvalidMessageError for a RemoveMessage."""
    given = [messages] if isinstance(messages, BaseMessage) else messages
    return [to_message(message) for message in given]


def to_message(message: BaseMessage) -> Message:
    """Return ours for one LangChain message; raise InvalidMessageError for a RemoveMessage."""
    if isinstance(message, RemoveMessage):
        raise InvalidMessageError(
            f"A RemoveMessage (here for {message.id!r}) is an order to a graph's state and no"
            " message; apply it with langgraph's add_messages, and give the messages that remain."
        )
    if not isinstance(message, BaseMessage):
        raise InvalidMessageError(
            f"This is of type {type(message).__name__} and no LangChain message; turn it into one"
            " with langchain_core.messages.convert_to_messages."
        )
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    kind = message.type if message.type in _CLASSES else "chat"
    role = _CHAT_ROLES.get(str(getattr(message, "role", "")), "user")
    role = _ROLES.get(kind, role)
    rest = _rest(message, kind)
    parts, name = _parts(message, kind, rest)
    rest |= {} if _TYPES[role] == kind else {"type": kind}
    id = message.id or new_id()
    rest |= {} if message.id else {"id": message.id}
    return Message(role, parts, name=name, id=id, extra={KEY: rest} if rest else None)


def from_messages(messages: Iterable[Message]) -> list[BaseMessage]:
    """Return LangChain's for each of ours, in order; several results become as many messages."""
    return [from_message(piece) for message in messages for piece in _one_result_each(message)]


def from_message(message: Message) -> BaseMessage:
    """Return LangChain's for one of ours, equal to what `to_message` was given.

    Raises InvalidMessageError for a tool message that brings several results, or none:
    LangChain has one message per result, which `from_messages` makes.
    """
    rest = _rest_of(message)
    kind = rest.get("type", _TYPES[message.role])
    fields = from_json(rest.get("fields", {}))
    fields["id"] = rest.get("id", message.id)
    fields["name"] = message.name
    for name in ("additional_kwargs", "response_metadata", "usage_metadata", "artifact", "role"):
        if name in rest:
            fields[name] = from_json(rest[name])
    if kind in ("tool", "function"):
        return _result(message, kind, fields, rest)
    parts: list[Part] = [part for part in message.content if not _is_aside(part)]
    fields["content"] = write_content(parts, bool(rest.get("list")))
    if kind == "ai":
        fields |= _calls(message)
    return _CLASSES[kind](**fields)


def _rest_of(message: Message) -> dict[str, Any]:
    rest = message.extra.get(KEY)
    return rest if isinstance(rest, dict) else {}


def _rest(message: BaseMessage, kind: str) -> dict[str, Any]:
    """Return as JSON the fields that no part holds; those left at their defaults are left out."""
    rest: dict[str, Any] = {}
    for name in ("additional_kwargs", "response_metadata", "usage_metadata", "artifact"):
        value = getattr(message, name, None)
        if value is not None and (value != {} or name == "artifact"):
            rest[name] = to_json(value)
    if kind == "chat":
        rest["role"] = str(getattr(message, "role", message.type))
    if message.model_extra:
        rest["fields"] = to_json(message.model_extra)
    return rest


def _parts(
    message: BaseMessage, kind: str, rest: dict[str, Any]
) -> tuple[list[Part] | ToolResultPart, str | None]:
    """Return the parts and the name of a message; mark in `rest` how its content was written."""
    if isinstance(message, AIMessage):
        return _answer(message, rest), message.name
    parts, as_list = read_content(message.content, None)
    if as_list:
        rest["list"] = True
    if kind not in ("tool", "function"):
        return parts, message.name
    plain = TextPart | ImagePart | OpaquePart  # a result holds nothing else
    content = tuple(
        part if isinstance(part, plain) else OpaquePart(KEY, to_json(write_block(part)))
        for part in parts
    )
    if isinstance(message, ToolMessage):
        failed = message.status == "error"
        return ToolResultPart(message.tool_call_id, content, failed, message.name), None
    name = message.name or ""
    legacy = Message.from_openai({"role": "function", "name": name, "content": ""})[0]
    return ToolResultPart(legacy.tool_results[0].call_id, content, name=name), None


def _answer(message: AIMessage, rest: dict[str, Any]) -> list[Part]:
    """Return the parts of what a model said: its blocks, calls among them, then other calls."""
    provider = message.response_metadata.get("model_provider")
    provider = provider if isinstance(provider, str) else None
    stem = message.id or "call"
    parts: list[Part] = []
    placed: list[int] = []  # which of tool_calls, in the order of their parts

    bad = dict(enumerate(message.invalid_tool_calls))

    def place(block: Mapping[str, Any] | None, i: int | None) -> None:
        at = None if i is None or i == len(placed) else i
        placed.extend([] if i is None else [i])
        call = None if i is None else message.tool_calls[i]
        part = read_call(block, call, index=at, fallback_id=f"{stem}-{len(parts)}")
        same = (n for n, one in bad.items() if call is None and one.get("id") == part.id)
        if (n := next(same, None)) is not None:
            part = unread_call(bad.pop(n), part, n)
        parts.append(part)

    if isinstance(message.content, str):
        parts, _ = read_content(message.content, provider)
    else:
        for block in message.content:
            if isinstance(block, str) or block.get("type") not in CALL_BLOCKS:
                parts.append(read_block(block, provider))
            else:
                id = block.get(CALL_BLOCKS[block["type"]])
                same = (i for i, call in enumerate(message.tool_calls) if call["id"] == id)
                place(block, next((i for i in same if i not in placed), None))
        if reads_as_text(parts):
            rest["list"] = True
    for i in range(len(message.tool_calls)):
        if i not in placed:
            place(None, i)
    for n, one in bad.items():
        parts.append(unread_call(one, ToolCallPart(f"{stem}-{len(parts)}", "unknown"), n))
    legacy = message.additional_kwargs.get("function_call")
    if isinstance(legacy, Mapping) and not message.tool_calls:
        parts += _legacy_call(legacy)
    return parts


def _legacy_call(call: Mapping[str, Any]) -> list[Part]:
    try:
        said = {"role": "assistant", "content": None, "function_call": dict(call)}
        calls = Message.from_openai(said)[0].tool_calls
    except InvalidMessageError:  # it stays in additional_kwargs as it is
        return []
    return [
        ToolCallPart(c.id, c.name, c.arguments, c.raw_arguments, {KEY: {"legacy": True}})
        for c in calls
    ]


def _is_aside(part: Part) -> bool:
    """Say whether a part stands beside `content`: a call that is only in `tool_calls`."""
    return isinstance(part, ToolCallPart) and "form" not in how_of(part)


def _calls(message: Message) -> dict[str, Any]:
    """Return `tool_calls` and `invalid_tool_calls` of what a model said."""
    calls: list[dict[str, Any]] = []
    moved: list[tuple[int, dict[str, Any]]] = []
    unread: list[tuple[int, dict[str, Any]]] = []
    for part in message.tool_calls:
        how = how_of(part)
        if "invalid" in how:
            known = {"name": part.name, "args": part.raw_arguments, "id": part.id}
            own = {**known, **from_json(how["invalid"]["fields"]), "type": "invalid_tool_call"}
            unread.append((how["invalid"]["index"], own))
        elif not (how.get("unlisted") or how.get("legacy")):
            call = {"name": call_name(part), "args": from_json(dict(part.arguments))}
            call["id"] = call_id(part)
            call |= {} if how.get("untyped") else {"type": "tool_call"}
            call |= from_json(how.get("call", {}))
            if "index" in how:
                moved.append((how["index"], call))
            else:
                calls.append(call)
    for index, call in sorted(moved, key=lambda one: one[0]):
        calls.insert(index, call)
    invalid = sorted(unread, key=lambda one: one[0])
    return {"tool_calls": calls, "invalid_tool_calls": [call for _, call in invalid]}


def _result(
    message: Message, kind: str, fields: dict[str, Any], rest: Mapping[str, Any]
) -> BaseMessage:
    if len(message.tool_results) != 1:
        raise InvalidMessageError(
            f"The tool message {message.id!r} brings {len(message.tool_results)} results, and"
            " LangChain has one message for each; use from_messages."
        )
    result = message.tool_results[0]
    fields["content"] = write_content(list(result.content), bool(rest.get("list")))
    fields["name"] = result.name
    if kind == "tool":
        fields["tool_call_id"] = result.call_id
        fields["status"] = "error" if result.is_error else "success"
    return _CLASSES[kind](**fields)


def _one_result_each(message: Message) -> list[Message]:
    """Return `message`, or a tool message for each result in it and one for what is left."""
    if message.role == "tool" and len(message.tool_results) == 1 == len(message.content):
        return [message]
    if message.role != "tool" and (KEY in message.extra or not message.tool_results):
        return [message]
    pieces: list[Message] = []
    for i, result in enumerate(message.tool_results):
        pieces.append(
            Message("tool", result, id=f"{message.id}-{i}", created_at=message.created_at)
        )
    others = [part for part in message.content if not isinstance(part, ToolResultPart)]
    if others:
        role = "user" if message.role == "tool" else message.role
        pieces.append(
            Message(role, others, name=message.name, id=message.id, created_at=message.created_at)
        )
    return pieces
