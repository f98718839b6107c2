"""Rules A01 to A30 and C01: the Anthropic Messages API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ctxplug.context.validity.anthropic_blocks import block_faults, marks
from ctxplug.context.validity.anthropic_tools import tool_faults
from ctxplug.context.validity.anthropic_turns import Turn, merged
from ctxplug.context.validity.fault import Fault
from ctxplug.context.validity.strings import surrogate_faults

MAX_MESSAGES = 100_000
MAX_MARKS = 4


def check_anthropic(request: Mapping[str, Any], *, allow_prefill: bool = True) -> list[Fault]:
    """Return the rules that a request breaks.

    `request` has `messages` and may have `system` and `tools`. With
    `allow_prefill=False` a final assistant message is a fault (A24), as it is for
    models since 4.6.
    """
    messages: Sequence[Mapping[str, Any]] = request.get("messages") or []
    if not messages:
        return [Fault("A01", "messages", "there is no message")]
    turns = merged(messages)
    return [
        *_list_faults(messages, turns),
        *_system_role_faults(turns),
        *_content_faults(messages),
        *block_faults(turns, request.get("system")),
        *tool_faults(turns),
        *_end_faults(turns[-1], allow_prefill),
        *_compaction_faults(turns),
        *_mark_faults(request, turns),
        *surrogate_faults(messages, "messages", "A09"),
        *surrogate_faults(request.get("system"), "system", "A09"),
        *surrogate_faults(request.get("tools"), "tools", "A09"),
    ]


def _list_faults(messages: Sequence[Mapping[str, Any]], turns: list[Turn]) -> Iterator[Fault]:
    if len(messages) > MAX_MESSAGES:
        yield Fault("A02", "messages", f"{len(messages)} messages are over {MAX_MESSAGES}")
    if turns[0].role != "user":
        yield Fault("A03", turns[0].path, f"the first turn is {turns[0].role!r}, not the user's")
    for turn in turns:
        if turn.role not in ("user", "assistant", "system"):
            yield Fault("A04", turn.path, f"{turn.role!r} is not a role here")


def _system_role_faults(turns: list[Turn]) -> Iterator[Fault]:
    for i, turn in enumerate(turns):
        if turn.role != "system":
            continue
        before = turns[i - 1] if i else None
        after = turns[i + 1] if i + 1 < len(turns) else None
        if before is None or not _may_precede_system(before):
            yield Fault("A05", turn.path, "a system message follows a user turn")
        if after is not None and after.role != "assistant":
            yield Fault("A05", turn.path, "a system message is last or before the assistant")
        if any(block.get("type") != "text" for _, block in turn.blocks):
            yield Fault("A05", turn.path, "a system message holds only text")


def _may_precede_system(turn: Turn) -> bool:
    if turn.role == "user":
        return True
    last = turn.blocks[-1][1].get("type", "") if turn.blocks else ""
    served = last.endswith("_tool_result")  # a server tool's; a client's is `tool_result`
    return turn.role == "assistant" and served


def _content_faults(messages: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    for i, message in enumerate(messages):
        final = i == len(messages) - 1 and message.get("role") == "assistant"
        if not message.get("content") and not final:
            yield Fault("A06", f"messages[{i}].content", "the content is empty")


def _end_faults(turn: Turn, allow_prefill: bool) -> Iterator[Fault]:
    if turn.role != "assistant":
        return
    if not allow_prefill:
        yield Fault("A24", turn.path, "the last message is the assistant's")
    if turn.blocks:
        path, block = turn.blocks[-1]
        text = block.get("text", "") if block.get("type") == "text" else ""
        if text != text.rstrip():
            yield Fault("A25", path, "the final assistant text ends in whitespace")


def _compaction_faults(turns: list[Turn]) -> Iterator[Fault]:
    blocks = [item for turn in turns for item in turn.blocks]
    found = [(path, block) for path, block in blocks if block.get("type") == "compaction"]
    for path, block in found:
        if block.get("content") == "":
            yield Fault("C01", path, "a compaction block holds empty text")
    full = [path for path, block in found if block.get("content")]
    for _, path in pairwise(full):
        yield Fault("C01", path, "there is a second compaction block with content")
    if full and blocks[0][0] != full[0]:
        yield Fault("C01", full[0], "a compaction block is not the first of the conversation")


def _mark_faults(request: Mapping[str, Any], turns: list[Turn]) -> Iterator[Fault]:
    found = marks(request.get("tools"), "tools") + marks(request.get("system"), "system")
    for turn in turns:
        for path, block in turn.blocks:
            found += marks(block, path)
    if len(found) > MAX_MARKS:
        text = f"{len(found)} blocks have cache_control; at most {MAX_MARKS} may"
        yield Fault("A26", found[MAX_MARKS], text)
