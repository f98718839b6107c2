"""What joins the current user message: what sections say, and what was recalled for it.

Only while that message is the newest: behind it, what was sent would change, and thinking in
the open tool loop is bound to what stands before it. What a message was given stays with it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ctxplug.context.policy import ContextPolicy
from ctxplug.context.recalled import is_recalled, is_sections, query_of, to_block
from ctxplug.context.room import Sizes, space_for_block, space_kept
from ctxplug.context.section_block import answers, no_section_block
from ctxplug.context.section_layout import Laid
from ctxplug.context.state import WindowState
from ctxplug.context.units import says_anything
from ctxplug.messages import Logged
from ctxplug.tokens import TokenCounter

# recall(versions of the messages in the window, what sections say, tokens): a text, and ids
Recall = Callable[[frozenset[int], str, int], tuple[str, tuple[str, ...]]]


def attach_recalled(
    state: WindowState,
    sizes: Sizes,
    policy: ContextPolicy,
    query: str,
    recall: Recall,
    at: datetime,
) -> None:
    """Put a recalled block behind the current user message, and into the log.

    What was found for the same query stays.
    """
    user = _newest_user(state)
    if user is None:
        return
    if any(query_of(block) == query for block in filter(is_recalled, user.message.content)):
        return
    units, current = state.view.units()
    tokens, held = space_for_block(units, current, policy, sizes)
    present = held.union(item.version for item in state.view.system)
    said = "".join(part.text for part in filter(is_sections, user.message.content))
    text, ids = recall(present, said, tokens) if tokens > 0 else ("", ())
    if text:
        state.attach(user.version, to_block(text, query, ids), at)


def attach_sections(
    state: WindowState,
    sizes: Sizes,
    policy: ContextPolicy,
    laid: Laid,
    counter: TokenCounter,
    at: datetime,
) -> None:
    """Put what volatile sections say behind the current user message, and into the log.

    What the same sections said for the same query stays.
    """
    user = _newest_user(state) if laid.given.version else None
    if user is None or user.version != laid.given.version:
        return
    there = next(filter(is_sections, user.message.content), None)
    turn = [fate for fate in laid.fates if fate.place == "turn"]
    if there and answers(there, laid.given.query, [fate.name for fate in turn]):
        return
    block = laid.block
    if block is not None:
        tokens = counter.count_text(block.text)
        if tokens > sizes.room - state.view.tokens:  # then count what has to stay
            units, current = state.view.units()
            had = counter.count_text(there.text) if there else 0
            free = sizes.room - user.tokens + had - space_kept(units[:current], policy)
            block = block if tokens <= free else None
    if there and block is None:
        block = no_section_block(laid.given.query, turn)
    if block is not None:
        state.attach(user.version, block, at)


def _newest_user(state: WindowState) -> Logged | None:
    """Return the current user message while nothing stands behind it."""
    newest = state.view.recent[-1] if state.view.recent else None
    if newest is not None:
        message = newest.message
        if message.role != "user":
            return None
        if says_anything(message) and not message.tool_results:
            return newest
    units, current = state.view.units()
    user = units[current].items[0]
    return user if len(units) == current + 1 and user.message.role == "user" else None
