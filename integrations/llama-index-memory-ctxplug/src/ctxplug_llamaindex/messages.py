"""LlamaIndex's chat messages to ctxplug's and back, without loss.

Text, images, thinking, tool calls and tool results become typed parts, which every other
reader of the log understands, whether calls stand in blocks or in `additional_kwargs`.
Other blocks are opaque parts; other additional keywords stand in
`message.extra["llama_index"]` as JSON. A ChatMessage has no id and no time: those of the
log are in `Message` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from ctxplug.errors import InvalidMessageError
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ToolResultPart,
)
from ctxplug.scope import new_id
from ctxplug_llamaindex.blocks import opaque, read_block, write_block
from ctxplug_llamaindex.calls import KEY
from ctxplug_llamaindex.json_data import from_json, to_json
from ctxplug_llamaindex.listed_calls import is_aside, read_listed, write_listed

__all__ = ["from_message", "from_messages", "to_message", "to_messages"]

_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_RESULT_PARTS = (TextPart, ImagePart, OpaquePart)


def to_messages(messages: ChatMessage | Iterable[ChatMessage]) -> list[Message]:
    """Return ours for each of LlamaIndex's, in order."""
    given = [messages] if isinstance(messages, ChatMessage) else messages
    return [to_message(message) for message in given]


def to_message(message: ChatMessage) -> Message:
    """Return ours for one of LlamaIndex's; raise InvalidMessageError for anything else."""
    if not isinstance(message, ChatMessage):
        raise InvalidMessageError(
            f"This is of type {type(message).__name__} and no ChatMessage; make one with"
            " ChatMessage(role=..., content=...)."
        )
    id, given = new_id(), MessageRole(message.role).value
    role = _ROLES.get(given, "user")
    kwargs = dict(message.additional_kwargs)
    kwargs.pop("images", None)  # ChatMessage has made blocks of them
    rest: dict[str, Any] = {} if role == given else {"role": given}
    content: Iterable[Part]
    name: str | None = None
    if role == "tool":
        content = [_read_result(message, kwargs, rest, id)]
    else:
        name = kwargs.pop("name") if _is_name(kwargs.get("name")) else None
        parts = [read_block(block) for block in message.blocks]
        content, unread = read_listed(parts, kwargs) if role == "assistant" else (parts, [])
        rest |= {"unread": unread} if unread else {}
    rest |= {"additional_kwargs": to_json(kwargs)} if kwargs else {}
    if role != "tool":  # so that a foreign name is told from one that was given here
        rest |= {"name": True} if name else {}
    return Message(role, content, name=name, id=id, extra={KEY: rest} if rest else None)


def from_messages(messages: Iterable[Message]) -> list[ChatMessage]:
    """Return LlamaIndex's for each of ours, in order; several results become as many messages."""
    return [from_message(piece) for message in messages for piece in one_result_each(message)]


def from_message(message: Message) -> ChatMessage:
    """Return LlamaIndex's for one of ours, equal to what `to_message` was given.

    Raises InvalidMessageError for a tool message that brings several results, or none:
    LlamaIndex has one message per result, which `from_messages` makes.
    """
    rest = message.extra.get(KEY)
    rest = rest if isinstance(rest, dict) else {}
    role = MessageRole(rest.get("role", message.role))
    kwargs: dict[str, Any] = from_json(rest.get("additional_kwargs", {}))
    parts: tuple[Part, ...] = message.content
    if message.role == "tool":
        parts = _write_result(message, kwargs, rest)
    else:
        kwargs |= write_listed(parts, rest.get("unread", ()))
        if rest.get("name") and message.name:
            kwargs["name"] = message.name
    blocks = (write_block(part) for part in parts if not is_aside(part))
    found = [block for block in blocks if block is not None]
    return ChatMessage(role=role, blocks=found, additional_kwargs=kwargs)


def one_result_each(message: Message) -> list[Message]:
    """Return `message`, or a tool message for each result in it and one for what is left."""
    results = message.tool_results
    whole = len(results) == len(message.content) == 1 if message.role == "tool" else not results
    if whole:
        return [message]
    said = {"created_at": message.created_at}
    pieces = [
        Message("tool", result, id=f"{message.id}-{n}", **said)  # type: ignore[arg-type]
        for n, result in enumerate(results)
    ]
    others = [part for part in message.content if not isinstance(part, ToolResultPart)]
    if others:
        role = "user" if message.role == "tool" else message.role
        pieces.append(Message(role, others, name=message.name, id=message.id, **said))  # type: ignore[arg-type]
    return pieces


# -- results -------------------------------------------------------------------------------


def _read_result(
    message: ChatMessage, kwargs: dict[str, Any], rest: dict[str, Any], id: str
) -> ToolResultPart:
    content = []
    for block in message.blocks:
        part = read_block(block)
        content.append(part if isinstance(part, _RESULT_PARTS) else opaque(block))
    name = kwargs.pop("name") if _is_name(kwargs.get("name")) else None
    rest |= {"name": True} if name else {}
    call_id = kwargs.get("tool_call_id")
    if isinstance(call_id, str) and call_id:
        del kwargs["tool_call_id"]
    elif name is not None:  # the result of OpenAI's first form of calls, which had no ids
        legacy = Message.from_openai({"role": "function", "name": name, "content": ""})[0]
        call_id, rest["no_id"] = legacy.tool_results[0].call_id, True
    else:
        call_id, rest["no_id"] = f"{id}-result", True
    return ToolResultPart(call_id, tuple(content), name=name)


def _write_result(
    message: Message, kwargs: dict[str, Any], rest: Mapping[str, Any]
) -> tuple[Part, ...]:
    if len(message.tool_results) != 1 or len(message.content) != 1:
        raise InvalidMessageError(
            f"The tool message {message.id!r} brings {len(message.tool_results)} results, and"
            " LlamaIndex has one message for each; use from_messages."
        )
    result = message.tool_results[0]
    if not rest.get("no_id"):
        kwargs["tool_call_id"] = result.call_id
    if rest.get("name") and result.name:
        kwargs["name"] = result.name
    return result.content


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
