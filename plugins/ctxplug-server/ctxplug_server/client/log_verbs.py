"""The verbs about the session's log: what is said, and the window made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ctxplug import Message
from ctxplug.context.sections import Section, Sections
from ctxplug.context.window import ContextWindow
from ctxplug.errors import InvalidMessageError, InvalidValueError
from ctxplug.messages import Part
from ctxplug.tools.verbs import provider_dicts
from ctxplug_server.client.calls import Call
from ctxplug_server.client.checks import check_query
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.sectioned import Sectioned
from ctxplug_server.client.trace import RemoteTrace
from ctxplug_server.wire import to_json


class LogVerbs:
    """Add, read and look up messages, and make windows; RemoteMemory brings the attributes."""

    link: Link
    budget: int
    sections: Sections
    trace: RemoteTrace
    _last_tokens: int

    def add(
        self,
        message: Message | str,
        content: str | Part | Iterable[Part] | None = None,
        **fields: Any,
    ) -> Message:
        """Store one message durably and return it as stored; see AgentMemory.add."""
        return self.extend([_message(message, content, fields)])[0]

    def extend(self, messages: Iterable[Message]) -> list[Message]:
        """Store several messages in one atomic write and return them as stored."""
        stored = self.link.send(self._extend(messages))
        self.trace.try_to_store()
        return stored

    def messages(self, last: int | None = None) -> list[Message]:
        """Return the messages of the session, or its `last`, oldest first, as they were stored."""
        return self.link.send(self._messages(last))

    def original(self, ref: str) -> tuple[Message, ...]:
        """Return the messages, byte for byte, behind a reference in a shortened part."""
        return self.link.send(self._original(ref))

    def expand(self, ref: str, start: int = 0) -> str:
        """Show what a shortened part of the conversation said in full.

        Give this to the agent as a tool. `ref` is the reference in the part, such as "@12"
        or "@3-40"; `start` is the character to go on from. Returns up to 8,000 characters
        of the originals, each with its role, and where to go on.
        """
        return self.link.send(self._expand(ref, start))

    def context(
        self,
        query: str | None = None,
        *,
        budget: int | None = None,
        system: str | Message | None = None,
        tools: Iterable[Mapping[str, Any] | Any] = (),
        reserved: int = 0,
        sections: Iterable[Section | str] | None = None,
    ) -> ContextWindow:
        """Return the window for the next model call; see AgentMemory.context.

        Sections that are functions are asked here, and what they say is sent.
        """
        self.link.check_open()
        asked = Sectioned.of(self, query, sections)
        window = self.link.send(self._context(query, budget, system, tools, reserved, asked))
        return self._taken(window, asked)

    # -- a-twins -------------------------------------------------------------------------

    async def aadd(
        self,
        message: Message | str,
        content: str | Part | Iterable[Part] | None = None,
        **fields: Any,
    ) -> Message:
        """Async twin of `add`."""
        return (await self.aextend([_message(message, content, fields)]))[0]

    async def aextend(self, messages: Iterable[Message]) -> list[Message]:
        """Async twin of `extend`."""
        stored = await self.link.asend(self._extend(messages))
        await self.trace.atry_to_store()
        return stored

    async def amessages(self, last: int | None = None) -> list[Message]:
        """Async twin of `messages`."""
        return await self.link.asend(self._messages(last))

    async def aoriginal(self, ref: str) -> tuple[Message, ...]:
        """Async twin of `original`."""
        return await self.link.asend(self._original(ref))

    async def aexpand(self, ref: str, start: int = 0) -> str:
        """Async twin of `expand`."""
        return await self.link.asend(self._expand(ref, start))

    async def acontext(
        self,
        query: str | None = None,
        *,
        budget: int | None = None,
        system: str | Message | None = None,
        tools: Iterable[Mapping[str, Any] | Any] = (),
        reserved: int = 0,
        sections: Iterable[Section | str] | None = None,
    ) -> ContextWindow:
        """Async twin of `context`; functions of sections are asked on a thread."""
        self.link.check_open()
        asked = await Sectioned.aof(self, query, sections)
        call = self._context(query, budget, system, tools, reserved, asked)
        return self._taken(await self.link.asend(call), asked)

    # -- inside --------------------------------------------------------------------------

    def _extend(self, messages: Iterable[Message]) -> Call[list[Message]]:
        body = {"messages": [_checked(message).to_dict() for message in messages]}
        if any(message["role"] == "user" for message in body["messages"]):
            self.trace.begin_turn()
        path = self.link.at("messages")
        return self.link.call("POST", path, reads(list[Message], "messages"), body=body)

    def _messages(self, last: int | None) -> Call[list[Message]]:
        path, read = self.link.at("messages"), reads(list[Message], "messages")
        return self.link.call("GET", path, read, params={"last": last}, slow=last is None)

    def _original(self, ref: str) -> Call[tuple[Message, ...]]:
        read = reads(tuple[Message, ...], "messages")
        return self.link.call("GET", self.link.at("original"), read, params={"ref": ref})

    def _expand(self, ref: str, start: int) -> Call[str]:
        params = {"ref": ref, "start": start}
        return self.link.call("GET", self.link.at("expand"), reads(str, "text"), params=params)

    def _context(
        self,
        query: str | None,
        budget: int | None,
        system: str | Message | None,
        tools: Iterable[Any],
        reserved: int,
        asked: Sectioned,
    ) -> Call[ContextWindow]:
        check_query(query)
        body = {
            "query": query,
            "budget": self.budget if budget is None else positive(budget, "budget"),
            "system": to_json(system),
            "tools": [dict(tool) for tool in provider_dicts(tools)],
            "reserved": positive(reserved, "reserved") if reserved else 0,
            "sections": asked.body,
            "fates": False,  # they are told by the rest
        }
        return self.link.call(
            "POST", self.link.at("context"), reads(ContextWindow), body=body, writes=False
        )

    def _taken(self, window: ContextWindow, asked: Sectioned) -> ContextWindow:
        self._last_tokens = window.tokens
        return asked.told(window)


def positive(value: int, name: str) -> int:
    """Return `value`, or raise InvalidValueError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidValueError(
            f"{name} is a number of tokens above zero, not {value!r}.", path=name
        )
    return value


def _message(message: Message | str, content: Any, fields: Mapping[str, Any]) -> Message:
    if not isinstance(message, Message):
        return Message(message, () if content is None else content, **fields)
    if content is not None or fields:
        raise InvalidMessageError(
            "add takes a Message alone, or a role, its content and keywords; use"
            " dataclasses.replace to change a Message."
        )
    return message


def _checked(value: Any) -> Message:
    if isinstance(value, Message):
        return value
    raise InvalidMessageError(
        f"extend takes Messages, not {type(value).__name__}; provider dicts go through"
        " Message.from_openai or Message.from_anthropic."
    )
