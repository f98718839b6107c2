"""CtxplugMemory: what the memory classes of langchain-classic did, on ctxplug."""

from __future__ import annotations

import inspect
import warnings
from functools import partial
from typing import Any

from langchain_classic.base_memory import BaseMemory
from langchain_classic.memory.utils import get_prompt_input_key
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, get_buffer_string
from pydantic import ConfigDict, Field

from ctxplug import AgentMemory
from ctxplug.errors import BudgetError, InvalidValueError
from langchain_ctxplug.chat_message_histories import CtxplugChatMessageHistory, Target
from langchain_ctxplug.messages import from_messages, to_messages

_NOT_NEEDED = {
    "llm": "ctxplug counts tokens and shortens without a model; name yours with model='...'",
    "prompt": "ctxplug shortens without a model, so there is no prompt for summaries",
    "chat_memory": "give the history first, in place of the target",
    "session_id": "a conversation is named by session='...'",
}


class CtxplugMemory(BaseMemory):
    """The memory of a classic chain: `ConversationChain(llm=llm, memory=CtxplugMemory(...))`.

    `target` is a CtxplugChatMessageHistory, an AgentMemory, a backend, a path or a spec, then
    with the keywords of AgentMemory.open (for "memory:" alone, without any). The other
    keywords are those of the classes it stands for: memory_key, input_key, output_key,
    return_messages, human_prefix and ai_prefix, and one of k (the last turns, word for word),
    max_token_limit (a window of so many tokens: recent turns word for word, older ones
    shortened) and recall (so many memories and messages found for the input). Without these
    three the window's budget is the memory's own. The log itself is never pruned.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    chat_memory: CtxplugChatMessageHistory = Field(exclude=True)
    memory_key: str = "history"
    input_key: str | None = None
    output_key: str | None = None
    return_messages: bool = False
    human_prefix: str = "Human"
    ai_prefix: str = "AI"
    k: int | None = Field(default=None, ge=0)
    max_token_limit: int | None = Field(default=None, gt=0)
    recall: int | None = Field(default=None, gt=0)

    def __init__(
        self, target: CtxplugChatMessageHistory | Target = "memory:", **options: Any
    ) -> None:
        names = type(self).model_fields.keys() - {"chat_memory"}
        fields = {name: options.pop(name) for name in list(options) if name in names}
        _check_options(options, names)
        if not isinstance(target, CtxplugChatMessageHistory):
            target = CtxplugChatMessageHistory(target, **options)
        elif options:
            raise InvalidValueError(
                f"The history is open already, so {', '.join(sorted(options))} cannot be set here.",
                path=min(options),
            )
        values: dict[str, Any] = {**fields, "chat_memory": target}
        super().__init__(**values)
        chosen = [
            name for name in ("k", "max_token_limit", "recall") if fields.get(name) is not None
        ]
        if len(chosen) > 1:
            raise InvalidValueError(
                f"{' and '.join(chosen)} say differently what a chain sees; give one of them.",
                path=chosen[1],
            )

    @property
    def memory_variables(self) -> list[str]:
        """The one key that this memory adds to a chain's inputs."""
        return [self.memory_key]

    # -- reading -------------------------------------------------------------------------

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return what the chain is to see, under `memory_key`."""
        if self.recall is None:
            return {self.memory_key: self.buffer}
        memory = self.chat_memory.memory
        query = str(inputs[self._input_key(inputs)])
        found = memory.recall(query, k=self.recall)
        return {self.memory_key: "\n".join(one.record.content for one in found)}

    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Async twin of `load_memory_variables`."""
        found: dict[str, Any] = await self._arun(self.load_memory_variables, inputs)
        return found

    @property
    def buffer(self) -> Any:
        """What the chain is to see: text, or messages if `return_messages`."""
        return self.buffer_as_messages if self.return_messages else self.buffer_as_str

    @property
    def buffer_as_str(self) -> str:
        """What the chain is to see, as text."""
        return get_buffer_string(
            self.buffer_as_messages, human_prefix=self.human_prefix, ai_prefix=self.ai_prefix
        )

    @property
    def buffer_as_messages(self) -> list[BaseMessage]:
        """What the chain is to see, as messages."""
        if self.k is not None:
            return _last_turns(self.chat_memory.messages, self.k)
        try:
            return self.chat_memory.window_messages(self.max_token_limit)
        except BudgetError:  # not even the last turn fits, and nothing of it must be sent
            return self._newest_that_fit()

    async def abuffer(self) -> Any:
        """Async twin of `buffer`."""
        return await self._arun(lambda: self.buffer)

    async def abuffer_as_str(self) -> str:
        """Async twin of `buffer_as_str`."""
        text: str = await self._arun(lambda: self.buffer_as_str)
        return text

    async def abuffer_as_messages(self) -> list[BaseMessage]:
        """Async twin of `buffer_as_messages`."""
        messages: list[BaseMessage] = await self._arun(lambda: self.buffer_as_messages)
        return messages

    # -- writing -------------------------------------------------------------------------

    def save_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        """Store what went into a chain and what came out, in one write."""
        self.chat_memory.add_messages(self._turn(inputs, outputs))

    async def asave_context(self, inputs: dict[str, Any], outputs: dict[str, str]) -> None:
        """Async twin of `save_context`."""
        await self.chat_memory.aadd_messages(self._turn(inputs, outputs))

    def clear(self) -> None:
        """Begin anew; see CtxplugChatMessageHistory.clear."""
        self.chat_memory.clear()

    async def aclear(self) -> None:
        """Async twin of `clear`."""
        await self.chat_memory.aclear()

    # -- inside --------------------------------------------------------------------------

    async def _arun(self, call: Any, *args: Any) -> Any:
        return await self.chat_memory.memory.backend.arun(partial(call, *args))

    def _turn(self, inputs: dict[str, Any], outputs: dict[str, str]) -> list[BaseMessage]:
        said, answer = inputs[self._input_key(inputs)], outputs[self._output_key(outputs)]
        return [HumanMessage(content=said), AIMessage(content=answer)]

    def _input_key(self, inputs: dict[str, Any]) -> str:
        return self.input_key or get_prompt_input_key(inputs, self.memory_variables)

    def _output_key(self, outputs: dict[str, str]) -> str:
        if self.output_key is not None:
            return self.output_key
        if len(outputs) == 1:
            return next(iter(outputs))
        if "output" not in outputs:
            raise InvalidValueError(
                f"The chain has the outputs {sorted(outputs)}; say with output_key which of them"
                " is to be remembered.",
                path="output_key",
            )
        warnings.warn(
            f"The chain has the outputs {sorted(outputs)}, and 'output' is remembered; say so with"
            " output_key='output'.",
            stacklevel=4,
        )
        return "output"

    def _newest_that_fit(self) -> list[BaseMessage]:
        memory = self.chat_memory.memory
        left = self.max_token_limit or memory.budget
        kept: list[BaseMessage] = []
        for message in reversed(to_messages(self.chat_memory.messages)):
            left -= memory.counter.count(message)
            if left < 0:
                break
            kept = [*from_messages([message]), *kept]
        return kept


def _check_options(options: dict[str, Any], names: Any) -> None:
    """Refuse keywords that nobody takes, which pydantic and the classic classes pass over."""
    known = inspect.signature(AgentMemory.open).parameters.keys() - {"target"}
    for name in options.keys() - known:
        reason = _NOT_NEEDED.get(name) or (
            f"it takes {', '.join(sorted(names))}, and with a path those of AgentMemory.open:"
            f" {', '.join(sorted(known))}"
        )
        raise InvalidValueError(f"CtxplugMemory takes no {name!r}: {reason}.", path=name)


def _last_turns(messages: list[BaseMessage], k: int) -> list[BaseMessage]:
    """Return the last `k` turns; a turn begins with what the user says."""
    begins = [i for i, message in enumerate(messages) if message.type == "human"]
    if not k:
        return []
    return messages[begins[-k] :] if k < len(begins) else messages
