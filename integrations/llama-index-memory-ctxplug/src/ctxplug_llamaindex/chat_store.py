"""CtxplugChatStore: LlamaIndex's `BaseChatStore` on ctxplug's log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.storage.chat_store.base import BaseChatStore
from llama_index.core.storage.chat_store.loading import RECOGNIZED_CHAT_STORES

from ctxplug_llamaindex.chat_view import Edit, View, goes_on, without
from ctxplug_llamaindex.conversation import Conversation
from ctxplug_llamaindex.copies import copy_of
from ctxplug_llamaindex.messages import to_messages
from ctxplug_llamaindex.reconnecting import Reconnecting

T = TypeVar("T")


class CtxplugChatStore(Reconnecting, BaseChatStore):
    """Chat histories by key, kept in ctxplug.

    `target` is an AgentMemory, a backend, a path or a spec, then with the keywords of
    AgentMemory.open. A key is a session of its namespace: `AgentMemory.open(...,
    session=key)` goes on with the same messages. Deleting and replacing are entries of that
    session's log, so nothing is lost until `AgentMemory.erase`.

    Every verb is atomic, may be called from any thread and loop, and takes and gives copies.
    Places are those of a list: negative ones count from the end, and one that is not there
    gives None. `ChatMemoryBuffer.from_dict` opens it again once this class is imported.
    """

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which it is loaded again."""
        return "CtxplugChatStore"

    # -- writing -------------------------------------------------------------------------

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Replace all messages of `key` by `messages`; those that stay are not stored again."""
        given, conversation = list(messages), self._conversation(key)

        def decide(view: View) -> tuple[Edit | None, None]:
            places = goes_on(view, given, range(len(view.messages)))
            if view.exists and len(places) == len(given) == len(view.messages):
                return None, None
            left = without(range(len(view.messages)), places)
            new = conversation.renewed(view, given[len(places) :], left)
            return _edit(view, places, new), None

        conversation.edit(decide)

    def add_message(self, key: str, message: ChatMessage, idx: int | None = None) -> None:
        """Store `message` at the end, or before the place `idx` as `list.insert` has it."""
        if idx is None:
            return self.add_messages(key, [message])
        new, conversation = to_messages([message]), self._conversation(key)

        def decide(view: View) -> tuple[Edit | None, None]:
            count = len(view.versions)
            before = len(range(count)[:idx])
            tail = conversation.renewed(view, view.messages[before:], range(before, count))
            archived = view.archived
            after = {1 + at for at, v in enumerate(view.versions[before:]) if v in archived}
            return _edit(view, range(before), [*new, *tail], after), None

        return conversation.edit(decide)

    def add_messages(self, key: str, messages: Sequence[ChatMessage]) -> None:
        """Store several messages at the end in one write: all of them or none."""
        self._conversation(key).add(list(messages))

    # -- reading -------------------------------------------------------------------------

    def get_messages(self, key: str) -> list[ChatMessage]:
        """Return the messages of `key`, the oldest first; [] for one that is not there."""
        return [copy_of(message) for message in self._conversation(key).view().messages]

    def get_keys(self) -> list[str]:
        """Return the keys in order of insertion."""
        return self._directory.keys()

    # -- deleting ------------------------------------------------------------------------

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        """Delete `key` and return its messages; None if it is not there."""

        def decide(view: View) -> tuple[Edit | None, list[ChatMessage] | None]:
            if not view.exists:
                return None, None
            return Edit(), [copy_of(message) for message in view.messages]

        return self._conversation(key).edit(decide)

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the message at the place `idx` and return it; None if there is none."""

        def decide(view: View) -> tuple[Edit | None, ChatMessage | None]:
            count = len(view.messages)
            if not -count <= idx < count:
                return None, None
            place = idx % count
            left = without(range(count), [place])
            return _edit(view, left), copy_of(view.messages[place])

        return self._conversation(key).edit(decide)

    def delete_last_message(self, key: str) -> ChatMessage | None:
        """Delete the newest message and return it; None if there is none."""
        return self.delete_message(key, -1)

    # -- async twins: each is one unit on the backend's workers ---------------------------

    async def aset_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Async twin of `set_messages`."""
        await self._arun(self.set_messages, key, list(messages))

    async def async_add_message(
        self, key: str, message: ChatMessage, idx: int | None = None
    ) -> None:
        """Async twin of `add_message`."""
        await self._arun(self.add_message, key, message, idx)

    async def aadd_messages(self, key: str, messages: Sequence[ChatMessage]) -> None:
        """Async twin of `add_messages`."""
        await self._arun(self.add_messages, key, list(messages))

    async def aget_messages(self, key: str) -> list[ChatMessage]:
        """Async twin of `get_messages`."""
        return await self._arun(self.get_messages, key)

    async def aget_keys(self) -> list[str]:
        """Async twin of `get_keys`."""
        return await self._arun(self.get_keys)

    async def adelete_messages(self, key: str) -> list[ChatMessage] | None:
        """Async twin of `delete_messages`."""
        return await self._arun(self.delete_messages, key)

    async def adelete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Async twin of `delete_message`."""
        return await self._arun(self.delete_message, key, idx)

    async def adelete_last_message(self, key: str) -> ChatMessage | None:
        """Async twin of `delete_last_message`."""
        return await self._arun(self.delete_last_message, key)

    # -- inside --------------------------------------------------------------------------

    def _conversation(self, key: str) -> Conversation:
        return self._directory.conversation(key)

    async def _arun(self, verb: Callable[..., T], *args: Any) -> T:
        return await self.memory.backend.arun(partial(verb, *args))


def _edit(
    view: View, places: Sequence[int], then: Sequence[Any] = (), then_archived: Any = frozenset()
) -> Edit:
    """Return the edit that leaves `places` and goes on with `then`; the key stays one."""
    versions = [view.versions[place] for place in places]
    return Edit(versions, then, view.archived, then_archived, listed=True)


RECOGNIZED_CHAT_STORES[CtxplugChatStore.class_name()] = CtxplugChatStore  # type: ignore[assignment]
