"""No adapter leads an agent around the access rules of its memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from ctxplug_llamaindex import CtxplugChatStore, CtxplugMemory, CtxplugRetriever
from llama_index.core.base.llms.types import ChatMessage

from ctxplug import AgentMemory
from ctxplug.errors import AccessError

SECRET = "zqvkanarienvogelx"


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[AgentMemory]:
    """Yield the owner's memory of a store in which the session "hr" is closed to planners."""
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme", session="hr") as memory:
        memory.add("user", f"My salary is {SECRET}")
        memory.remember(f"Salary: {SECRET}")
        memory.access.grant("hr-bot", ["read", "write", "share"], session="hr")
        yield memory


def test_a_chat_store_shows_and_takes_what_its_agent_may(owner: AgentMemory) -> None:
    store = CtxplugChatStore(owner.beside(session="trip", agent="planner"))
    assert store.get_keys() == []
    for act in (
        lambda: store.get_messages("hr"),
        lambda: store.add_message("hr", ChatMessage(content="Hello")),
        lambda: store.set_messages("hr", [ChatMessage(content="Hello")]),
        lambda: store.delete_messages("hr"),
    ):
        with pytest.raises(AccessError):
            act()
    store.add_message("trip", ChatMessage(content="Hello"))
    assert [message.content for message in store.get_messages("trip")] == ["Hello"]
    other = CtxplugChatStore(owner.beside(session="trip", agent="hr-bot"))
    assert SECRET in str(other.get_messages("hr"))


def test_a_retriever_finds_what_its_agent_may_read(owner: AgentMemory) -> None:
    for agent, count in (("planner", 0), ("hr-bot", 2)):
        retriever = CtxplugRetriever(owner.beside(session="trip", agent=agent), k=20)
        assert len(retriever.retrieve(f"salary {SECRET}")) == count
        assert len(asyncio.run(retriever.aretrieve(f"salary {SECRET}"))) == count


def test_a_memory_of_a_closed_session_is_neither_read_nor_written(owner: AgentMemory) -> None:
    memory = CtxplugMemory(owner.beside(session="hr", agent="planner"))
    for act in (
        memory.get,
        memory.get_all,
        lambda: memory.put(ChatMessage(content="Hello")),
        memory.reset,
    ):
        with pytest.raises(AccessError):
            act()
