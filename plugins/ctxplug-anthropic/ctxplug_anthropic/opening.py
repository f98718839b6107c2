"""How a turn begins: what of the given messages is new, and what an earlier turn left open."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctxplug import AgentMemory
from ctxplug.errors import InvalidMessageError
from ctxplug.messages import Message, TextPart, ToolCallPart, ToolResultPart

_LOOK_BACK = 64  # messages of the log, beside as many as are given

NOT_RUN = "The call was not run: {}."


def to_messages(given: Any) -> list[Message]:
    """Return ours for a text, a Message, an Anthropic message dict, or several of these.

    Raises InvalidMessageError if the last is not the user's.
    """
    if isinstance(given, str):
        messages = [Message("user", given)]
    else:
        items = [given] if isinstance(given, Message | Mapping) else _items(given)
        messages = []
        for item in items:
            if isinstance(item, str):
                item = Message("user", item)
            messages += [item] if isinstance(item, Message) else Message.from_anthropic(item)
    if not messages or messages[-1].role != "user":
        raise InvalidMessageError(
            "messages end with what the user says now; the session has what was said before.",
            path="messages",
        )
    if all(isinstance(part, TextPart) and not part.text.strip() for part in messages[-1].content):
        raise InvalidMessageError(
            "The user's message is blank, and the API refuses that; give text or an image.",
            path="messages",
        )
    return messages


def _items(given: Any) -> list[Any]:
    if not isinstance(given, Iterable):
        raise InvalidMessageError(
            f"messages are text, a Message, an Anthropic message dict or several of these, not"
            f" {type(given).__name__}.",
            path="messages",
        )
    return list(given)


@dataclass(frozen=True)
class Opening:
    """What a turn begins with: messages that are `fresh`, and `calls` without a result.

    Of the calls, `begun` are the ids that have a run on record.
    """

    fresh: list[Message]
    calls: list[ToolCallPart]
    begun: frozenset[str] = frozenset()

    def to_run(self, names: Container[str]) -> list[ToolCallPart]:
        """Return the calls to run: what was begun gets the result on record, and is not run.

        What was never begun runs if the turn is gone on with, and has the tool.
        """
        goes_on = not self.fresh
        return [c for c in self.calls if c.id in self.begun or (goes_on and c.name in names)]

    def why_not(self, call: ToolCallPart) -> str:
        """Return why `call` is not run."""
        if self.fresh:
            return "the turn ended before it, and the user said something else"
        return f"there is no tool {call.name!r} here"


def opening_of(memory: AgentMemory, given: Sequence[Message]) -> Opening:
    """Return what of `given` the session does not hold, and what an earlier turn left open.

    What is given again after a failure, or with all that was said before, is found by its
    words at the end of the session and not stored twice.
    """
    log = memory.messages(last=_LOOK_BACK + len(given))
    fresh = list(given[_held(log, given) :])
    calls = _open_calls(log)
    if not calls:
        return Opening(fresh, calls)
    memory.tools.recover()
    begun = frozenset(one.call_id for one in memory.tools.history(limit=4 * len(calls)))
    return Opening(fresh, calls, begun)


def refused(call: ToolCallPart, why: str) -> Message:
    """Return the result of a call that did not run."""
    text = TextPart(NOT_RUN.format(why))
    return Message("tool", ToolResultPart(call.id, (text,), is_error=True, name=call.name))


def _open_calls(log: Sequence[Message]) -> list[ToolCallPart]:
    answered = set[str]()
    for message in reversed(log):
        answered |= {result.call_id for result in message.tool_results}
        if message.tool_calls:
            return [call for call in message.tool_calls if call.id not in answered]
    return []


def _held(log: Sequence[Message], given: Sequence[Message]) -> int:
    """Return how many of `given`, from the first on, the session ends with."""
    said = [_said(message) for message in log if _counts(message)]
    wanted = [(i, _said(message)) for i, message in enumerate(given) if _counts(message)]
    for count in range(min(len(wanted), len(said)), 0, -1):
        if said[-count:] == [words for _, words in wanted[:count]]:
            return wanted[count - 1][0] + 1
    return 0


def _counts(message: Message) -> bool:
    """Say whether a message is one that a caller who keeps a list has too: no tool's."""
    return message.role in ("user", "assistant") and not message.tool_calls


def _said(message: Message) -> tuple[Any, ...]:
    parts = [
        part.text.strip() if isinstance(part, TextPart) else repr(part)
        for part in message.content
        if part.type != "thinking"
    ]
    return (message.role, *parts)
