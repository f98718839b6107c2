"""No adapter leads an agent around the access rules of its memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage
from langchain_ctxplug import CtxplugChatMessageHistory, CtxplugRetriever, CtxplugStore

from ctxplug import AgentMemory
from ctxplug.errors import AccessError

SECRET = "zqvkanarienvogelx"


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[AgentMemory]:
    """Yield the owner's memory of a store in which the session "hr" is closed to planners."""
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme", session="hr") as memory:
        memory.add("user", f"My salary is {SECRET}")
        memory.remember(f"Salary: {SECRET}")
        CtxplugStore(memory).put(("docs",), "pay", {"text": f"salary {SECRET}"})
        memory.access.grant("hr-bot", ["read", "write", "share"], session="hr")
        yield memory


def beside(owner: AgentMemory, session: str = "trip", agent: str = "planner") -> AgentMemory:
    return owner.beside(session=session, agent=agent)


def test_a_history_of_a_closed_session_is_neither_read_nor_written(owner: AgentMemory) -> None:
    history = CtxplugChatMessageHistory(beside(owner, "hr"))
    for act in (
        lambda: history.messages,
        lambda: history.add_messages([HumanMessage("Hello")]),
        history.clear,
    ):
        with pytest.raises(AccessError):
            act()
    assert len(CtxplugChatMessageHistory(beside(owner, "hr", "hr-bot")).messages) == 1


def test_a_history_of_an_open_session_goes_on_as_ever(owner: AgentMemory) -> None:
    history = CtxplugChatMessageHistory(beside(owner))
    history.add_messages([HumanMessage("Hello")])
    history.clear()
    history.add_messages([HumanMessage("Again")])
    assert [message.content for message in history.messages] == ["Again"]


async def ask(owner: AgentMemory, agent: str) -> list[str]:
    retriever = CtxplugRetriever(beside(owner, agent=agent), k=20)
    found = [one.page_content for one in retriever.invoke(f"salary {SECRET}")]
    assert found == [one.page_content for one in await retriever.ainvoke(f"salary {SECRET}")]
    return found


async def test_a_retriever_finds_what_its_agent_may_read(owner: AgentMemory) -> None:
    assert await ask(owner, "planner") == []
    assert len(await ask(owner, "hr-bot")) == 2


def test_a_store_is_under_the_rules_of_its_namespace(owner: AgentMemory) -> None:
    owner.access.deny("planner", "write")
    store = CtxplugStore(beside(owner))
    found = store.search(("docs",), query=f"salary {SECRET}")
    assert [item.key for item in found] == ["pay"], "an item belongs to no session"
    with pytest.raises(AccessError):
        store.put(("docs",), "pay", {"text": "nothing"})
    with pytest.raises(AccessError):
        store.erase(())
    owner.access.deny("planner", "read")
    assert store.search(("docs",), query=f"salary {SECRET}") == []
    assert store.get(("docs",), "pay") is None
    assert CtxplugStore(owner).get(("docs",), "pay") is not None
