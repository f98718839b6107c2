"""Who decides what a model is sent: ctxplug, and what the frameworks bring.

A sender is told of new messages before each model call (`hear`) and says what would be sent
(`send`); both are what is timed. `read` makes ctxplug's messages of the answer, untimed. Every
sender counts with the same counter. Messages are converted before the time runs, and a message
that was counted is not counted again where the framework lets its user see to that.

- trim_messages, as the LangChain documentation sets it: strategy "last", start_on "human",
  end_on human and tool, include_system;
- SummarizationMiddleware: trigger at the budget, keep 20 messages (its default), and no other
  setting; its model is a stand-in that extracts 300 tokens of sentences;
- ContextEditingMiddleware with ClearToolUsesEdit: trigger at the budget, keep 3 (the default);
- LlamaIndex's ChatMemoryBuffer, ChatSummaryMemoryBuffer (the same stand-in) and Memory (its
  default ratio and flush size) with the budget as token_limit; the system prompt, which its
  agents hold themselves, is put in front of what they give and taken off their limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from peer_data import CannotTakePart

from ctxplug import AgentMemory, Message
from ctxplug.compression.extractive_summarizer import ExtractiveSummarizer
from ctxplug.tokens import TokenCounter

SUMMARY_TOKENS = 300


class Sender(Protocol):
    """One way to keep a session within a budget; `every` says how often it is worth asking."""

    every: int
    spent: float  # what models of its own cost, in plain input tokens
    model_calls: int

    def prepare(self, messages: Sequence[Message]) -> Any:
        """Return the messages in its own form."""

    def hear(self, prepared: Any) -> None:
        """Take in what is new."""

    def send(self) -> Any:
        """Return what the model would be sent, in its own form."""

    def read(self, sent: Any) -> list[Message]:
        """Return that as ctxplug's messages."""


class _Plain:
    """What most senders have in common: a list of messages of their own form."""

    every = 1

    def __init__(self, budget: int, counter: TokenCounter, system: Sequence[Message]) -> None:
        self.budget = budget
        self.counter = counter
        self.system = list(system)
        self.spent = 0.0
        self.model_calls = 0
        self.heard: list[Any] = []
        self.set_up()

    def set_up(self) -> None:
        """Make what it needs."""

    def prepare(self, messages: Sequence[Message]) -> Any:
        return list(messages)

    def hear(self, prepared: Any) -> None:
        self.heard += prepared

    def send(self) -> Any:
        return self.heard

    def read(self, sent: Any) -> list[Message]:
        return list(sent)

    def charge(self, read: int, written: int) -> None:
        """Count a call of a model: an output token costs five times an input token."""
        self.spent += read + 5 * written
        self.model_calls += 1

    def summary(self, messages: Sequence[Message]) -> str:
        """Return the stand-in's summary, and charge for it."""
        text = ExtractiveSummarizer().summarize(messages, SUMMARY_TOKENS)
        read = sum(self.counter.count_text(m.text) for m in messages)
        self.charge(read, self.counter.count_text(text))
        return text


class FullHistory(_Plain):
    """Everything, whatever the budget: the history as it is."""


class Ctxplug(_Plain):
    """`memory.extend` and `memory.context`, in memory as the others are, tracing included."""

    def __init__(self, *arguments: Any, policy: str) -> None:
        self.policy = policy
        super().__init__(*arguments)

    def set_up(self) -> None:
        self.memory = AgentMemory.open(
            "memory:", namespace="u", session="s", budget=self.budget, policy=self.policy,
            counter=self.counter,
        )  # fmt: skip

    def hear(self, prepared: Any) -> None:
        self.memory.extend(prepared)

    def send(self) -> Any:
        return self.memory.context()

    def read(self, sent: Any) -> list[Message]:
        return list(sent.messages)


# -- LangChain -----------------------------------------------------------------------------


class _LangChain(_Plain):
    def set_up(self) -> None:
        self.convert = _module("langchain_ctxplug")
        self.counts: dict[Any, int] = {}

    def prepare(self, messages: Sequence[Message]) -> Any:
        return self.convert.from_messages(messages)

    def read(self, sent: Any) -> list[Message]:
        return list(self.convert.to_messages(sent))

    def count(self, messages: Any, **_: Any) -> int:
        """Count messages, each once as it stands; framing included."""
        total = self.counter.request_tokens
        for message in messages:
            key = (message.id, str(message.content))
            if key not in self.counts:
                (ours,) = self.convert.to_messages([message])
                self.counts[key] = self.counter.count(ours)
            total += self.counts[key]
        return total


class TrimMessages(_LangChain):
    def send(self) -> Any:
        return _module("langchain_core.messages").trim_messages(
            self.heard,
            max_tokens=self.budget,
            token_counter=self.count,
            strategy="last",
            start_on="human",
            end_on=("human", "tool"),
            include_system=True,
        )


class Summarization(_LangChain):
    def set_up(self) -> None:
        super().set_up()
        middleware = _module("langchain.agents.middleware", "langchain")
        models = _module("langchain_core.language_models.fake_chat_models")
        room = self.budget - sum(map(self.counter.count, self.system))
        self.middleware = middleware.SummarizationMiddleware(
            models.FakeListChatModel(responses=["never asked"]),
            trigger=("tokens", room),
            token_counter=self.count,
            summarizer=lambda messages: self.summary(self.convert.to_messages(messages)),
        )
        self.first: list[Any] = []

    def hear(self, prepared: Any) -> None:
        self.first += [m for m in prepared if m.type == "system"]
        self.heard += [m for m in prepared if m.type != "system"]

    def send(self) -> Any:
        changed = self.middleware.before_model({"messages": self.heard}, None)
        if changed:
            self.heard = [m for m in changed["messages"] if m.type != "remove"]
        return [*self.first, *self.heard]


class ContextEditing(_LangChain):
    def set_up(self) -> None:
        super().set_up()
        middleware = _module("langchain.agents.middleware", "langchain")
        self.types = _module("langchain.agents.middleware.types")
        room = self.budget - sum(map(self.counter.count, self.system))
        self.middleware = middleware.ContextEditingMiddleware(
            edits=[middleware.ClearToolUsesEdit(trigger=room)], token_counter=self.count
        )
        self.first: list[Any] = []

    def hear(self, prepared: Any) -> None:
        self.first += [m for m in prepared if m.type == "system"]
        self.heard += [m for m in prepared if m.type != "system"]

    def send(self) -> Any:
        sent: list[Any] = []
        state = {"messages": self.heard}
        request = self.types.ModelRequest(model=None, messages=list(self.heard), state=state)
        self.middleware.wrap_model_call(request, lambda edited: sent.extend(edited.messages))
        return [*self.first, *sent]


# -- LlamaIndex ----------------------------------------------------------------------------


class _LlamaIndex(_Plain):
    """The system prompt stands in front; messages without it go to the memory."""

    memory: Any

    def set_up(self) -> None:
        self.convert = _module("ctxplug_llamaindex")
        self.kinds = _module("llama_index.core.memory")
        self.room = self.budget - sum(map(self.counter.count, self.system))
        self.settings = {"token_limit": self.room, "tokenizer_fn": self._tokens}
        self.memory = self.make()

    def make(self) -> Any:
        """Return the memory."""
        return self.kinds.ChatMemoryBuffer.from_defaults(**self.settings)

    def _tokens(self, text: str) -> range:
        return range(self.counter.count_text(text))

    def prepare(self, messages: Sequence[Message]) -> Any:
        return self.convert.from_messages(m for m in messages if m.role != "system")

    def hear(self, prepared: Any) -> None:
        self.memory.put_messages(prepared)

    def send(self) -> Any:
        return self.memory.get()

    def read(self, sent: Any) -> list[Message]:
        return [*self.system, *self.convert.to_messages(sent)]


class Buffer(_LlamaIndex):
    """Its store is never pruned, so that what it gives does not depend on earlier calls."""

    every = 10  # it counts all that is left anew for each turn that it drops


class SummaryBuffer(_LlamaIndex):
    def make(self) -> Any:
        llms = _module("llama_index.core.llms")

        def chat(messages: Any, **_: Any) -> Any:
            said = self.convert.to_messages(messages)
            text = self.summary(said[1:])  # the first is what the model is asked to do
            answer = llms.ChatMessage(role="assistant", content=text)
            return llms.ChatResponse(message=answer)

        model = llms.MockLLM()
        object.__setattr__(model, "chat", chat)
        return self.kinds.ChatSummaryMemoryBuffer.from_defaults(llm=model, **self.settings)


class Stock(_LlamaIndex):
    """LlamaIndex's Memory, by its async verbs on a loop of its own."""

    def make(self) -> Any:
        self.loop = asyncio.new_event_loop()
        return self.kinds.Memory.from_defaults(**self.settings)

    def hear(self, prepared: Any) -> None:
        self.loop.run_until_complete(self.memory.aput_messages(prepared))

    def send(self) -> Any:
        return self.loop.run_until_complete(self.memory.aget())


def _module(name: str, package: str | None = None) -> Any:
    try:
        return __import__(name, fromlist=["_"])
    except ImportError as error:
        raise CannotTakePart(f"{package or name} is not installed ({error})") from None


SENDERS: Mapping[str, Callable[[int, TokenCounter, Sequence[Message]], Sender]] = {
    "full history": FullHistory,
    "ctxplug, balanced": partial(Ctxplug, policy="balanced"),
    "ctxplug, aggressive": partial(Ctxplug, policy="aggressive"),
    "ctxplug, conservative": partial(Ctxplug, policy="conservative"),
    "LangChain trim_messages": TrimMessages,
    "LangChain SummarizationMiddleware": Summarization,
    "LangChain ContextEditingMiddleware": ContextEditing,
    "LlamaIndex ChatMemoryBuffer": Buffer,
    "LlamaIndex ChatSummaryMemoryBuffer": SummaryBuffer,
    "LlamaIndex Memory": Stock,
}
