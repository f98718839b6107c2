"""Whether a strategy's result keeps the law of compression strategies."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ctxplug.compression import VERBATIM, Unit, total
from ctxplug.context.units import says_anything
from ctxplug.messages import ThinkingPart
from ctxplug.tokens import TokenCounter

DROP = "drop-low-priority"


def broken_law(
    before: Sequence[Unit], after: Sequence[Unit], name: str, counter: TokenCounter
) -> str:
    """Return how `after`, made from `before` by `name`, breaks the law, or "" if it does not."""
    if not all(isinstance(unit, Unit) and unit.items for unit in after):
        return "it gave something else than units"
    if total(after) > total(before):
        return f"it grew from {total(before)} to {total(after)} tokens"
    return _lost(before, after, name) or _torn(before, after) or _unsound(before, after, counter)


def _lost(before: Sequence[Unit], after: Sequence[Unit], name: str) -> str:
    """Law 4: no version disappears, none stands twice, and order is kept.

    A digest may stand for a long past: what was left as it is is not looked into.
    """
    same = {id(unit) for unit in before} & {id(unit) for unit in after}
    gone = [unit.versions for unit in before if id(unit) not in same]
    made = [unit.versions for unit in after if id(unit) not in same]
    known, kept = set(chain.from_iterable(gone)), set(chain.from_iterable(made))
    if len(kept) < sum(map(len, made)) or len({id(unit) for unit in after}) < len(after):
        return "it put a message into two units"
    if not known >= kept or (name != DROP and len(kept) < len(known)):
        return f"{len(known ^ kept)} versions appeared or disappeared"
    place = {unit.versions[0]: i for i, unit in enumerate(before)}
    places = [place.get(unit.versions[0], -1) for unit in after]
    return "" if places == sorted(places) else "it changed the order"


def _torn(before: Sequence[Unit], after: Sequence[Unit]) -> str:
    """Law 2: a unit keeps its calls and their results, or has none."""
    calls = {
        (item.version, call.id)
        for unit in before
        for item in unit.items
        for call in item.message.tool_calls
    }
    for unit in after:
        asked = [(i.version, c.id) for i in unit.items for c in i.message.tool_calls]
        answered = [r.call_id for i in unit.items for r in i.message.tool_results]
        if [id for _, id in asked] != answered or not calls.issuperset(asked):
            return "it took calls and results apart"
    return ""


def _unsound(before: Sequence[Unit], after: Sequence[Unit], counter: TokenCounter) -> str:
    """What a changed message must be: marked, counted, said by somebody, without thinking."""
    known = {id(item) for unit in before for item in unit.items}
    for unit in after:
        for item in unit.items:
            if id(item) in known:
                continue
            message = item.message
            if unit.form == VERBATIM:
                return "it changed a unit and called it verbatim"
            if item.tokens < counter.count(message):
                return "it counted too few tokens"
            if message.role == "system" or (message.role == "tool") != bool(message.tool_results):
                return f"it made a {message.role} message"
            if message.role != "tool" and not says_anything(message):
                return "it left a message without words"
            if any(isinstance(part, ThinkingPart) for part in message.content):
                return "it kept thinking in a unit that it changed"
    return ""
