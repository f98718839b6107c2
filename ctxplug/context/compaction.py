"""One compaction: from the units in the window to fewer tokens, by a policy's strategies.

A pure function of its arguments. A strategy that raises or breaks the law is left out
with a note, and the next one goes on; the built-in last resort always makes progress.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from operator import is_

from ctxplug.compression import CompressionStrategy, CompressionTools, Unit, total
from ctxplug.context.law import broken_law
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recalled import without_block
from ctxplug.context.units import OPENING, opening_unit
from ctxplug.messages import Logged, ThinkingPart
from ctxplug.tokens import TokenCounter

# score(units, all units, note): `units` with their importance
Score = Callable[[Sequence[Unit], Sequence[Unit], Callable[[str], None]], Sequence[Unit]]


@dataclass(frozen=True, slots=True)
class Step:
    """What one strategy did: tokens before and after."""

    strategy: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Compacted:
    """The units after a compaction, what was done, and what was odd."""

    units: tuple[Unit, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def compact(
    units: Sequence[Unit],
    target: int,
    *,
    current: int,
    policy: ContextPolicy,
    strategies: Sequence[CompressionStrategy],
    tools: CompressionTools,
    score: Score,
) -> Compacted:
    """Bring `units` to about `target` tokens; those from index `current` on are the current turn.

    Pinned units go to the front; thinking and recalled blocks in closed turns are dropped.
    """
    notes: list[str] = []
    tools = replace(tools, note=notes.append)
    said = (unit for unit in units[:current] if unit.form != OPENING)
    stripped = (_closed(unit, tools.counter) for unit in said)
    closed = [unit for unit in stripped if unit is not None]
    split = max(0, len(closed) - policy.keep_last)
    old, recent = closed[:split], closed[split:]
    fixed = [unit for unit in old if protected(unit, policy)]
    free = tuple(unit for unit in old if not protected(unit, policy))
    free = tuple(score(free, [*old, *recent, *units[current:]], notes.append))
    rest = total(fixed) + total(recent) + total(units[current:])
    free, steps = _apply(free, target - rest, strategies, tools, notes)
    result = [*fixed, *free, *recent, *units[current:]]
    if result[0].role != "user":
        result.insert(0, opening_unit(result[0]))
    return Compacted(tuple(result), tuple(steps), tuple(notes))


def protected(unit: Unit, policy: ContextPolicy) -> bool:
    """Say whether `policy` forbids to change `unit`: pinned, or of a kept tool."""
    return any(
        item.message.pinned
        or any(call.name in policy.keep_tools for call in item.message.tool_calls)
        for item in unit.items
    )


def _apply(
    units: tuple[Unit, ...],
    target: int,
    strategies: Sequence[CompressionStrategy],
    tools: CompressionTools,
    notes: list[str],
) -> tuple[tuple[Unit, ...], list[Step]]:
    steps = []
    for strategy in strategies:
        before = total(units)
        if before <= target or not units:
            break
        # What a plugin does to its input stays its own; ours are held to the law by tests.
        lent = units if _built_in(strategy) else deepcopy(units)
        try:
            result = tuple(strategy.compress(lent, max(0, target), tools))
            fault = broken_law(lent, result, strategy.name, tools.counter)
        except Exception as exc:  # the law says: degrade, and say so
            notes.append(f"{strategy.name} failed ({type(exc).__name__}: {exc}) and was left out")
            continue
        if not fault and [unit.items for unit in lent] != [unit.items for unit in units]:
            fault = "it changed what it was given"
        if fault:
            notes.append(f"{strategy.name} was left out: {fault}")
            continue
        steps.append(Step(strategy.name, before, total(result)))
        units = _returned(units, lent, result)
    return units, steps


def _built_in(strategy: CompressionStrategy) -> bool:
    return type(strategy).__module__.startswith("ctxplug.")


def _returned(
    units: Sequence[Unit], lent: Sequence[Unit], result: Sequence[Unit]
) -> tuple[Unit, ...]:
    """Put back the originals of what a strategy left as it was."""
    pairs = [
        (copy, item)
        for copied, unit in zip(lent, units, strict=True)
        for copy, item in zip(copied.items, unit.items, strict=True)
    ]
    items = {id(copy): item for copy, item in pairs}
    whole = {id(copied): unit for copied, unit in zip(lent, units, strict=True)}
    return tuple(
        whole.get(id(unit))
        or replace(unit, items=tuple(items.get(id(item), item) for item in unit.items))
        for unit in result
    )


def _closed(unit: Unit, counter: TokenCounter) -> Unit | None:
    """Return a unit of a closed turn without what belonged to its moment.

    Thinking is bound to the messages before it (T02), and what was recalled for that turn
    has served.
    """
    items: list[Logged] = []
    for item in unit.items:
        message = without_block(item.message)
        parts = tuple(p for p in message.content if not isinstance(p, ThinkingPart))
        if len(parts) == len(item.message.content):
            items.append(item)
        elif parts:
            message = replace(message, content=parts)
            items.append(Logged(item.version, message, counter.count(message)))
    if len(items) == len(unit.items) and all(map(is_, items, unit.items)):
        return unit
    return replace(unit, items=tuple(items), sources=unit.versions) if items else None
