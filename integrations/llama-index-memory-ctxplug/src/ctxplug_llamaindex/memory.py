"""CtxplugMemory: LlamaIndex's memory for agents and chat engines, on ctxplug's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr, model_serializer
from llama_index.core.memory import BaseMemory

from ctxplug import AgentMemory
from ctxplug.context.policy import ContextPolicy
from ctxplug.memory_like import is_memory
from ctxplug_llamaindex.by_reference import ByReference
from ctxplug_llamaindex.counting import Tokenizer, counter_of, tokenizer_of
from ctxplug_llamaindex.instrumentation import dispatcher, tell_recall, tell_window
from ctxplug_llamaindex.messages import from_messages, to_message, to_messages
from ctxplug_llamaindex.opening import memory_of, spec_of
from ctxplug_llamaindex.replacing import replace_all
from ctxplug_llamaindex.turns import Reading, Turns

__all__ = ["CtxplugMemory"]

CONTEXT_SHARE = 0.75  # of a model's context window, as LlamaIndex's own memories take
_OF_BESIDE = ("agent", "budget", "namespace", "policy", "session")


class CtxplugMemory(ByReference, BaseMemory):
    """The memory of one session, for `agent.run(..., memory=)` and for chat engines.

    Takes an AgentMemory, or a path or spec with the keywords of `AgentMemory.open`.
    `tokenizer_fn` counts tokens in place of the counter that `model` picks. `get` gives a
    window within `budget` that providers accept, `get_all` everything in view. What helps
    with the user's message is recalled once a turn, unless `recall` is False, and stands as
    data at the end of it.

    Every verb may be called from any thread and loop, and takes and gives copies. As JSON
    (`to_dict`) it says where the memory is kept, and `from_dict` finds it again.
    """

    _memory: AgentMemory = PrivateAttr()
    _turns: Turns = PrivateAttr()
    _opened: bool = PrivateAttr()
    _recall: bool = PrivateAttr()
    _tokenizer_fn: Tokenizer = PrivateAttr()

    def __init__(
        self,
        target: Any = "memory:",
        *,
        tokenizer_fn: Tokenizer | None = None,
        recall: bool = True,
        **options: Any,
    ) -> None:
        options.pop("class_name", None)
        if tokenizer_fn is not None:
            options["counter"] = counter_of(tokenizer_fn)
            options["lost"] = [name for name in options.get("lost", ()) if name != "counter"]
        super().__init__()
        self._opened = not is_memory(target)
        self._memory = memory_of(target, **options)
        self._tokenizer_fn = tokenizer_fn or tokenizer_of(self._memory.counter)
        self._recall = recall
        self._turns = Turns(self._memory, recall=recall)

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class."""
        return "CtxplugMemory"

    @classmethod
    def from_defaults(
        cls,
        target: Any = "memory:",
        *,
        chat_history: Sequence[ChatMessage] | None = None,
        llm: Any = None,
        token_limit: int | None = None,
        session_id: str | None = None,
        **options: Any,
    ) -> Self:
        """Return a memory, with the keywords of LlamaIndex's own and those of the class.

        `token_limit` is the budget; without it, it is three quarters of the context window
        of `llm`, or what AgentMemory.open has. `session_id` is the session. A `chat_history`
        that is not empty is set. The namespace may be left out where the store is new and
        in memory, and so nobody else's. Beside an AgentMemory, `session_id`, `token_limit`,
        `namespace`, `agent` and `policy` give a memory beside it.
        """
        if llm is not None:
            facts = llm.metadata
            if token_limit is None and "budget" not in options:
                token_limit = int(CONTEXT_SHARE * facts.context_window)
            if facts.model_name != "unknown" and not is_memory(target):
                options.setdefault("model", facts.model_name)
        if token_limit is not None:
            options["budget"] = token_limit
        if session_id is not None:
            options["session"] = session_id
        if is_memory(target):
            chosen = {name: options.pop(name) for name in _OF_BESIDE if name in options}
            if chosen:
                target = target.beside(**{"session": target.scope.session, **chosen})
        memory = cls(target, **options)
        if chat_history:
            memory.set(list(chat_history))
        return memory

    @property
    def memory(self) -> AgentMemory:
        """The memory of ctxplug behind it: to remember, to recall, to look at the window."""
        return self._memory

    @property
    def tokenizer_fn(self) -> Tokenizer:
        """The function that tokens are counted by: the length of its result."""
        return self._tokenizer_fn

    def beside(
        self,
        *,
        session: str | None = None,
        namespace: str | Iterable[str] | None = None,
        budget: int | None = None,
        policy: str | ContextPolicy | None = None,
    ) -> CtxplugMemory:
        """Return a memory of another session or namespace on this one's store."""
        memory = self._memory.beside(
            session=session, namespace=namespace, budget=budget, policy=policy
        )
        beside = CtxplugMemory(memory, recall=self._recall)
        beside._tokenizer_fn = self._tokenizer_fn
        return beside

    def expect(self, system: str = "", tools: Sequence[Mapping[str, Any]] = ()) -> None:
        """Count a system prompt and tools (provider dicts), which the caller adds, from now on."""
        self._turns.expect(system, tools)

    async def aexpect(self, system: str = "", tools: Sequence[Mapping[str, Any]] = ()) -> None:
        """Async twin of `expect`."""
        self._turns.expect(system, tools)

    # -- reading -------------------------------------------------------------------------

    @dispatcher.span
    def get(
        self, input: str | ChatMessage | None = None, initial_token_count: int = 0, **kwargs: Any
    ) -> list[ChatMessage]:
        """Return the window to send, recalled for the user's message, or for `input`.

        `initial_token_count` tokens are left free. Raises BudgetError when the current turn
        does not fit. Keywords that other memories take mean nothing here.
        """
        return self._told(self._read(input, initial_token_count))

    @dispatcher.span
    async def aget(
        self, input: str | ChatMessage | None = None, initial_token_count: int = 0, **kwargs: Any
    ) -> list[ChatMessage]:
        """Async twin of `get`."""
        read = partial(self._read, input, initial_token_count)
        return self._told(await self._memory.backend.arun(read))

    def get_all(self, **kwargs: Any) -> list[ChatMessage]:
        """Return all messages in view, as they were put."""
        return from_messages(self._memory.messages())

    async def aget_all(self, **kwargs: Any) -> list[ChatMessage]:
        """Async twin of `get_all`."""
        return await self._memory.backend.arun(self.get_all)

    # -- writing -------------------------------------------------------------------------

    def put(self, message: ChatMessage) -> None:
        """Store one message durably."""
        self._memory.add(to_message(message))

    async def aput(self, message: ChatMessage) -> None:
        """Async twin of `put`."""
        await self._put([message])

    def put_messages(self, messages: Sequence[ChatMessage]) -> None:
        """Store several messages in one atomic write."""
        if messages:
            self._memory.extend(to_messages(messages))

    async def aput_messages(self, messages: Sequence[ChatMessage]) -> None:
        """Async twin of `put_messages`."""
        if messages:
            await self._put(messages)

    def set(self, messages: Sequence[ChatMessage]) -> None:
        """Make `messages` the history; those of it that they begin with are not stored again.

        What leaves it stays in the log until `AgentMemory.erase`.
        """
        replace_all(self._memory, list(messages))

    async def aset(self, messages: Sequence[ChatMessage]) -> None:
        """Async twin of `set`."""
        copies = list(messages)
        await self._memory.backend.arun(partial(replace_all, self._memory, copies))

    def reset(self) -> None:
        """Begin anew: nothing is in view, and all is in the log until `AgentMemory.erase`."""
        self.set([])

    async def areset(self, **kwargs: Any) -> None:
        """Async twin of `reset`."""
        await self.aset([])

    # -- care ----------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the store if it was opened here; a memory that was given stays open."""
        self._turns.close()
        if self._opened:
            self._memory.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await self._memory.backend.arun(self._turns.close)
        if self._opened:
            await self._memory.aclose()

    @model_serializer(mode="plain")
    def custom_model_dump(self) -> dict[str, Any]:  # type: ignore[override]
        """Return what finds it again: JSON without messages."""
        own = {} if self._recall else {"recall": False}
        return {**spec_of(self._memory), **own, "class_name": self.class_name()}

    # -- inside --------------------------------------------------------------------------

    def _read(self, input: str | ChatMessage | None, initial_token_count: int) -> Reading:
        text = (input.content or "") if isinstance(input, ChatMessage) else input
        return self._turns.read(text, initial_token_count)

    def _told(self, reading: Reading) -> list[ChatMessage]:
        if reading.query is not None:
            tell_recall(self._memory, reading.query, reading.record_ids)
        if reading.window is not None:
            tell_window(self._memory, reading.window)
        return reading.messages

    async def _put(self, messages: Sequence[ChatMessage]) -> None:
        said = to_messages(messages)  # now: the caller may change them while it waits
        await self._memory.aextend(said)
