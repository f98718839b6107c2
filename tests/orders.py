"""A customer's orders: turns with a tool loop, English or Chinese, and memories to add them to."""

from __future__ import annotations

import json
from typing import Any

from ctxplug import AgentMemory, ContextWindow, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.storage import Entry, Stream
from ctxplug.tokens.estimate import estimate

NAMESPACE = ("n",)
STREAM = Stream(NAMESPACE, "s")


def turn(n: int, *, tools: bool = True, chinese: bool = False) -> list[Message]:
    """Return one turn: a question, a tool loop, an answer."""
    if chinese:
        ask, found = f"订单 {n} 什么时候发货？", f"订单 {n} 五月{n % 28 + 1}日从里斯本发货。"
    else:
        ask, found = f"When does order {n} ship?", f"Order {n} ships on day {n} from Lisbon."
    messages = [Message("user", ask, id=f"u{n}")]
    if tools:
        call = ToolCallPart(f"c{n}", "get_order", {"order": n})
        row = json.dumps({"order": n, "note": found, "state": "packed"}, ensure_ascii=False)
        result = ToolResultPart(f"c{n}", (TextPart(row),), name="get_order")
        messages += [Message("assistant", call, id=f"a{n}"), Message("tool", result, id=f"r{n}")]
    return [*messages, Message("assistant", found, id=f"f{n}")]


def open_on(target: Any, **options: Any) -> AgentMemory:
    fields = {"namespace": NAMESPACE, "session": "s", "budget": 600, "counter": estimate()}
    return AgentMemory.open(target, **(fields | options))


def compactions(memory: AgentMemory, session: str = "s") -> list[Entry]:
    return memory.backend.read(Stream(NAMESPACE, session), kinds=["compaction"])


def stands_for(window: ContextWindow) -> set[int]:
    """Return the versions that a window stands for, word for word or in another form."""
    return {version for fate in window.report.fates for version in fate.versions}
