"""How much room sections have in a window, and what the report tells of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recalled import is_sections, without_block
from ctxplug.context.room import Sizes, space_kept
from ctxplug.context.section_block import fates_of
from ctxplug.context.section_layout import Laid, SectionLayout
from ctxplug.context.sections import LEFT_OUT, SectionFate
from ctxplug.context.state import WindowState
from ctxplug.errors import BudgetError
from ctxplug.messages import Message
from ctxplug.tokens import TokenCounter

BEGUN = "the turn began without it"
TURN_FIRST = "the current turn needs its room"


def section_room(
    state: WindowState, sizes: Sizes, policy: ContextPolicy, counter: TokenCounter
) -> int:
    """Return the tokens that sections may take; `sizes` are those of the request without them.

    Their share of the budget, which stays from call to call, unless the user's message and
    what is pinned leave less. A tool loop does not count: its results can be shortened.
    """
    share = int(policy.section_share * sizes.budget)
    if sizes.room - state.view.tokens >= share:
        return share
    units, current = state.view.units()
    said = counter.count(without_block(units[current].items[0].message))
    return min(share, sizes.room - said - space_kept(units[:current], policy))


def less(layout: SectionLayout, laid: Laid | None, refused: BudgetError) -> Laid | None:
    """Lay sections out in less room, after what must be sent did not fit; None if none are left."""
    if laid is None or not laid.fixed:
        return None
    excess = refused.needed - refused.budget
    return layout.lay(laid.given, min(laid.tokens - excess, laid.tokens // 2))


def fates(laid: Laid, messages: Sequence[Message]) -> tuple[SectionFate, ...]:
    """Return what became of each section, the highest priority first.

    Volatile ones are told of as they stand in the current user message.
    """
    user = next((message for message in reversed(messages) if message.role == "user"), None)
    block = next(filter(is_sections, user.content), None) if user else None
    there = {fate.name: fate for fate in fates_of(block)} if block else {}
    return tuple(
        (there.get(fate.name) or _absent(fate, laid)) if fate.place == "turn" else fate
        for fate in laid.fates
    )


def _absent(fate: SectionFate, laid: Laid) -> SectionFate:
    if fate.fate == LEFT_OUT and laid.given.version:
        return fate
    why = TURN_FIRST if laid.given.version else BEGUN
    return replace(fate, fate=LEFT_OUT, tokens=0, why=why)
