"""What an agent is about to send: counted as a whole, and made to fit where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.core.tools import BaseTool

from ctxplug import Message
from ctxplug.errors import BudgetError
from ctxplug.tokens import TokenCounter, count_tools
from ctxplug_llamaindex.agent_forms import Form
from ctxplug_llamaindex.memory import CtxplugMemory
from ctxplug_llamaindex.messages import to_message

TRIES = 4  # how often room is made until it is said that there is none
KNOWN = 4_096  # counts of texts that are remembered


class Requests:
    """The requests of one agent on one memory."""

    def __init__(self, memory: CtxplugMemory, form: Form, prompt: str | None) -> None:
        self._memory = memory
        self._form = form
        self._prompt = prompt
        self._counter = memory.memory.counter
        self._budget = memory.memory.budget

    async def anew(self, llm_input: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return the input with the history as memory has it now."""
        prompt, _ = self._parted(llm_input)
        history = await self._memory.aget()
        return history if prompt is None else [prompt, *history]

    async def fitted(
        self, llm_input: Sequence[ChatMessage], tools: Sequence[BaseTool] | None
    ) -> list[ChatMessage]:
        """Return the input as the agent's own step takes it, within budget.

        `tools` is None for a request that has none, and goes to the model as it is. Raises
        BudgetError when there is no room for it.
        """
        prompt, given = self._parted(llm_input)
        system, dicts = (self._prompt or "", []) if tools is None else self._form.fixed(tools)
        fixed = self._counter.request_tokens + count_tools(self._counter, dicts)
        fixed += self._counter.count(Message("system", system)) if system else 0
        known = None
        if self._needed(fixed, given) > self._budget:
            known = await self._memory.aget()  # what the input was made from
        if tools is not None:
            self._memory.expect(system, dicts)  # in every window from now on
        if known is not None:
            given = await self._made_to_fit(fixed, known, given)
        shown = self._form.shown(given)
        if tools is not None:
            return self._form.headed(prompt, shown)
        return shown if prompt is None else [prompt, *shown]

    def _parted(
        self, llm_input: Sequence[ChatMessage]
    ) -> tuple[ChatMessage | None, list[ChatMessage]]:
        """Return the agent's own system prompt and the rest."""
        first = llm_input[0] if llm_input else None
        if first is None or first.role != "system" or first.content != self._prompt:
            return None, list(llm_input)
        return first, list(llm_input[1:])

    async def _made_to_fit(
        self, fixed: int, known: list[ChatMessage], given: list[ChatMessage]
    ) -> list[ChatMessage]:
        """Return `given` with a shorter history, which memory makes and goes on from."""
        beyond = _beyond(known, given)
        spare = max(0, self._count(self._form.shown(given)) - self._count(known))
        needed = self._needed(fixed, given)
        for _ in range(TRIES):
            fitting = beyond.onto(await self._memory.aget(initial_token_count=spare))
            needed = self._needed(fixed, fitting)
            if needed <= self._budget:
                return fitting
            spare += needed - self._budget
        raise BudgetError(
            f"What the agent adds to its history does not fit: the request takes {needed} tokens"
            f" and the budget is {self._budget}. Raise the budget, or make the state, the system"
            " prompt or the tools smaller.",
            needed=needed,
            budget=self._budget,
        )

    def _needed(self, fixed: int, messages: Sequence[ChatMessage]) -> int:
        tokens = fixed + self._count(self._form.shown(messages))
        return -int(-tokens * (1 + self._counter.margin) // 1)

    def _count(self, messages: Sequence[ChatMessage]) -> int:
        return sum(_count(self._counter, message) for message in messages)


@dataclass(frozen=True)
class _Beyond:
    """What an agent made of a history: its last message as it was and is, and what follows."""

    was: ChatMessage | None
    now: ChatMessage | None
    added: tuple[ChatMessage, ...]

    def onto(self, history: list[ChatMessage]) -> list[ChatMessage]:
        """Do the same to another history that ends with the same message."""
        if self.now is None or self.was is None or not history:
            return [*history, *self.added]
        last = _moved(self.was, self.now, history[-1])
        return [*history[:-1], last, *self.added]


def _moved(was: ChatMessage, now: ChatMessage, newest: ChatMessage) -> ChatMessage:
    """Return `now`, which an agent made of `was`, made of `newest` instead.

    They are one message, with other things recalled in it; an agent writes into its last text.
    """
    old, made, new = _last_text(was), _last_text(now), _last_text(newest)
    if newest == was or old is None or made is None or new is None:
        return now
    text = made.text.replace(old.text, new.text, 1)
    blocks = [TextBlock(text=text) if block is new else block for block in newest.blocks]
    return newest.model_copy(update={"blocks": blocks})


def _last_text(message: ChatMessage) -> TextBlock | None:
    texts = [block for block in message.blocks if isinstance(block, TextBlock)]
    return texts[-1] if texts else None


def _beyond(known: Sequence[ChatMessage], given: Sequence[ChatMessage]) -> _Beyond:
    """Return what `given` has beyond `known`, the history that it was made from.

    LlamaIndex writes the state into the last message, and puts messages behind it, which ask
    a ReAct agent to mend its answer. What is not made from `known` cannot be told apart from
    history, and counts as that.
    """
    n = len(known)
    if not known or len(given) < n or list(given[: n - 1]) != list(known[:-1]):
        return _Beyond(None, None, ())
    now = None if given[n - 1] == known[-1] else given[n - 1]
    return _Beyond(known[-1], now, tuple(given[n:]))


_counts: dict[tuple[str, str], int] = {}


def _count(counter: TokenCounter, message: ChatMessage) -> int:
    """Return the tokens of a message; those of plain text are counted once."""
    if not _is_text(message) or message.additional_kwargs:
        return counter.count(to_message(message))
    key = counter.name, message.content or ""
    known = _counts.get(key)
    if known is None:
        if len(_counts) >= KNOWN:
            _counts.clear()
        known = _counts[key] = counter.count(to_message(message))
    return known


def _is_text(message: ChatMessage) -> bool:
    return len(message.blocks) == 1 and isinstance(message.blocks[0], TextBlock)
