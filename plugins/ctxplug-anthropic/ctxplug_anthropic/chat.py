"""MemoryChat: conversations with Claude that remember."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, overload

import anthropic

from ctxplug import AgentMemory
from ctxplug.messages import Message
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug.storage import Backend, EraseReceipt
from ctxplug_anthropic.chat_settings import ChatSettings
from ctxplug_anthropic.conversations import Conversation, Conversations
from ctxplug_anthropic.opening import to_messages
from ctxplug_anthropic.replies import ChatEvent, ChatReply, ChatStatistics
from ctxplug_anthropic.sending import drive
from ctxplug_anthropic.settings import TurnSettings
from ctxplug_anthropic.streaming import ChatStream
from ctxplug_anthropic.turn import Turn


class MemoryChat:
    """Conversations of many users with Claude, each in a namespace of its own.

    `target` is an open AgentMemory, or what `AgentMemory.open` takes, with further arguments
    for it in `opening`. `client` is an `anthropic.Anthropic`, one of the environment's key
    when left out. `tools` are functions, Tools, or what `memory.tools.add` takes. With
    `conscious` the model remembers, recalls and forgets by tools; with `auto` rules remember
    what users say of themselves. The other arguments are those of ChatSettings.
    Usable from any thread; turns of one session are held one after the other.
    """

    def __init__(
        self,
        target: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        client: anthropic.Anthropic | None = None,
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
        self.client = client or anthropic.Anthropic()

    @overload
    def create_message(
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
    def create_message(
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
    ) -> ChatStream: ...

    def create_message(
        self,
        user_id: str,
        session_id: str,
        messages: str | Message | Mapping[str, Any] | Sequence[Any],
        system: str | None = None,
        namespace: str | Iterable[str] | None = None,
        stream: bool = False,
        tools: Iterable[Any] | None = None,
        **settings: Any,
    ) -> ChatReply | ChatStream:
        """Answer what a user says, and return the reply, or a stream of the turn.

        `messages` is what is new: text, a message of Anthropic's form or a Message, or several;
        what the session holds already is not stored again. `tools` are those of this turn
        (names, functions, server tools as dicts); all that are enabled when left out. The
        user's namespace stands below `namespace`. `settings` are fields of ChatSettings.

        Raises UsageLimitError or BudgetError before anything is sent, and then nothing stays
        stored; the SDK's typed errors, ChatDeadlineError and IncompleteReplyError, behind
        which the same message goes on from what was stored.
        """
        turn_settings = self.settings.of_turn(
            self._conversations, system=system, stream=stream, tools=tools, changes=settings
        )
        given = to_messages(messages)
        conversation = self._conversations.of(user_id, session_id, namespace)
        events = self._turn(conversation, given, turn_settings)
        turn = ChatStream(events)
        return turn if stream else turn.reply

    def search(
        self,
        user_id: str,
        query: str,
        k: int = 10,
        *,
        namespace: str | Iterable[str] | None = None,
        **options: Any,
    ) -> list[Recalled]:
        """Return the `k` best of a user's memories and messages; `options` are those of recall."""
        return self._conversations.search(user_id, query, k, namespace, options)

    def remember(
        self,
        user_id: str,
        content: str,
        *,
        namespace: str | Iterable[str] | None = None,
        **options: Any,
    ) -> MemoryRecord:
        """Store a memory for all sessions of a user; `options` are those of remember."""
        return self._conversations.remember(user_id, content, namespace, options)

    def clear(
        self,
        user_id: str,
        session_id: str | None = None,
        *,
        namespace: str | Iterable[str] | None = None,
    ) -> EraseReceipt | None:
        """Begin a session anew (its log stays), or erase all of a user and return the receipt.

        A turn of what is cleared that is under way is waited for, so call it from outside of one.
        """
        return self._conversations.clear(user_id, session_id, namespace)

    def statistics(
        self,
        user_id: str,
        *,
        days: int = 7,
        namespace: str | Iterable[str] | None = None,
    ) -> ChatStatistics:
        """Return what a user has stored, and what the turns of the last `days` have cost."""
        return self._conversations.statistics(user_id, days, namespace)

    def memory(
        self,
        user_id: str,
        session_id: str,
        *,
        namespace: str | Iterable[str] | None = None,
    ) -> AgentMemory:
        """Return the memory of a session, for all that AgentMemory can do."""
        return self._conversations.of(user_id, session_id, namespace).memory

    def close(self) -> None:
        """Close what was opened here: the store, the client."""
        self._conversations.close()
        if self._own_client:
            self.client.close()

    def __enter__(self) -> MemoryChat:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------

    def _turn(
        self, conversation: Conversation, given: Sequence[Message], settings: TurnSettings
    ) -> Iterator[ChatEvent]:
        wait = settings.deadline.timeout
        if not conversation.lock.acquire(timeout=-1 if wait is None else wait):
            raise settings.deadline.error()
        try:
            turn = Turn(conversation.memory, given, settings, self.client.max_retries)
            yield from drive(turn, self.client)
        finally:
            conversation.lock.release()
