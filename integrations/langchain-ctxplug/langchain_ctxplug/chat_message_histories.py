"""Chat message histories for `RunnableWithMessageHistory`, and the factories it asks for them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage
from langchain_core.runnables import ConfigurableFieldSpec

from ctxplug import AgentMemory
from ctxplug.context.window import ContextWindow
from ctxplug.errors import EmptyContextError
from ctxplug.memory_like import is_memory
from ctxplug.storage import Backend
from langchain_ctxplug.chat_log import ChatLog
from langchain_ctxplug.labels import to_label
from langchain_ctxplug.messages import from_messages
from langchain_ctxplug.opening import memory_of

Target = AgentMemory | str | os.PathLike[str] | Backend
OPEN = 256  # conversations that a factory keeps open


class CtxplugChatMessageHistory(BaseChatMessageHistory):
    """One conversation, kept in ctxplug.

    `target` is an AgentMemory, a backend, a path or a spec, then with the keywords of
    AgentMemory.open (`namespace` may be left out for "memory:" alone). `messages` is the raw
    log: it only grows. What goes to a model is `window_messages(budget=...)`.

    What cannot be written is not lost: it is kept, tried again at the next access, and that
    access raises if it fails once more. `last_error` tells why, `drop_unsaved` gives it up.
    """

    def __init__(self, target: Target = "memory:", **options: Any) -> None:
        self._opened = not is_memory(target)
        self._log = ChatLog(opened(target, options))
        self._repeats = False
        self._seen: list[BaseMessage] | None = None

    @classmethod
    def _over(cls, log: ChatLog) -> CtxplugChatMessageHistory:
        """Return a history for one invocation: `messages` repeats until it writes itself.

        A runnable cuts from its input what `messages` held before; were it longer by then,
        because another invocation wrote, it would cut the new message too.
        """
        history = cls.__new__(cls)
        history._opened, history._log, history._repeats = False, log, True
        history._seen = None
        return history

    @property
    def memory(self) -> AgentMemory:
        """The memory of the conversation since it was last cleared."""
        return self._log.memory()

    # -- the raw log ---------------------------------------------------------------------

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """Every message since the last `clear`, the oldest first."""
        if self._repeats and self._seen is not None:
            self._log.settle()
            return [message.model_copy() for message in self._seen]
        found = self._log.messages()
        if self._repeats:
            self._seen = found
        return list(found)

    async def aget_messages(self) -> list[BaseMessage]:
        """Async twin of `messages`."""
        return await self._log.first.backend.arun(lambda: self.messages)

    def add_message(self, message: BaseMessage) -> None:
        """Store one message."""
        self.add_messages([message])

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store several messages in one write: all of them or none."""
        self._seen = None
        self._log.add(list(messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Async twin of `add_messages`."""
        await self._log.first.backend.arun(partial(self.add_messages, list(messages)))

    def clear(self) -> None:
        """Begin anew: what was said is hidden, not removed (`memory.erase()` removes it).

        The messages to come are a session of their own, named after this one.
        """
        self._seen = None
        self._log.clear()

    async def aclear(self) -> None:
        """Async twin of `clear`."""
        await self._log.first.backend.arun(self.clear)

    # -- what could not be written ---------------------------------------------------------

    @property
    def last_error(self) -> BaseException | None:
        """Why messages are not saved; None while all are."""
        return self._log.error

    @property
    def unsaved(self) -> list[BaseMessage]:
        """The messages that are not saved yet."""
        return list(self._log.unsaved)

    def drop_unsaved(self) -> list[BaseMessage]:
        """Give up what is not saved, and return it."""
        return self._log.drop()

    # -- the compressed view ---------------------------------------------------------------

    def window(self, budget: int | None = None, **options: Any) -> ContextWindow:
        """Return the window under `budget` tokens; `options` are those of AgentMemory.context."""
        self._log.settle()
        return self._log.memory().context(budget=budget, **options)

    async def awindow(self, budget: int | None = None, **options: Any) -> ContextWindow:
        """Async twin of `window`."""
        return await self._log.first.backend.arun(partial(self.window, budget, **options))

    def window_messages(self, budget: int | None = None, **options: Any) -> list[BaseMessage]:
        """Return the messages of `window`; [] while there is nothing to answer."""
        try:
            return from_messages(self.window(budget, **options).messages)
        except EmptyContextError:
            return []

    async def awindow_messages(
        self, budget: int | None = None, **options: Any
    ) -> list[BaseMessage]:
        """Async twin of `window_messages`."""
        return await self._log.first.backend.arun(partial(self.window_messages, budget, **options))

    def close(self) -> None:
        """Let go of what this history opened itself; a memory that was given stays open."""
        self._log.close()
        if self._opened:
            self._log.first.close()

    def __repr__(self) -> str:
        return f"<CtxplugChatMessageHistory of {self._log.first!r}>"


class SessionHistories:
    """`get_session_history` of one user: call it with a session id."""

    config: tuple[ConfigurableFieldSpec, ...] = (
        ConfigurableFieldSpec(
            id="session_id",
            annotation=str,
            name="Session ID",
            description="Which conversation it is.",
            default="",
            is_shared=True,
        ),
    )

    def __init__(self, target: Target = "memory:", **options: Any) -> None:
        self._opened = not is_memory(target)
        self._first = opened(target, options)
        self._lock = threading.Lock()
        self._logs: OrderedDict[tuple[str, ...], ChatLog] = OrderedDict()

    def __call__(self, session_id: str) -> CtxplugChatMessageHistory:
        """Return the history of a conversation, any text; its name in ctxplug is `to_label`'s."""
        return self._history((), session_id)

    def close(self) -> None:
        """Let go of everything that was opened; a memory that was given stays open."""
        with self._lock:
            for log in self._logs.values():
                _close(log)
            self._logs.clear()
        if self._opened:
            self._first.close()

    def _history(self, below: tuple[str, ...], session_id: str) -> CtxplugChatMessageHistory:
        key = (*below, to_label(session_id))
        with self._lock:
            log = self._logs.get(key)
            if log is None:
                namespace = (*self._first.scope.namespace, *below)
                log = ChatLog(self._first.beside(namespace=namespace, session=key[-1]))
                self._logs[key] = log
                self._let_go()
            self._logs.move_to_end(key)
            return CtxplugChatMessageHistory._over(log)

    def _let_go(self) -> None:
        """Forget the conversations used longest ago, but none with something unsaved.

        They are not closed: a history of theirs may be in use, and is closed with it.
        """
        for key in list(self._logs)[: max(0, len(self._logs) - OPEN)]:
            if not self._logs[key].unsaved:
                del self._logs[key]


class UserHistories(SessionHistories):
    """`get_session_history` of many users: call it with a user id and a session id.

    Each user has a namespace below that of `target`: nothing is shared between them. Give
    `config` to the runnable as `history_factory_config`.
    """

    config = (
        ConfigurableFieldSpec(
            id="user_id",
            annotation=str,
            name="User ID",
            description="Whose conversation it is.",
            default="",
            is_shared=True,
        ),
        *SessionHistories.config,
    )

    def __call__(self, user_id: str, session_id: str) -> CtxplugChatMessageHistory:  # type: ignore[override]
        """Return the history of one user's conversation; both ids are any text."""
        return self._history((to_label(user_id),), session_id)


def ctxplug_history(target: Target = "memory:", **options: Any) -> SessionHistories:
    """Return a `get_session_history` for RunnableWithMessageHistory, by session id."""
    return SessionHistories(target, **options)


def ctxplug_user_history(target: Target = "memory:", **options: Any) -> UserHistories:
    """Return a `get_session_history` by user id and session id; see UserHistories."""
    return UserHistories(target, **options)


def opened(target: Target, options: Mapping[str, Any]) -> AgentMemory:
    """Return the memory of `target`; one that lives in this process alone needs no namespace."""
    if target == "memory:" and "namespace" not in options:
        options = {**options, "namespace": "conversation"}
    return memory_of(target, **options)


def _close(log: ChatLog) -> None:
    log.close()
    log.first.close()
