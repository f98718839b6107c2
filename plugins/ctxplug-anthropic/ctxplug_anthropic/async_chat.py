"""AsyncMemoryChat: conversations with Claude that remember, for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any, Literal, TypeVar, overload
from weakref import WeakKeyDictionary

import anthropic

from ctxplug import AgentMemory
from ctxplug.messages import Message
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug.storage import Backend, EraseReceipt
from ctxplug_anthropic.async_sending import drive
from ctxplug_anthropic.chat_settings import ChatSettings
from ctxplug_anthropic.conversations import Conversation, Conversations
from ctxplug_anthropic.opening import to_messages
from ctxplug_anthropic.replies import ChatEvent, ChatReply, ChatStatistics
from ctxplug_anthropic.settings import TurnSettings
from ctxplug_anthropic.streaming import AsyncChatStream
from ctxplug_anthropic.turn import Turn

T = TypeVar("T")


class AsyncMemoryChat:
    """Conversations of many users with Claude: async twin of MemoryChat.

    `target` is an open AgentMemory, or what `AgentMemory.open` takes, with further arguments
    for it in `opening`. `client` is an `anthropic.AsyncAnthropic`, one of the environment's key
    when left out. `tools` are functions, Tools, or what `memory.tools.add` takes. With
    `conscious` the model remembers, recalls and forgets by tools; with `auto` rules remember
    what users say of themselves. The other arguments are those of ChatSettings.
    Use one in one event loop; turns of one session are held one after the other.
    """

    def __init__(
        self,
        target: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        client: anthropic.AsyncAnthropic | None = None,
        *,
        model: str | None = None,
        tools: Iterable[Any] = (),
        conscious: bool = False,
        auto: bool = False,
        opening: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.settings = ChatSettings(model=model, **settings)
        self._conversations = Conversations(
            target, tools=tools, conscious=conscious, auto=auto, **(opening or {})
        )
        self._own_client = client is None
        self.client = client or anthropic.AsyncAnthropic()
        self._locks = WeakKeyDictionary[Conversation, asyncio.Lock]()

    @overload
    async def create_message(
        self,
        user_id: str,
        session_id: str,
        messages: str | Message | Mapping[str, Any] | Sequence[Any],
        system: str | None = None,
        namespace: str | Iterable[str] | None = None,
        stream: Literal[False] = False,
        tools: Iterable[Any] | None = None,
        **settings: Any,
    ) -> ChatReply: ...

    @overload
    async def create_message(
        self,
        user_id: str,
        session_id: str,
        messages: str | Message | Mapping[str, Any] | Sequence[Any],
        system: str | None = None,
        namespace: str | Iterable[str] | None = None,
        *,
        stream: Literal[True],
        tools: Iterable[Any] | None = None,
        **settings: Any,
    ) -> AsyncChatStream: ...

    async def create_message(
        self,
        user_id: str,
        session_id: str,
        messages: str | Message | Mapping[str, Any] | Sequence[Any],
        system: str | None = None,
        namespace: str | Iterable[str] | None = None,
        stream: bool = False,
        tools: Iterable[Any] | None = None,
        **settings: Any,
    ) -> ChatReply | AsyncChatStream:
        """Answer what a user says, and return the reply, or a stream of the turn.

        `messages` is what is new: text, a message of Anthropic's form or a Message, or several;
        what the session holds already is not stored again. `tools` are those of this turn
        (names, functions, server tools as dicts); all that are enabled when left out. The
        user's namespace stands below `namespace`. `settings` are fields of ChatSettings.

        Raises UsageLimitError or BudgetError before anything is sent, and then nothing stays
        stored; the SDK's typed errors, ChatDeadlineError and IncompleteReplyError, behind
        which the same message goes on from what was stored.
        """
        held = self._conversations
        of_turn = partial(self.settings.of_turn, held, system=system, stream=stream, tools=tools)
        turn_settings = await self._arun(partial(of_turn, changes=settings))
        given = to_messages(messages)
        conversation = await self._arun(partial(held.of, user_id, session_id, namespace))
        turn = AsyncChatStream(self._turn(conversation, given, turn_settings))
        if stream:
            return turn
        async with turn:
            return await turn.wait()

    async def search(
        self,
        user_id: str,
        query: str,
        k: int = 10,
        *,
        namespace: str | Iterable[str] | None = None,
        **options: Any,
    ) -> list[Recalled]:
        """Return the `k` best of a user's memories and messages; `options` are those of recall."""
        held = self._conversations
        return await self._arun(partial(held.search, user_id, query, k, namespace, options))

    async def remember(
        self,
        user_id: str,
        content: str,
        *,
        namespace: str | Iterable[str] | None = None,
        **options: Any,
    ) -> MemoryRecord:
        """Store a memory for all sessions of a user; `options` are those of remember."""
        held = self._conversations
        return await self._arun(partial(held.remember, user_id, content, namespace, options))

    async def clear(
        self,
        user_id: str,
        session_id: str | None = None,
        *,
        namespace: str | Iterable[str] | None = None,
    ) -> EraseReceipt | None:
        """Begin a session anew (its log stays), or erase all of a user and return the receipt.

        A turn of what is cleared that is under way is waited for, so call it from outside of one.
        """
        held = self._conversations
        known = await self._arun(partial(held.held_by, user_id, session_id, namespace))
        async with AsyncExitStack() as turns:
            for conversation in known:
                lock = self._locks.setdefault(conversation, asyncio.Lock())
                await turns.enter_async_context(lock)
            return await self._arun(partial(held.clear, user_id, session_id, namespace))

    async def statistics(
        self,
        user_id: str,
        *,
        days: int = 7,
        namespace: str | Iterable[str] | None = None,
    ) -> ChatStatistics:
        """Return what a user has stored, and what the turns of the last `days` have cost."""
        held = self._conversations
        return await self._arun(partial(held.statistics, user_id, days, namespace))

    def memory(
        self,
        user_id: str,
        session_id: str,
        *,
        namespace: str | Iterable[str] | None = None,
    ) -> AgentMemory:
        """Return the memory of a session, for all that AgentMemory can do."""
        return self._conversations.of(user_id, session_id, namespace).memory

    async def close(self) -> None:
        """Close what was opened here: the store, the client."""
        await asyncio.to_thread(self._conversations.close)
        if self._own_client:
            await self.client.close()

    async def __aenter__(self) -> AsyncMemoryChat:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # -- inside --------------------------------------------------------------------------

    async def _arun(self, work: Callable[[], T]) -> T:
        return await self._conversations.root.backend.arun(work)

    async def _turn(
        self, conversation: Conversation, given: Sequence[Message], settings: TurnSettings
    ) -> AsyncIterator[ChatEvent]:
        lock = self._locks.setdefault(conversation, asyncio.Lock())
        try:
            async with asyncio.timeout(settings.deadline.timeout):
                await lock.acquire()
        except TimeoutError:
            raise settings.deadline.error() from None
        try:
            turn = Turn(conversation.memory, given, settings, self.client.max_retries)
            async with aclosing(drive(turn, self.client)) as events:
                async for event in events:
                    yield event
        finally:
            lock.release()
