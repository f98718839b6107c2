"""What LlamaIndex's instrumentation is told: windows, compactions, and what was recalled.

A span stands around each reading of a memory (`get`, `aget`); inside it these events are
dispatched. An event holds numbers and ids, and a recall its query; it holds no message.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events import BaseEvent

from ctxplug import AgentMemory, ContextWindow

__all__ = [
    "CompactionEvent",
    "MemoryRecallEvent",
    "WindowEvent",
    "dispatcher",
    "tell_recall",
    "tell_window",
]

dispatcher = get_dispatcher("ctxplug_llamaindex")


class MemoryRecallEvent(BaseEvent):
    """What was looked for in a namespace, and the ids of the records that were taken."""

    namespace: list[str]
    session: str
    query: str
    record_ids: list[str]

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the event."""
        return "MemoryRecallEvent"


class WindowEvent(BaseEvent):
    """A window was assembled: `tokens` of `budget`, and the `parts` that they are of.

    `notes` say what was degraded, `repairs` what was mended so that providers take it.
    """

    namespace: list[str]
    session: str
    messages: int
    tokens: int
    budget: int
    parts: dict[str, int]
    compactions: int
    recalled: list[str]
    repairs: list[str]
    notes: list[str]

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the event."""
        return "WindowEvent"


class CompactionEvent(BaseEvent):
    """A window was compacted, by `steps` of a strategy with the tokens before and after.

    `number` counts the compactions of the session under this budget.
    """

    namespace: list[str]
    session: str
    budget: int
    number: int
    steps: list[dict[str, Any]]

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the event."""
        return "CompactionEvent"


def tell_recall(memory: AgentMemory, query: str, record_ids: list[str] | tuple[str, ...]) -> None:
    """Dispatch what was recalled for `query`."""
    dispatcher.event(
        MemoryRecallEvent(
            namespace=list(memory.scope.namespace),
            session=memory.scope.session,
            query=query,
            record_ids=list(record_ids),
        )
    )


def tell_window(memory: AgentMemory, window: ContextWindow) -> None:
    """Dispatch that a window was assembled, and before it what was compacted for it."""
    namespace, report = list(memory.scope.namespace), window.report
    if report.compaction:
        steps = [
            {"strategy": step.strategy, "before": step.before, "after": step.after}
            for step in report.compaction
        ]
        dispatcher.event(
            CompactionEvent(
                namespace=namespace,
                session=report.session,
                budget=report.budget,
                number=report.compactions,
                steps=steps,
            )
        )
    dispatcher.event(
        WindowEvent(
            namespace=namespace,
            session=report.session,
            messages=len(window.messages),
            tokens=window.tokens,
            budget=report.budget,
            parts=dict(report.tokens),
            compactions=report.compactions,
            recalled=list(report.recalled),
            repairs=[repair.what for repair in report.repairs],
            notes=list(report.notes),
        )
    )
