"""CtxplugAsyncChatStore: the store under LlamaIndex's `Memory`, on ctxplug's log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from ctxplug.errors import InvalidValueError
from ctxplug_llamaindex.chat_view import Edit, View, goes_on, without
from ctxplug_llamaindex.conversation import Conversation
from ctxplug_llamaindex.copies import copy_of
from ctxplug_llamaindex.messages import to_messages
from ctxplug_llamaindex.reconnecting import Reconnecting

T = TypeVar("T")

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED


class CtxplugAsyncChatStore(Reconnecting, AsyncDBChatStore):
    """Chat histories by key with their status, kept in ctxplug.

    Give it to `Memory.from_defaults(chat_store=...)`. `target` is an AgentMemory, a backend,
    a path or a spec, then with the keywords of AgentMemory.open. A key is a session of its
    namespace: AgentMemory and CtxplugChatStore show the same messages there, archived or
    not, for archiving is LlamaIndex's own business. What is deleted stays in the log until
    `AgentMemory.erase`. Places and `limit` and `offset` count from the oldest.

    Every verb is atomic, may be called from any thread and loop, and takes and gives copies.
    """

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class."""
        return "CtxplugAsyncChatStore"

    # -- reading -------------------------------------------------------------------------

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Return up to `limit` messages of `status` (None: any), the oldest `offset` left out."""
        start, end = _bounds(limit, offset)

        def read(conversation: Conversation) -> list[ChatMessage]:
            view = conversation.view()
            return [copy_of(view.messages[at]) for at in _places(view, status)[start:end]]

        return await self._on(key, read)

    async def count_messages(self, key: str, status: MessageStatus | None = ACTIVE) -> int:
        """Return how many messages of `status` there are; None: of any."""
        return await self._on(key, lambda one: len(_places(one.view(), status)))

    async def get_keys(self) -> list[str]:
        """Return the keys in order of insertion."""
        return await self.memory.backend.arun(self._directory.keys)

    # -- writing -------------------------------------------------------------------------

    async def add_message(
        self, key: str, message: ChatMessage, status: MessageStatus = ACTIVE
    ) -> None:
        """Store one message."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = ACTIVE
    ) -> None:
        """Store several messages in one write: all of them or none."""
        given, archived = list(messages), _is_archived(status)

        def decide(view: View) -> tuple[Edit | None, None]:
            if not given:
                return None, None
            then = to_messages(given)
            return Edit(
                view.versions, then, view.archived, range(len(then)), listed=view.listed
            ), None

        await self._on(key, lambda one: one.edit(decide) if archived else one.add(given))

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = ACTIVE
    ) -> None:
        """Replace the messages of `status` by `messages`; those of the other one stay."""
        given, archived = list(messages), _is_archived(status)

        def decide(one: Conversation, view: View) -> tuple[Edit | None, None]:
            old = view.places(archived)
            same = goes_on(view, given, old)
            if len(same) == len(given) == len(old):
                return None, None
            gone = without(old, same)
            then = one.renewed(view, given[len(same) :], gone)
            left = without(range(len(view.versions)), gone)
            versions = [view.versions[place] for place in left]
            new = range(len(then)) if archived else ()
            return Edit(versions, then, view.archived, new, listed=view.listed), None

        await self._on(key, lambda one: one.edit(partial(decide, one)))

    # -- deleting and archiving -----------------------------------------------------------

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the active message at the place `idx` and return it; None if there is none.

        The place is that in what `get_messages(key)` returns; negative ones count from the end.
        """

        def choose(view: View) -> Sequence[int]:
            active = view.places(archived=False)
            return [active[idx]] if -len(active) <= idx < len(active) else ()

        deleted = await self._on(key, lambda one: _delete(one, choose))
        return deleted[0] if deleted else None

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Delete the messages of `status`; None: all of them."""

        def decide(view: View) -> tuple[Edit | None, None]:
            return Edit() if view.exists else None, None

        if status is None:
            await self._on(key, lambda one: one.edit(decide))
        else:
            await self._on(key, lambda one: _delete(one, lambda view: _places(view, status)))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Delete the oldest `n` active messages and return them."""
        most = max(0, n)
        return await self._on(
            key, lambda one: _delete(one, lambda view: view.places(archived=False)[:most])
        )

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest `n` active messages and return them."""

        def decide(view: View) -> tuple[Edit | None, list[ChatMessage]]:
            oldest = view.places(archived=False)[: max(0, n)]
            if not oldest:
                return None, []
            archived = {*view.archived, *(view.versions[place] for place in oldest)}
            edit = Edit(view.versions, archived=archived, listed=view.listed)
            return edit, [copy_of(view.messages[place]) for place in oldest]

        return await self._on(key, lambda one: one.edit(decide))

    # -- inside --------------------------------------------------------------------------

    async def _on(self, key: str, unit: Callable[[Conversation], T]) -> T:
        """Run `unit` on a conversation, on the backend's workers."""
        return await self.memory.backend.arun(lambda: unit(self._directory.conversation(key)))


def _delete(
    conversation: Conversation, choose: Callable[[View], Sequence[int]]
) -> list[ChatMessage]:
    """Delete the messages at the places that `choose` gives, and return them."""

    def decide(view: View) -> tuple[Edit | None, list[ChatMessage]]:
        places = choose(view)
        if not places:
            return None, []
        left = without(range(len(view.versions)), places)
        edit = Edit([view.versions[place] for place in left], archived=view.archived)
        return edit, [copy_of(view.messages[place]) for place in places]

    return conversation.edit(decide)


def _places(view: View, status: MessageStatus | None) -> Sequence[int]:
    return view.places(None if status is None else _is_archived(status))


def _is_archived(status: MessageStatus) -> bool:
    try:
        return MessageStatus(status) is ARCHIVED
    except ValueError:
        raise InvalidValueError(
            f"A message's status is 'active' or 'archived', not {status!r}.", path="status"
        ) from None


def _bounds(limit: int | None, offset: int | None) -> tuple[int, int | None]:
    for name, value in (("limit", limit), ("offset", offset)):
        if value is not None and value < 0:
            raise InvalidValueError(
                f"{name} counts messages from the oldest, so it is 0 or more, not {value!r}.",
                path=name,
            )
    return offset or 0, None if limit is None else (offset or 0) + limit
