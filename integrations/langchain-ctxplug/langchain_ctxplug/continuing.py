"""The next window of a tool loop, where it is plain that it is the last one and what is new.

Between two compactions a window only grows. Where what is new are calls with their results, in
order, within the room there is, the window need not be asked for: it is known, and the log
can be written while the model thinks. Anything else takes the whole way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from ctxplug import AgentMemory, Message
from ctxplug.context.window import ContextWindow
from langchain_ctxplug.messages import to_message

WARM = 0.5  # of the time that a provider keeps a prefix: within it, growing on is right


@dataclass
class Known:
    """The last window of a generation, for one budget, system prompt and set of tools."""

    window: ContextWindow
    basis: tuple[Any, ...]
    at: float = field(default_factory=monotonic)
    call_ids: set[str] | None = None

    def used(self) -> set[str]:
        """Return the ids of all calls in the window."""
        if self.call_ids is None:
            calls = (call for message in self.window.messages for call in message.tool_calls)
            self.call_ids = {call.id for call in calls}
        return self.call_ids


def continued(
    known: Known | None, basis: tuple[Any, ...], memory: AgentMemory, new: Sequence[BaseMessage]
) -> tuple[ContextWindow, list[Message]] | None:
    """Return the window with `new` at its end, and `new` as ours; None if that is not plain."""
    if known is None or memory.redacts or not new or not _same(known.basis, basis):
        return None
    policy, report = memory.policy, known.window.report
    idle = monotonic() - known.at
    if report.repairs or idle > WARM * policy.cache_seconds or not _in_order(new, known.used()):
        return None
    added = [to_message(message) for message in new]
    counts = [memory.counter.count(message) for message in added]
    tokens = known.window.tokens + sum(counts)
    if policy.shape_over is not None and max(counts) > policy.shape_over:
        return None
    if policy.due is not None or tokens > policy.high * report.limit:
        return None
    known.used().update(call.id for message in added for call in message.tool_calls)
    known.window = replace(known.window, tokens=tokens)
    known.at = monotonic()
    return known.window, added


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(a is b or a == b for a, b in zip(one, other, strict=True))


def _in_order(new: Sequence[BaseMessage], used: set[str]) -> bool:
    """Say whether `new` are answers with calls of new ids, each followed by its results."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in new:
        if isinstance(message, AIMessage):
            ids = [call["id"] for call in message.tool_calls]
            fresh = all(ids) and len({*ids}) == len(ids) and used.isdisjoint(ids)
            if waiting or not ids or not fresh or message.invalid_tool_calls:
                return False
            if not seen.isdisjoint(ids) or "function_call" in message.additional_kwargs:
                return False
            if _content_ids(message) - {*ids}:
                return False
            waiting = [str(id) for id in ids]
            seen.update(waiting)
        elif isinstance(message, ToolMessage) and waiting and message.tool_call_id == waiting[0]:
            del waiting[0]
        else:
            return False
    return not waiting


def _content_ids(message: AIMessage) -> set[Any]:
    """Return the ids of calls that stand in content blocks."""
    blocks = message.content if isinstance(message.content, list) else []
    kinds = {"tool_use": "id", "tool_call": "id", "function_call": "call_id"}
    return {
        block.get(kinds[block["type"]])
        for block in blocks
        if isinstance(block, dict) and block.get("type") in kinds
    }
