"""Request fields for Anthropic, with cache marks where the prefix is stable.

Marks, of which the API takes four: behind tools and system, but in front of volatile
sections; behind what the last compaction left, which stays until the next one; behind the
turn before the current one; and at the end, from which the next call reads. The API looks
back about 20 blocks from a mark, so the third bridges a call that adds many. One that is
free stands behind the cacheable sections, which other sessions share, where more of the
system prompt follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug import anthropic_format
from ctxplug.context.section_layout import CHANGING, STABLE, form_of
from ctxplug.messages import Message

MARKS = 4
MARK = {"type": "ephemeral"}
_UNMARKABLE = ("thinking", "redacted_thinking")


def anthropic_request(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]],
    stable: Sequence[int],
    *,
    cache: bool,
) -> dict[str, Any]:
    """Return messages, system and tools; `stable` are counts of messages to mark behind.

    With `cache`, marks that messages brought along are replaced by ours; the same
    arguments give the same bytes.
    """
    system, turns = anthropic_format.to_messages(messages)
    request: dict[str, Any] = {"messages": turns}
    if system:
        request["system"] = system
    if tools:
        request["tools"] = anthropic_format.to_tools(tools)
    if cache:
        for block in _blocks(request):
            block.pop("cache_control", None)
        for block in _marked(request, messages, stable):
            block["cache_control"] = dict(MARK)
    return request


def _blocks(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from request.get("tools", ())
    yield from request.get("system", ())
    for turn in request["messages"]:
        yield from turn["content"]


def _marked(
    request: Mapping[str, Any], messages: Sequence[Message], stable: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the blocks to mark, the most stable first, at most four."""
    turns = request["messages"]
    system = request.get("system", [])
    shared, lasting = _boundaries(messages, len(system))
    fixed = system[:lasting] or request.get("tools") or []
    candidates = [fixed[-1]] if fixed else []
    ends = [(len(turns) - 1, len(turns[-1]["content"]))] if turns else []
    for count in stable:
        _, before = anthropic_format.to_messages(messages[:count])
        if before:
            ends.insert(-1, (len(before) - 1, len(before[-1]["content"])))
    for turn, length in ends:
        block = _markable(turns[turn]["content"][:length])
        if block is not None and not any(block is other for other in candidates):
            candidates.append(block)
    if 0 < shared < lasting and len(candidates) < MARKS:
        candidates.append(system[shared - 1])
    return candidates[: MARKS - 1] + candidates[MARKS - 1 :][-1:]


def _boundaries(messages: Sequence[Message], blocks: int) -> tuple[int, int]:
    """Return how many system blocks are cacheable sections, and how many are not volatile."""
    ours = {form_of(m): m for m in messages if m.role == "system"}
    count = {
        form: len(anthropic_format.to_messages([ours[form]])[0]) if form in ours else 0
        for form in (STABLE, CHANGING)
    }
    return count[STABLE], blocks - count[CHANGING]


def _markable(blocks: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the last block that may bear a mark (A10)."""
    able = (b for b in reversed(blocks) if b["type"] not in _UNMARKABLE)
    return next(able, None)
