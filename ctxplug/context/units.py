"""Atomic units: what may be cut, and only whole; and what must be mended before sending.

An assistant message with its tool calls and all their results is one unit, every other
message is its own. The current turn begins with the last user message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ctxplug.compression import VERBATIM, Unit
from ctxplug.messages import Logged, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.tokens import TokenCounter

SKIPPED = "[{n} earlier messages (@1-{n}) are not shown; recall finds what is in them.]"
OPENING = "opening"  # the form of the unit that opens where an assistant speaks first
OPENING_TEXT = "(The assistant speaks first.)"
INTERRUPTED = "Interrupted: this call has no result."

_Waiting = tuple[list[Logged], str]  # the unit of a call, and the id that is its own


@dataclass(frozen=True, slots=True)
class Repair:
    """What had to be mended so that a provider accepts the messages."""

    version: int
    what: str


@dataclass(frozen=True, slots=True)
class Grouping:
    """Units in order, what was mended, and whether a call still waits for its result.

    `waiting` is the version of the last unit, if it is that one which still waits.
    """

    units: tuple[Unit, ...]
    repairs: tuple[Repair, ...]
    open_calls: bool
    waiting: int | None = None


def group(
    items: Iterable[Logged], *, opening: bool = True, used_ids: Iterable[str] = ()
) -> Grouping:
    """Group the messages of a stretch of log (no system messages) into atomic units.

    A result goes to the unit of its call, wherever it stands. A result without a call, or
    a second one for the same call, is left out; a call without a result gets one that says
    so; a call id that was used before gets a number, and calls of one message that share
    one are answered in their order. With `opening`, an assistant that speaks first gets a
    user message before it. All of it is listed in `repairs`.
    """
    drafts: list[list[Logged]] = []
    waiting: dict[str, list[_Waiting]] = {}  # by the id that the result will name
    seen = set(used_ids)
    repairs: list[Repair] = []
    for item in items:
        message = item.message
        if message.tool_results or message.role == "tool":
            _place_results(item, waiting, repairs)
            message = _without_results(message)
        if message.role == "tool":
            continue
        if not says_anything(message):
            if not item.message.tool_results:
                repairs.append(Repair(item.version, "left out a blank message"))
            continue
        names = _unique_names(message, seen)
        if any(new != old for old, new in names):
            repairs.append(Repair(item.version, "numbered call ids that were used before"))
            message = _renamed(message, iter(names))
        draft = [item if message is item.message else replace(item, message=message)]
        drafts.append(draft)
        waiting |= _asked(draft, names)
    last = next((calls[0][0] for calls in waiting.values() if calls[0][0] is drafts[-1]), None)
    units = [_close(draft, repairs) for draft in drafts]
    if opening and units and units[0].role != "user":
        repairs.append(Repair(units[0].versions[0], "put an opening before the first words"))
        units.insert(0, opening_unit(units[0]))
    return Grouping(tuple(units), tuple(repairs), bool(waiting), last[0].version if last else None)


def turn_start(units: Sequence[Unit]) -> int:
    """Return the index of the last user message, with which the current turn begins."""
    for i in range(len(units) - 1, -1, -1):
        if units[i].role == "user" and units[i].form == VERBATIM:
            return i
    return 0


def says_anything(message: Message) -> bool:
    """Say whether there is anything in `message` besides white space and tool results."""
    return any(
        part.text.strip() != "" if isinstance(part, TextPart) else True
        for part in message.content
        if not isinstance(part, ToolResultPart)
    )


def opening_unit(first: Unit) -> Unit:
    """Return the user message that stands before an assistant's first words (A03)."""
    said = first.items[0].message
    message = Message("user", OPENING_TEXT, created_at=said.created_at, id=f"{said.id}-opening")
    version = first.versions[0]
    return Unit((Logged(version, message, 16),), OPENING, (version,))


def skipped_unit(versions: Sequence[int], counter: TokenCounter) -> Unit:
    """Return the user message that stands for the first `versions` of a log."""
    last = versions[-1]
    message = Message("user", SKIPPED.format(n=last), created_at=0, id=f"skipped-1-{last}")
    logged = Logged(versions[0], message, counter.count(message))
    return Unit((logged,), "skipped", tuple(versions))


def _unique_names(message: Message, seen: set[str]) -> list[tuple[str, str]]:
    """Return (id, unique id) for each call, and add the unique ones to `seen` (A16)."""
    names = []
    for call in message.tool_calls if message.role == "assistant" else ():
        name, n = call.id, 1
        while name in seen:
            n += 1
            name = f"{call.id}_{n}"
        seen.add(name)
        names.append((call.id, name))
    return names


def _asked(draft: list[Logged], names: Sequence[tuple[str, str]]) -> dict[str, list[_Waiting]]:
    """Return the calls of a unit, in order, by the id that their results will name."""
    calls: dict[str, list[_Waiting]] = {}
    for old, new in names:
        calls.setdefault(old, []).append((draft, new))
    return calls


def _renamed(message: Message, names: Iterator[tuple[str, str]]) -> Message:
    parts = tuple(
        replace(part, id=next(names)[1]) if isinstance(part, ToolCallPart) else part
        for part in message.content
    )
    return replace(message, content=parts)


def _place_results(item: Logged, waiting: dict[str, list[_Waiting]], repairs: list[Repair]) -> None:
    """Put each result of a message into the unit of its call, as a message of its own."""
    results = item.message.tool_results
    if not results:
        repairs.append(Repair(item.version, "left out a tool message without a result"))
    for i, result in enumerate(results):
        calls = waiting.pop(result.call_id, [])
        draft, name = calls[0] if calls else (None, "")
        if calls[1:]:
            waiting[result.call_id] = calls[1:]
        if draft is None:
            what = f"left out a result for {result.call_id!r}, which no open call asked for"
            repairs.append(Repair(item.version, what))
        elif len(item.message.content) == 1 and name == result.call_id:
            draft.append(item)
        else:
            message = replace(item.message, role="tool", content=(replace(result, call_id=name),))
            share = item.tokens // len(results) + (i == 0) * (item.tokens % len(results))
            draft.append(replace(item, message=message, tokens=share))


def _without_results(message: Message) -> Message:
    rest = tuple(part for part in message.content if not isinstance(part, ToolResultPart))
    return replace(message, content=rest)


def _close(draft: list[Logged], repairs: list[Repair]) -> Unit:
    """Answer the calls that nothing answered, and order results as the calls are."""
    head, *results = draft
    calls = head.message.tool_calls if head.message.role == "assistant" else ()
    if not calls:
        return Unit((head,))
    by_id = {item.message.tool_results[0].call_id: item for item in results}
    for call in calls:
        if call.id not in by_id:
            by_id[call.id] = _interrupted(head, call)
            repairs.append(Repair(head.version, f"answered {call.id!r} as interrupted"))
    return Unit((head, *(by_id[call.id] for call in calls)))


def _interrupted(head: Logged, call: ToolCallPart) -> Logged:
    result = ToolResultPart(call.id, (TextPart(INTERRUPTED),), is_error=True, name=call.name)
    message = Message(
        "tool", result, created_at=head.message.created_at, id=f"{head.message.id}-{call.id}"
    )
    # Framing, the id and the sentence: above what any tokenizer makes of them.
    return Logged(head.version, message, 24 + len(call.id))
