"""CtxplugContextEdit: ctxplug's strategies as an edit of ContextEditingMiddleware.

The middleware keeps no edit: each call begins with the whole history. So the edit follows the
history from its beginning: wherever a model was called with more than `trigger` tokens, what
was old then is brought to `target`, and stays as it was made. What it does to a history is
therefore the beginning of what it does to a longer one, and the provider's prompt cache holds
from call to call. How far it got is remembered, so that each call follows the new part only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from ctxplug.compression import CompressionStrategy, CompressionTools, Unit
from ctxplug.context.components import ref
from ctxplug.errors import InvalidValueError
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from langchain_ctxplug.counting import LangChainTokenCounter, counter_of
from langchain_ctxplug.edit_slots import Slot, View, answers, marks_of, shown, unit_of, written

__all__ = ["CtxplugContextEdit"]

REMEMBERED = 64  # histories that were followed


class CtxplugContextEdit:
    """Shorten old messages by ctxplug's `strategies` once they take more than `trigger` tokens.

    They are brought to `target` tokens (60 % of `trigger`), and the `keep` newest tool calls
    with their results stay, as do system messages, the first human message and the newest. A
    call and its results are one: they stay, are shortened in their results, or go together. A
    shortened result ends with the place of its original among the messages, as in "[see @12]".
    `reserve` is what else a request holds, such as a system prompt and tools. `only_tools` or
    `exclude_tools` choose by tool. Tokens are counted by ctxplug for `model`, or by `counter`.
    """

    def __init__(
        self,
        trigger: int = 100_000,
        *,
        target: int | None = None,
        keep: int = 3,
        strategies: Iterable[str | CompressionStrategy] = ("clear-tool-results",),
        reserve: int = 0,
        only_tools: Iterable[str] | None = None,
        exclude_tools: Iterable[str] = (),
        model: Any = None,
        counter: Any = None,
    ) -> None:
        self.trigger, self.keep, self.reserve = trigger, keep, reserve
        self.target = int(0.6 * trigger) if target is None else target
        if not (0 < self.target <= trigger and keep >= 0 and reserve >= 0):
            raise InvalidValueError(
                f"An edit needs 0 < target <= trigger, keep >= 0 and reserve >= 0, not"
                f" target={self.target!r}, trigger={trigger!r}, keep={keep!r},"
                f" reserve={reserve!r}.",
                path="target",
            )
        registry = Registry(installed())
        self.strategies: tuple[CompressionStrategy, ...] = tuple(
            registry.resolve("compression strategy", spec) for spec in strategies
        )
        self.only_tools = None if only_tools is None else frozenset(only_tools)
        self.exclude_tools = frozenset(exclude_tools)
        self._counts = LangChainTokenCounter(counter_of(model, counter))
        self._followed: OrderedDict[int, View] = OrderedDict()
        self._lock = threading.Lock()

    def apply(
        self, messages: list[AnyMessage], *, count_tokens: Callable[..., int] | None = None
    ) -> None:
        """Edit `messages` in place; `count_tokens` is not asked, see the class."""
        view = self._follow(messages)
        if any(slot.unit is not None for slot in view.slots):
            messages[:] = [m for slot in view.slots for m in shown(slot, messages)]

    # -- following a history -----------------------------------------------------------

    def _follow(self, messages: Sequence[BaseMessage]) -> View:
        """Return what stands for `messages`, from where the same beginning was followed to."""
        marks = marks_of(messages)
        view = self._known(marks)
        slots = list(view.slots)
        tokens = self.reserve + sum(slot.tokens for slot in slots)
        trigger = view.trigger
        for slot in self._slots(messages, view.length):
            if slots and isinstance(messages[slot.first], AIMessage) and tokens > trigger:
                slots, trigger = self._compacted(slots, messages)
                tokens = self.reserve + sum(one.tokens for one in slots)
                self._remember(marks[slot.first], View(slot.first, tuple(slots), trigger))
            slots.append(slot)
            tokens += slot.tokens
        if tokens > trigger and not isinstance(messages[-1], AIMessage):
            slots, trigger = self._compacted(slots, messages)
            view = View(len(messages), tuple(slots), trigger)
            self._remember(marks[-1], view)
            return view
        return View(len(messages), tuple(slots), trigger)

    def _known(self, marks: Sequence[int]) -> View:
        """Return the longest view that was remembered of a beginning of this history."""
        with self._lock:
            found = [self._followed[mark] for mark in marks if mark in self._followed]
        return found[-1] if found else View(0, (), self.trigger)

    def _remember(self, mark: int, view: View) -> None:
        with self._lock:
            self._followed[mark] = view
            self._followed.move_to_end(mark)
            while len(self._followed) > REMEMBERED:
                self._followed.popitem(last=False)

    def _slots(self, messages: Sequence[BaseMessage], start: int) -> Iterable[Slot]:
        """Yield the messages from `start` on, each call together with its results."""
        at, seen_human = start, any(isinstance(m, HumanMessage) for m in messages[:start])
        while at < len(messages):
            message, end = messages[at], at + 1
            fixed = isinstance(message, SystemMessage | ToolMessage)
            if isinstance(message, HumanMessage):
                fixed, seen_human = not seen_human, True
            if isinstance(message, AIMessage) and message.tool_calls:
                waiting = {call["id"] for call in message.tool_calls}
                while end < len(messages) and answers(messages[end], waiting):
                    waiting.discard(messages[end].tool_call_id)  # type: ignore[attr-defined]
                    end += 1
                fixed = bool(waiting) or not self._chosen(message)
            yield Slot(at, end, sum(map(self._counts.count, messages[at:end])), fixed)
            at = end

    def _chosen(self, message: AIMessage) -> bool:
        names = {call["name"] for call in message.tool_calls}
        if self.only_tools is not None and not names & self.only_tools:
            return False
        return not names <= self.exclude_tools

    # -- compaction ----------------------------------------------------------------------

    def _compacted(
        self, slots: Sequence[Slot], messages: Sequence[BaseMessage]
    ) -> tuple[list[Slot], int]:
        """Return the slots at the target, if they get there, and when it is due again."""
        held = self._held(slots, messages)
        result = list(slots)
        for strategy in self.strategies:
            if self.reserve + sum(slot.tokens for slot in result) <= self.target:
                break
            result = self._by(strategy, result, held, messages)
        tokens = self.reserve + sum(slot.tokens for slot in result)
        step = max(self.trigger - self.target, 1)
        return result, max(self.trigger, tokens + step // 2)

    def _held(self, slots: Sequence[Slot], messages: Sequence[BaseMessage]) -> frozenset[int]:
        """Return where the slots begin that no strategy may see."""
        calls = [s.first for s in slots if isinstance(messages[s.first], AIMessage)]
        humans = [s.first for s in slots if isinstance(messages[s.first], HumanMessage)]
        newest = {*calls[len(calls) - self.keep :]} if self.keep else set()
        fixed = {slot.first for slot in slots if slot.fixed}
        return frozenset({*newest, *humans[-1:], *fixed})

    def _by(
        self,
        strategy: CompressionStrategy,
        slots: Sequence[Slot],
        held: frozenset[int],
        messages: Sequence[BaseMessage],
    ) -> list[Slot]:
        """Let `strategy` change each run of slots between those that are held."""
        result: list[Slot] = []
        run: list[Slot] = []
        excess = self.reserve + sum(slot.tokens for slot in slots) - self.target
        for slot in [*slots, None]:
            if slot is not None and slot.first not in held:
                run.append(slot)
                continue
            if run and excess > 0:
                before = sum(one.tokens for one in run)
                run = self._changed(strategy, run, max(before - excess, 0), messages)
                excess -= before - sum(one.tokens for one in run)
            result += run if slot is None else [*run, slot]
            run = []
        return result

    def _changed(
        self,
        strategy: CompressionStrategy,
        run: Sequence[Slot],
        target: int,
        messages: Sequence[BaseMessage],
    ) -> list[Slot]:
        units = [slot.unit or unit_of(slot, messages, self._counts.count) for slot in run]
        tools = CompressionTools(self._counts.counter, ref)
        known = {id(unit): slot for unit, slot in zip(units, run, strict=True)}
        before = {(slot.first, slot.last): unit for unit, slot in zip(units, run, strict=True)}
        slots = []
        for unit in strategy.compress(units, target, tools):
            if id(unit) in known:
                slots.append(known[id(unit)])
                continue
            first, last = unit.versions[0] - 1, unit.versions[-1]
            old = before.get((first, last))
            unit = self._spared(unit, old)
            made = written(unit, old, messages[first:last])
            slots.append(Slot(first, last, unit.tokens, False, unit, made))
        return slots

    def _spared(self, unit: Unit, old: Unit | None) -> Unit:
        """Put back the results of tools that are not chosen, where a unit has several."""
        if old is None or len(old.items) != len(unit.items):
            return unit
        calls = {c.id: c.name for item in old.items for c in item.message.tool_calls}
        items = list(unit.items)
        for i, item in enumerate(items):
            names = {calls.get(result.call_id) for result in item.message.tool_results}
            excluded = names & self.exclude_tools
            if excluded or (names and self.only_tools is not None and not names & self.only_tools):
                items[i] = old.items[i]
        return replace(unit, items=tuple(items))
