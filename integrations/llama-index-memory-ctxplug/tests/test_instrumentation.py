"""LlamaIndex's dispatcher is told of windows, compactions, recalls, and of readings as spans."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ctxplug_llamaindex import CtxplugMemory
from ctxplug_llamaindex.instrumentation import (
    CompactionEvent,
    MemoryRecallEvent,
    WindowEvent,
    dispatcher,
)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler

from ctxplug import BudgetError


class Kept(BaseEventHandler):
    """Keeps the events of ctxplug."""

    events: list[Any] = []  # noqa: RUF012  pydantic copies it

    @classmethod
    def class_name(cls) -> str:
        return "Kept"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if isinstance(event, CompactionEvent | MemoryRecallEvent | WindowEvent):
            self.events.append(event)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """What an application's handler at the root is told."""
    root, handler = get_dispatcher(), Kept()
    root.add_event_handler(handler)
    yield handler
    root.event_handlers.remove(handler)


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    root, handler = get_dispatcher(), SimpleSpanHandler()
    root.add_span_handler(handler)
    yield handler
    root.span_handlers.remove(handler)


def user(text: str) -> ChatMessage:
    return ChatMessage(text, role="user")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_window_and_what_was_recalled_for_it_are_told(kept: Kept, how: str) -> None:
    memory = CtxplugMemory.from_defaults(namespace="acme/安娜", session_id="trip")
    remembered = memory.memory.remember("安娜住在里斯本。")
    memory.put(user("安娜住在哪里？"))
    for _ in range(2):
        _ = memory.get() if how == "sync" else asyncio.run(memory.aget())
    recall, first, second = kept.events
    assert isinstance(recall, MemoryRecallEvent)
    assert (recall.namespace, recall.session) == (["acme", "安娜"], "trip")
    assert (recall.query, recall.record_ids) == ("安娜住在哪里？", [remembered.id])
    for told in (first, second):
        assert isinstance(told, WindowEvent)
        assert (told.messages, told.budget, told.compactions) == (1, 8_000, 0)
        assert told.tokens == sum(told.parts.values()) <= told.budget
        assert told.recalled == [remembered.id]
    for event in kept.events:
        assert json.loads(json.dumps(event.model_dump(mode="json")))
        assert event.class_name() == type(event).__name__


def test_what_is_recalled_before_the_message_is_put_is_told(kept: Kept) -> None:
    memory = CtxplugMemory.from_defaults()
    remembered = memory.memory.remember("Anna is allergic to peanuts.")
    memory.get(input="Which allergies does Anna have?")
    (recall,) = kept.events
    assert recall.record_ids == [remembered.id]


def test_a_compaction_is_told_once_before_the_window_it_was_made_for(kept: Kept) -> None:
    memory = CtxplugMemory.from_defaults(token_limit=1_000, model="gpt-4o", recall=False)
    for n in range(40):
        memory.put_messages(
            [user(f"问题 {n} " + "word " * 20), ChatMessage("ok", role="assistant")]
        )
        memory.get()
    compactions = [event for event in kept.events if isinstance(event, CompactionEvent)]
    assert [one.number for one in compactions] == list(range(1, len(compactions) + 1))
    assert compactions and len(compactions) < 20
    for one in compactions:
        assert isinstance(kept.events[kept.events.index(one) + 1], WindowEvent)
        assert one.steps[-1]["after"] < one.steps[0]["before"]
        assert one.budget == 1_000


def test_a_reading_is_a_span_and_its_events_are_inside(
    kept: Kept, spans: SimpleSpanHandler
) -> None:
    memory = CtxplugMemory.from_defaults()
    asyncio.run(memory.aput(user("a")))
    asyncio.run(memory.aget())
    memory.put(user("b"))
    memory.get()
    done: list[SimpleSpan] = spans.completed_spans
    names = [span.id_.split("-")[0] for span in done]
    assert names == ["CtxplugMemory.aget", "CtxplugMemory.get"]
    ids = [span.id_ for span in done]
    assert [event.span_id for event in kept.events] == [ids[0], ids[0], ids[1], ids[1]]


def test_a_verb_that_fails_drops_its_span(kept: Kept, spans: SimpleSpanHandler) -> None:
    memory = CtxplugMemory.from_defaults(token_limit=50, model="gpt-4o", recall=False)
    memory.put(user("word " * 100))
    with pytest.raises(BudgetError):
        memory.get()
    assert [span.id_.split("-")[0] for span in spans.dropped_spans] == ["CtxplugMemory.get"]
    assert not kept.events


def test_a_handler_that_fails_changes_nothing() -> None:
    class Failing(BaseEventHandler):
        def handle(self, event: BaseEvent, **kwargs: Any) -> None:
            raise RuntimeError("no")

    failing = Failing()
    dispatcher.add_event_handler(failing)
    try:
        memory = CtxplugMemory.from_defaults()
        memory.put(user("a"))
        assert memory.get() == [user("a")]
    finally:
        dispatcher.event_handlers.remove(failing)
