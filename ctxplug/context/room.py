"""Making room: one compaction as the policy wants it, and tighter where that is not enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from ctxplug.compression import VERBATIM, Unit, total
from ctxplug.context.compaction import Compacted, compact, protected
from ctxplug.context.components import Components
from ctxplug.context.gate import Gain, reckon
from ctxplug.context.loop import left_out, shrink_loop
from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recalled import without_block
from ctxplug.context.units import OPENING, turn_start
from ctxplug.errors import BudgetError

LEFT_OUT_LINE = 28  # tokens kept free for what stands in place of all that was left out
SLACK = 0.15  # where it is tight, free this share more if possible, or every call must cut


@dataclass(frozen=True)
class Sizes:
    """Tokens of one request: its budget and limit, and what is fixed in it besides messages."""

    budget: int
    margin: float
    parts: Mapping[str, int]

    @property
    def limit(self) -> int:
        """The budget less the margin that an estimating counter needs."""
        return int(self.budget / (1 + self.margin))

    @property
    def fixed(self) -> int:
        """System, tools and framing."""
        return sum(self.parts.values())

    @property
    def room(self) -> int:
        """What is left for messages."""
        return self.limit - self.fixed


def make_room(
    units: Sequence[Unit], sizes: Sizes, policy: ContextPolicy, parts: Components
) -> Compacted:
    """Bring `units` to the policy's low mark, or at least into the room there is.

    Raises BudgetError when what must be sent does not fit.
    """
    target = max(0, int(policy.low * sizes.limit) - sizes.fixed)
    result = _compact(units, target, policy, parts, last_resort=False)
    if total(result.units) <= sizes.room:
        return result
    return squeeze(result.units, sizes, policy, parts)


def squeeze(
    units: Sequence[Unit], sizes: Sizes, policy: ContextPolicy, parts: Components
) -> Compacted:
    """Make `units` fit: nothing but the current turn, pins and kept tools is spared now."""
    target = max(0, sizes.room - int(SLACK * sizes.limit))
    tight = replace(policy, keep_last=0)
    result = _compact(units, target, tight, parts, last_resort=True)
    if total(result.units) > sizes.room:
        result = _leave_out(result, policy, parts)
    if total(result.units) > sizes.room:
        result = _without_recalled(result, parts)
    if total(result.units) > sizes.room:
        low = max(0, int(policy.low * sizes.limit) - sizes.fixed)
        result = shrink_loop(result, sizes.room, (target, low), policy, parts)
    if total(result.units) > sizes.room:
        raise _does_not_fit(result.units, sizes)
    return result


def space_for_block(
    units: Sequence[Unit], current: int, policy: ContextPolicy, sizes: Sizes
) -> tuple[int, frozenset[int]]:
    """Return how many tokens a recalled block may take, and the versions it may leave out.

    These are what the window holds word for word. But a block that is filled drives out
    what may go, so that does not count then.
    """
    kept = [unit for unit in units[:current] if protected(unit, policy)]
    free = sizes.room - total(units[current:]) - space_kept(units[:current], policy)
    tokens = min(int(policy.recall_share * sizes.limit), free)
    if policy.recall_limit is not None or tokens + total(units) <= sizes.room:
        kept = list(units[:current])
    there = [unit for unit in (*kept, *units[current:]) if unit.form == VERBATIM]
    return tokens, frozenset(item.version for unit in there for item in unit.items)


def space_kept(before: Sequence[Unit], policy: ContextPolicy) -> int:
    """Return the tokens that units in front of the current turn take whatever happens."""
    kept = [unit for unit in before if protected(unit, policy)]
    return total(kept) + (LEFT_OUT_LINE if len(kept) < len(before) else 0)


def gain_of(
    before: Sequence[Unit],
    after: Sequence[Unit],
    policy: ContextPolicy,
    *,
    warm: float,
    forced: bool,
) -> Gain:
    """Return what it is worth to send `after` in place of `before`."""
    same = 0
    for old, new in zip(before, after, strict=False):
        if old.items is not new.items:  # a score is not sent
            break
        same += 1
    return reckon(
        total(before) - total(after),
        total(after[same:]),
        calls=policy.expected_calls,
        warm=warm,
        read=policy.cache_read,
        write=policy.cache_write,
        forced=forced,
    )


def _compact(
    units: Sequence[Unit],
    target: int,
    policy: ContextPolicy,
    parts: Components,
    *,
    last_resort: bool,
) -> Compacted:
    return compact(
        units,
        target,
        current=turn_start(units),
        policy=policy,
        strategies=(*parts.strategies, *([parts.last_resort] if last_resort else [])),
        tools=parts.tools,
        score=parts.score,
    )


def _leave_out(result: Compacted, policy: ContextPolicy, parts: Components) -> Compacted:
    """Put one line in place of everything that strategies made and would not part with."""
    current = turn_start(result.units)
    head, loop = result.units[:current], result.units[current:]
    fixed = [unit for unit in head if protected(unit, policy) or unit.form == OPENING]
    line = left_out([u for u in head if not any(u is other for other in fixed)], parts)
    if line is None:
        return result
    note = "the current turn and what the policy keeps are near the budget: all else was left out"
    return replace(result, units=(*fixed, line, *loop), notes=(*result.notes, note))


def _without_recalled(result: Compacted, parts: Components) -> Compacted:
    """Take recalled memories and volatile sections out of the current turn."""
    units = []
    for unit in result.units:
        messages = [without_block(item.message) for item in unit.items]
        if any(new is not item.message for new, item in zip(messages, unit.items, strict=True)):
            unit = unit.changed(unit.form, messages, parts.tools.counter)
        units.append(unit)
    return replace(result, units=tuple(units))


def _does_not_fit(units: Sequence[Unit], sizes: Sizes) -> BudgetError:
    used = sizes.fixed + total(units)
    needed = ceil(used * (1 + sizes.margin))
    while replace(sizes, budget=needed).limit < used:  # rounding
        needed += 1
    current = total(units[turn_start(units) :])
    named = ", ".join(f"{name} {n}" for name, n in sizes.parts.items() if n)
    less = f" (with {sizes.margin:.0%} for estimating)" if sizes.margin else ""
    return BudgetError(
        f"What must be sent takes {needed} tokens{less} and the budget is {sizes.budget}:"
        f" {named}, current turn {current}, the rest pinned or kept by the policy. Raise the"
        " budget, unpin messages, or send fewer tools.",
        needed=needed,
        budget=sizes.budget,
    )
