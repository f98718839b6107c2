"""ChatStream: a turn as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug_anthropic.replies import ChatEvent, ChatReply


def to_event(event: Any) -> ChatEvent | None:
    """Return ours for an event of the SDK's stream, or None for what nobody waits for."""
    kind = getattr(event, "type", None)
    if kind == "text":
        return ChatEvent("text", text=event.text)
    if kind == "thinking":
        return ChatEvent("thinking", text=event.thinking)
    return None


class ChatStream:
    """The events of a turn; iterate it once, to its end or until `close`.

    `text_stream` gives the text alone. `reply` is there when the turn is over. A turn that is
    closed before keeps what was stored: give the same message again to go on.
    """

    def __init__(self, events: Iterator[ChatEvent]) -> None:
        self._events = events
        self._reply: ChatReply | None = None

    def __iter__(self) -> Iterator[ChatEvent]:
        for event in self._events:
            if event.reply is not None:
                self._reply = event.reply
            yield event

    @property
    def text_stream(self) -> Iterator[str]:
        """The pieces of text, of all of the turn's messages."""
        return (event.text for event in self if event.kind == "text")

    @property
    def reply(self) -> ChatReply:
        """The end of the turn; what has not happened yet is waited for."""
        for _ in self:
            pass
        return _over(self._reply)

    def close(self) -> None:
        """Give up the turn; what was billed so far is entered."""
        close = getattr(self._events, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class AsyncChatStream:
    """The events of a turn; async twin of ChatStream."""

    def __init__(self, events: AsyncIterator[ChatEvent]) -> None:
        self._events = events
        self._reply: ChatReply | None = None

    async def __aiter__(self) -> AsyncIterator[ChatEvent]:
        async for event in self._events:
            if event.reply is not None:
                self._reply = event.reply
            yield event

    @property
    async def text_stream(self) -> AsyncIterator[str]:
        """The pieces of text, of all of the turn's messages."""
        async for event in self:
            if event.kind == "text":
                yield event.text

    async def wait(self) -> ChatReply:
        """Return the end of the turn; what has not happened yet is waited for."""
        async for _ in self:
            pass
        return _over(self._reply)

    async def aclose(self) -> None:
        """Give up the turn; what was billed so far is entered."""
        close = getattr(self._events, "aclose", None)
        if close is not None:
            await close()

    async def __aenter__(self) -> AsyncChatStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _over(reply: ChatReply | None) -> ChatReply:
    if reply is None:
        raise InvalidValueError("The stream was closed before the turn was over.", path="stream")
    return reply
