"""The current turn's tool loop, where nothing else can be cut any more.

First its results shrink to their facts, oldest first, while calls and thinking stay. Where
that is not enough and the policy allows it, its oldest steps go into digests, whole, behind
the question that they serve; and at last the results that are left give way to references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ctxplug.compression import Unit, merged, total
from ctxplug.context.compaction import Compacted, compact, protected
from ctxplug.context.components import Components
from ctxplug.context.law import DROP
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.units import OPENING, turn_start
from ctxplug.messages import TextPart

SHORTENED = "the current turn alone is near the budget: results in its tool loop were shortened"
FOLDED = "the current turn alone is near the budget: its oldest steps were digested"


def shrink_loop(
    result: Compacted, room: int, targets: tuple[int, int], policy: ContextPolicy, parts: Components
) -> Compacted:
    """Bring the current turn down so that all fits into `room`.

    Results shrink to the first of `targets`; steps that must be digested are to the second,
    or every call would have to cut.
    """
    target, low = targets
    current = turn_start(result.units)
    spared = max(1, policy.keep_last) if policy.digest_loop else 0
    units = _cleared(result.units, current, target, policy, parts, spared=spared)
    notes = (*result.notes, SHORTENED)
    if spared and total(units) > target:
        units, notes = _fold(units, current, low, policy, parts), (*notes, FOLDED)
    if spared and total(units) > room:
        units = _cleared(units, current, target, policy, parts, spared=0)
    if total(units) > room:
        units = _bared(units, current, room, policy, parts)
    return replace(result, units=units, notes=notes)


def _cleared(
    units: tuple[Unit, ...],
    current: int,
    target: int,
    policy: ContextPolicy,
    parts: Components,
    *,
    spared: int,
) -> tuple[Unit, ...]:
    """Shrink results of the loop to their facts, but those of the newest `spared` steps."""
    steps = units[current : max(current, len(units) - spared)]
    free = [unit for unit in steps if not protected(unit, policy)]
    rest = total(units) - total(free)
    return _exchanged(units, free, parts.clear.compress(free, max(0, target - rest), parts.tools))


def _fold(
    units: tuple[Unit, ...], current: int, target: int, policy: ContextPolicy, parts: Components
) -> tuple[Unit, ...]:
    """Put digests in place of the loop's oldest steps; the question and the newest stay."""
    last = max(current + 1, len(units) - max(1, policy.keep_last))
    steps = units[current + 1 : last]
    if not steps:
        return units
    rest = total(units) - total(steps)
    done = compact(
        steps,
        max(0, target - rest),
        current=len(steps),
        policy=replace(policy, keep_last=0),
        strategies=parts.strategies,
        tools=parts.tools,
        score=parts.score,
    )
    folded = tuple(unit for unit in done.units if unit.form != OPENING)
    if rest + total(folded) > target:
        folded = _named(folded, policy, parts)
    return (*units[: current + 1], *folded, *units[last:])


def _named(units: tuple[Unit, ...], policy: ContextPolicy, parts: Components) -> tuple[Unit, ...]:
    """Put one line in place of all steps that may go."""
    fixed = tuple(unit for unit in units if protected(unit, policy))
    line = left_out([unit for unit in units if not protected(unit, policy)], parts)
    return units if line is None else (*fixed, line)


def left_out(units: Sequence[Unit], parts: Components) -> Unit | None:
    """Return the line that names `units` in their place, or None if it would save nothing."""
    if not units:
        return None
    counter, ref = parts.tools.counter, parts.tools.ref
    unnamed = merged(units, DROP, "", counter)
    text = f"[{len(unnamed.versions)} messages were left out here: {ref(unnamed)}]"
    line = merged(units, DROP, text, counter)
    return line if line.tokens < total(units) else None


def _bared(
    units: tuple[Unit, ...], current: int, room: int, policy: ContextPolicy, parts: Components
) -> tuple[Unit, ...]:
    """Leave nothing but references of the loop's results, oldest first, until all fits."""
    bared = list(units)
    for i in range(current, len(bared)):
        if total(bared) <= room:
            break
        if not protected(bared[i], policy):
            bared[i] = _bare(bared[i], parts)
    return tuple(bared)


def _exchanged(units: Sequence[Unit], old: Sequence[Unit], new: Sequence[Unit]) -> tuple[Unit, ...]:
    instead = {id(before): after for before, after in zip(old, new, strict=True)}
    return tuple(instead.get(id(unit), unit) for unit in units)


def _bare(unit: Unit, parts: Components) -> Unit:
    """Return `unit` with nothing in its results but the reference to them."""
    text = (TextPart(f"[left out, original: {parts.tools.ref(unit)}]"),)
    messages = []
    for item in unit.items:
        results = item.message.tool_results
        bare = tuple(replace(result, content=text) for result in results)
        message = replace(item.message, content=bare or item.message.content)
        smaller = parts.tools.counter.count(message) < item.tokens
        messages.append(message if smaller else item.message)
    if all(new is item.message for new, item in zip(messages, unit.items, strict=True)):
        return unit
    return unit.changed("clear-tool-results", messages, parts.tools.counter)
