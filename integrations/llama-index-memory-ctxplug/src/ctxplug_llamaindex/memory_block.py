"""CtxplugMemoryBlock: long-term memory for those who stay with LlamaIndex's own Memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Literal

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import BaseMemoryBlock
from llama_index.core.utils import get_tokenizer
from pydantic import ConfigDict, Field, PrivateAttr

from ctxplug import AgentMemory, Message
from ctxplug.compression.cutting import cut
from ctxplug.recall.recalled import Recalled
from ctxplug.storage import Backend
from ctxplug.tools.memory_answers import is_answer
from ctxplug_llamaindex.by_session import BySession
from ctxplug_llamaindex.instrumentation import dispatcher, tell_recall
from ctxplug_llamaindex.messages import to_message
from ctxplug_llamaindex.recalled_text import RecalledText, fitted
from ctxplug_llamaindex.recording import How, Recorder

__all__ = ["CtxplugMemoryBlock"]

MESSAGE = "message"
STAMP = "session_id"  # what LlamaIndex writes into the additional_kwargs of what it hands over
MOST_RECALLED = 400  # records looked at for a block
LISTED = 200  # memories, to know of what kinds there are
_DELIBERATE = ("remember", "import")  # how a memory came to be that is for every session


class CtxplugMemoryBlock(BaseMemoryBlock[str]):
    """What was said and remembered, for `Memory.from_defaults(memory_blocks=[...])`.

    Takes an AgentMemory, or a path or spec with the keywords of `AgentMemory.open`, where
    `namespace` may be a function of the session id, if one block serves many users. Messages
    are recorded in the session that Memory names: those it hands over on a flush, those put
    here directly and, with `write_through`, those of the active history as soon as it is
    read; each once, unless the very same messages are put twice.

    The text is what is recalled for the current user message and is not in the history
    anyway: what was said in the same session (in `sessions="all"` of the namespace), and
    what was remembered for the namespace. It takes at most `token_limit`, and gives way, if
    Memory has not enough room, by importance: so `priority` is 1, while 0 would never be
    truncated. Tokens are Memory's own, of `tokenizer_fn`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    name: str = Field(default="recalled", description="The name of the block.")
    description: str | None = Field(default="What was said and remembered before.")
    priority: int = Field(default=1, description="0 is never truncated; 1 is by importance.")
    k: int = Field(default=10, ge=1, description="How many records at most.")
    kinds: str | Sequence[str] | None = Field(default=None, description="Only these kinds.")
    token_limit: int = Field(default=2_000, ge=1, description="The most tokens of the block.")
    sessions: Literal["own", "all"] = Field(
        default="own", description="Of which sessions what was said is recalled."
    )
    write_through: bool = Field(
        default=True, description="Whether the history is recorded when it is read."
    )
    tokenizer_fn: Callable[[str], Sequence[Any]] | None = Field(
        default=None, exclude=True, description="How Memory counts; its own default if left out."
    )
    _memories: BySession = PrivateAttr()
    _recorder: Recorder = PrivateAttr(default_factory=Recorder)

    def __init__(
        self,
        memory: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        **options: Any,
    ) -> None:
        fields = type(self).model_fields
        own = {name: options.pop(name) for name in list(options) if name in fields}
        super().__init__(**own)
        self._memories = BySession(memory, options)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex knows it by."""
        return "CtxplugMemoryBlock"

    @property
    def memory(self) -> AgentMemory:
        """The memory that was given or opened; `memory_of` has those of sessions."""
        return self._memories.root

    def memory_of(self, session_id: str | None = None) -> AgentMemory:
        """Return the memory of a session of LlamaIndex's Memory."""
        return self._memories(session_id)

    def __deepcopy__(self, memo: Any = None) -> CtxplugMemoryBlock:
        return self  # it holds a connection

    # -- LlamaIndex's verbs ----------------------------------------------------------------

    @dispatcher.span
    async def aput(
        self,
        messages: list[ChatMessage],
        from_short_term_memory: bool = False,
        session_id: str | None = None,
    ) -> None:
        """Record messages in their session; they are durable when this returns."""
        if not messages or (from_short_term_memory and not self.accept_short_term_memory):
            return
        # All that reads the messages happens before the first await: other blocks are handed
        # the same objects at the same time, and may change them.
        session, said = _taken(messages, session_id)
        memory = self._memories(session)
        how: How = "leaving" if from_short_term_memory else "put"
        record = self._recorder.hand_over(memory, said, how)
        try:
            await memory.backend.arun(record)
        except asyncio.CancelledError:
            record()  # a sibling's failure ends the loop, and nobody hands them over again
            raise

    async def _aput(self, messages: list[ChatMessage]) -> None:
        await self.aput(messages)

    @dispatcher.span
    async def _aget(
        self,
        messages: list[ChatMessage] | None = None,
        session_id: str | None = None,
        **block_kwargs: Any,
    ) -> str:
        session, said = _taken(messages or (), session_id)
        memory = self._memories(session)
        record = self._recorder.hand_over(memory, self._settled(said), "history")
        query = next((message.text for message in reversed(said) if message.role == "user"), "")
        text = await memory.backend.arun(partial(self._read, memory, query, said, record))
        if text:
            tell_recall(memory, query, [one.record.id for one in text.found])
        return text

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """Return the content shorter by so many tokens: what is least important goes first.

        None if nothing worth showing is left.
        """
        if not content:
            return None
        if tokens_to_truncate <= 0:
            return content
        limit = self._count(content) - tokens_to_truncate
        if limit <= 0:
            return None
        if isinstance(content, RecalledText):
            found, counter = content.found, content.counter
            return fitted(found, counter, limit, self._count, content.name) or None
        shorter = cut(content, limit, self.memory.counter)
        return shorter if self._count(shorter) <= limit else None

    # -- inside ----------------------------------------------------------------------------

    def _settled(self, said: Sequence[Message]) -> Sequence[Message]:
        """Return what of a history is recorded when it is read.

        A user message at its end may be but the `input` of a call, which Memory appends to
        what it shows; if it is more, it will be there again with an answer behind it.
        """
        if not (self.write_through and self.accept_short_term_memory):
            return ()
        return said[:-1] if said and said[-1].role == "user" else said

    def _read(
        self, memory: AgentMemory, query: str, said: Sequence[Message], record: Callable[[], None]
    ) -> RecalledText:
        """Record what is new in the history, and return the text for its last user message."""
        record()
        present = {message.text for message in said}
        found = self._found(memory, query, present) if query.strip() else []
        return fitted(found, memory.counter, self.token_limit, self._count, self.name)

    def _found(self, memory: AgentMemory, query: str, present: set[str]) -> list[Recalled]:
        """Return what is recalled and may be shown, best first."""

        def shown(one: Recalled) -> bool:
            record = one.record
            if record.kind == MESSAGE:
                is_result = record.origin.startswith("tool")
                return record.content not in present and not (
                    is_result and is_answer(record.content)
                )
            mine = record.session == memory.scope.session
            return self.sessions == "all" or mine or record.made_by in _DELIBERATE

        if self.sessions == "all":
            return self._best(memory, query, shown)

        def deliberate(one: Recalled) -> bool:
            return one.record.kind != MESSAGE and shown(one)

        own = self._best(memory, query, shown, session=memory.scope.session)
        others = self._best(memory, query, deliberate, kinds=self._remembered_kinds(memory))
        found: dict[str, Recalled] = {}
        for pair in zip_longest(own, others):  # their scores are on different scales
            found |= {one.record.id: one for one in pair if one and one.record.id not in found}
        return list(found.values())[: self.k]

    def _best(
        self, memory: AgentMemory, query: str, shown: Callable[[Recalled], bool], **filters: Any
    ) -> list[Recalled]:
        """Return the `k` best records that may be shown, of the MOST_RECALLED best."""
        filters.setdefault("kinds", self.kinds)
        asked = 2 * self.k
        while filters["kinds"] != ():
            found = memory.recall(query, k=asked, **filters)
            kept = [one for one in found if shown(one)]
            if len(kept) >= self.k or len(found) < asked or asked >= MOST_RECALLED:
                return kept[: self.k]
            asked = min(4 * asked, MOST_RECALLED)
        return []

    def _remembered_kinds(self, memory: AgentMemory) -> Sequence[str] | str | None:
        """Return the kinds to look for among memories: without messages, where all are known."""
        newest = memory.memories(kinds=self.kinds, limit=LISTED)
        if len(newest) == LISTED:
            return self.kinds
        return tuple({record.kind for record in newest})

    def _count(self, text: str) -> int:
        return len((self.tokenizer_fn or get_tokenizer())(text))


def _taken(
    messages: Sequence[ChatMessage], session_id: str | None
) -> tuple[str | None, list[Message]]:
    """Return the session and ours for the messages, without the stamp of their session."""
    stamps = [message.additional_kwargs.get(STAMP) for message in messages]
    session = session_id
    if session is None:
        session = next((stamp for stamp in stamps if isinstance(stamp, str)), None)
    said = []
    for message, stamp in zip(messages, stamps, strict=True):
        if stamp is not None and stamp == session:
            rest = {k: v for k, v in message.additional_kwargs.items() if k != STAMP}
            message = message.model_copy(update={"additional_kwargs": rest})
        said.append(to_message(message))
    return session, said
