"""What CtxplugContextEdit works on: slots, which are messages that stay together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage

from ctxplug.compression import Unit
from ctxplug.messages import Logged, Message
from ctxplug.times import to_datetime
from langchain_ctxplug.counting import message_key
from langchain_ctxplug.messages import from_message, to_messages

__all__ = ["Slot", "View", "answers", "marks_of", "shown", "unit_of", "written"]

NO_DAY = "[1970-01-01]\n"  # messages here have no time, so that the same history reads the same


@dataclass(frozen=True, slots=True)
class Slot:
    """Messages `first` to `last` (not included), which go together.

    `unit` is what a strategy made of them, if one did, and `written` what then stands in the
    list: new messages, and the places of those that stay.
    """

    first: int
    last: int
    tokens: int
    fixed: bool = False
    unit: Unit | None = None
    written: tuple[BaseMessage | int, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """How far a history was followed, and what stands for it there."""

    length: int
    slots: tuple[Slot, ...]
    trigger: int  # the tokens from which on the next compaction is due


def marks_of(messages: Sequence[BaseMessage]) -> list[int]:
    """Return a number for each beginning of `messages`, the empty one first."""
    marks = [0]
    for message in messages:
        marks.append(hash((marks[-1], message_key(message))))
    return marks


def answers(message: BaseMessage, waiting: set[Any]) -> bool:
    """Say whether `message` is the result of a call that waits for one."""
    return isinstance(message, ToolMessage) and message.tool_call_id in waiting


def unit_of(
    slot: Slot, messages: Sequence[BaseMessage], count: Callable[[BaseMessage], int]
) -> Unit:
    """Return the messages of a slot as a unit of ours; a version is a place, from 1."""
    given = messages[slot.first : slot.last]
    made = [_timeless(message) for message in to_messages(given)]
    return Unit(
        tuple(
            Logged(slot.first + n, message, count(old))
            for n, (message, old) in enumerate(zip(made, given, strict=True), 1)
        )
    )


def _timeless(message: Message) -> Message:
    """Return `message` at the beginning of time, so that a history always reads the same."""
    return replace(message, created_at=to_datetime(0))


def written(
    unit: Unit, old: Unit | None, given: Sequence[BaseMessage]
) -> tuple[BaseMessage | int, ...]:
    """Return what stands for `given`, of which a strategy made `unit` (or of `old` alone)."""
    first = unit.versions[0] - 1
    if old is None or len(old.items) != len(unit.items) or len(given) != len(unit.items):
        return tuple(_without_day(from_message(item.message)) for item in unit.items)
    return tuple(
        _edited(said, item, unit) or first + n
        for n, (item, said) in enumerate(zip(unit.items, given, strict=True))
    )


def _edited(message: BaseMessage, item: Logged, unit: Unit) -> BaseMessage | None:
    """Return a message with the words that the strategy left of it, None if it left all."""
    content = from_message(item.message).content
    if content == message.content:
        return None
    note = {"strategy": unit.form, "original": f"@{item.version}"}
    metadata = {**message.response_metadata, "context_editing": note}
    changes: dict[str, Any] = {"content": content, "response_metadata": metadata}
    if isinstance(message, ToolMessage):
        changes["artifact"] = None
    return message.model_copy(update=changes)


def _without_day(message: BaseMessage) -> BaseMessage:
    if isinstance(message.content, str) and NO_DAY in message.content:
        return message.model_copy(update={"content": message.content.replace(NO_DAY, "", 1)})
    return message


def shown(slot: Slot, messages: Sequence[AnyMessage]) -> list[Any]:
    """Return the messages that stand for a slot."""
    if slot.unit is None:
        return list(messages[slot.first : slot.last])
    return [messages[one] if isinstance(one, int) else one.model_copy() for one in slot.written]
