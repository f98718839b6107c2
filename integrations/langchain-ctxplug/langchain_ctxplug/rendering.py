"""A window as the messages of a LangChain request.

What is in the window word for word is the very object of the state, with its cache marks and
extras. Only what was shortened, mended or given recalled memories is made anew, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from operator import is_

from langchain_core.messages import AIMessage, BaseMessage

from ctxplug import Message
from ctxplug.context.recalled import is_block
from ctxplug.context.window import ContextWindow
from ctxplug.messages import Part, TextPart, ToolCallPart
from langchain_ctxplug.calls import KEY, how_of
from langchain_ctxplug.messages import from_messages, to_message
from langchain_ctxplug.state_log import Generation

_NOT_SENDABLE = ("invalid", "id", "name")


def to_request(
    window: ContextWindow, generation: Generation, system: Message | None
) -> list[BaseMessage]:
    """Return the messages of `window` for the model, but `system`, which is sent beside them."""
    messages = window.messages[1:] if system is not None else window.messages
    before = len(generation.window)
    if len(messages) < before or not all(map(is_, generation.window, messages)):
        before, generation.sent = 0, []
    del generation.sent[generation.rendered_up_to :]  # what went on from it is in this one
    known = generation.rendered if before == 0 else {}
    for message in messages[before:]:
        kept = known.get(id(message))
        if kept is None or kept[0] is not message:
            kept = message, _rendered(message, generation)
        generation.sent += kept[1]
        generation.rendered[id(message)] = kept
    if before == 0:
        generation.rendered = {id(m): generation.rendered[id(m)] for m in messages}
    generation.window, generation.rendered_up_to = messages, len(generation.sent)
    return list(generation.sent)


def _rendered(message: Message, generation: Generation) -> list[BaseMessage]:
    own = generation.of(message.id)
    if own is None:
        return from_messages([sendable(message)])
    said = to_message(own)
    if _sendable(own) and (said.content, said.name) == (message.content, message.name):
        return [own]
    blocks = [part for part in message.content if is_block(part)]
    rest = tuple(part for part in message.content if not is_block(part))
    if (
        blocks
        and isinstance(own.content, str)
        and (said.content, said.name) == (rest, message.name)
    ):
        text = "\n\n".join([own.content, *(block.text for block in blocks)])
        return [own.model_copy(update={"content": text})]
    return from_messages([sendable(message)])


def sendable(message: Message) -> Message:
    """Return `message` with every call as one that a provider takes: with an id and arguments.

    A call whose arguments could not be read gets their text as its one argument.
    """
    if message.role != "assistant" or not message.tool_calls:
        return message
    return replace(message, content=tuple(_mended(part) for part in message.content))


def _mended(part: Part) -> Part:
    if not isinstance(part, ToolCallPart):
        return part
    how = how_of(part)
    if not any(key in how for key in _NOT_SENDABLE):
        return part
    kept = {k: v for k, v in how.items() if k in ("form", "rest", "call")}
    arguments = {"invalid_arguments": part.raw_arguments} if "invalid" in how else part.arguments
    return ToolCallPart(part.id, part.name, arguments, None, {KEY: kept} if kept else {})


def _sendable(message: BaseMessage) -> bool:
    if not isinstance(message, AIMessage):
        return True
    return not message.invalid_tool_calls and all(call["id"] for call in message.tool_calls)


def text_of(messages: Sequence[BaseMessage]) -> str | None:
    """Return the text of the user's newest message, if it is the newest of all."""
    newest = messages[-1] if messages else None
    if newest is None or newest.type != "human":
        return None
    return "\n".join(p.text for p in to_message(newest).content if isinstance(p, TextPart)) or None
