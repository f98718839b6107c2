"""Many conversations of two users at once, in one process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ctxplug import CtxplugMiddleware
from langgraph.checkpoint.memory import InMemorySaver

from ctxplug import AgentMemory
from ctxplug.storage import conversations


@tool
def look_up(number: int) -> str:
    """Look up a parcel."""
    return f"parcel {number}"


def build(memory: AgentMemory, scripted: Any, call: Any) -> tuple[Any, Any]:
    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        if isinstance(messages[-1], ToolMessage):
            return AIMessage("done")
        return AIMessage("", tool_calls=[call("c" + str(len(messages)), number=len(messages))])

    model = scripted(answer=answer)
    middleware = CtxplugMiddleware(memory, user_key="user_id")
    agent = create_agent(model, [look_up], middleware=[middleware], checkpointer=InMemorySaver())
    return agent, model


def check(memory: AgentMemory, model: Any, threads: int, turns: int) -> None:
    for sent in model.sent:
        text = str([m.content for m in sent])
        assert not ("of-ann" in text and "of-bob" in text), "a leak between users"
    for n in range(threads):
        user = "ann" if n % 2 else "bob"
        log = memory.beside(namespace=("acme", user), session=f"thread-{n}").messages()
        asked = [m.text for m in log if m.role == "user"]
        assert asked == [f"turn {t} thread {n} of-{user}" for t in range(turns)]
        assert len(log) == 4 * turns and len({m.id for m in log}) == len(log)
    assert memory.check().ok


def turn_of(n: int, turn: int) -> tuple[dict[str, Any], dict[str, Any]]:
    user = "ann" if n % 2 else "bob"
    config = {"configurable": {"thread_id": f"thread-{n}", "user_id": user}}
    return {"messages": [HumanMessage(f"turn {turn} thread {n} of-{user}")]}, config


@pytest.mark.parametrize(
    ("threads", "turns"), [(8, 4), pytest.param(50, 20, marks=pytest.mark.slow)]
)
def test_threads(tmp_path: Path, scripted: Any, call: Any, threads: int, turns: int) -> None:
    with AgentMemory.open(tmp_path / "m.db", namespace="acme", budget=3_000) as memory:
        agent, model = build(memory, scripted, call)

        def talk(n: int) -> None:
            for turn in range(turns):
                agent.invoke(*turn_of(n, turn))

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(talk, range(threads)))
        check(memory, model, threads, turns)


async def test_tasks(tmp_path: Path, scripted: Any, call: Any) -> None:
    async with await AgentMemory.aopen(tmp_path / "m.db", namespace="acme", budget=3_000) as memory:
        agent, model = build(memory, scripted, call)

        async def talk(n: int) -> None:
            for turn in range(4):
                await agent.ainvoke(*turn_of(n, turn))

        await asyncio.gather(*(talk(n) for n in range(8)))
        check(memory, model, 8, 4)


def test_a_thread_goes_on_from_what_others_wrote_to_its_session(
    tmp_path: Path, scripted: Any
) -> None:
    """Another framework, or plain AgentMemory, writes between two runs of an agent."""
    path = tmp_path / "agent.db"
    model = scripted(answer=lambda messages, n: AIMessage(["Hello.", "In Lisbon."][n]))
    with AgentMemory.open(path, namespace="acme", session="trip") as other:
        other.add("user", "My violin is in Lisbon. 我的小提琴在里斯本。")
        other.add("assistant", "Noted. 好的。")
        middleware = CtxplugMiddleware(path, namespace="acme", recall=False)
        agent = create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "trip"}}
        agent.invoke({"messages": [HumanMessage("Hi")]}, config)
        other.add("user", "And the bow is in Porto.")
        other.add("assistant", "All right.")
        agent.invoke({"messages": [HumanMessage("Where is it?")]}, config)
        middleware.close()
        texts = [message.text for message in other.messages()]
        assert texts == [
            "My violin is in Lisbon. 我的小提琴在里斯本。",
            "Noted. 好的。",
            "Hi",
            "Hello.",
            "And the bow is in Porto.",
            "All right.",
            "Where is it?",
            "In Lisbon.",
        ]
        assert [message.text for message in model.sent[-1]] == texts[:-1]
        assert other.recall("violin") and other.recall("bow")
        assert {info.session for info in conversations(other.backend, ("acme",))} == {"trip"}


def run_of(user: str, thread: str, text: str, id: str | None = None) -> tuple[dict[str, Any], Any]:
    config = {"configurable": {"thread_id": thread, "user_id": user}}
    return {"messages": [HumanMessage(text, id=id)]}, config


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_thread_id_that_two_users_share_is_warned_of(
    scripted: Any, asynchronous: bool
) -> None:
    model = scripted(answer=lambda messages, n: AIMessage(f"answer {n}"))
    with AgentMemory.open("memory:", namespace="acme") as memory:
        middleware = CtxplugMiddleware(memory)
        agent = create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())

        async def ask(user: str, thread: str, text: str) -> None:
            if asynchronous:
                await agent.ainvoke(*run_of(user, thread, text))
            else:
                agent.invoke(*run_of(user, thread, text))

        await ask("alice", "monday", "My violin is in Lisbon. 我的小提琴在里斯本。")
        with pytest.warns(UserWarning, match="'monday' holds messages .* another user"):
            await ask("陈伟", "monday", "Hello")
        assert "violin" in str(model.sent[-1])
        await ask("陈伟", "monday", "Once is enough")
        await ask("陈伟", "tuesday", "Hello")
        await ask("alice", "monday/2", "Hello")
        middleware.close()


def test_equal_thread_ids_of_separate_agents_are_not_warned_of(scripted: Any) -> None:
    """Each agent has its own checkpointer, so nothing is shared but what is equal by chance."""
    with AgentMemory.open("memory:", namespace="acme") as memory:
        middleware = CtxplugMiddleware(memory)
        for user in ("alice", "bob"):
            model = scripted(answer=lambda messages, n: AIMessage("Hello."))
            agent = create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())
            for number, text in enumerate(("Hi", "你好")):
                agent.invoke(*run_of(user, "monday", text, id=str(number)))
        middleware.close()


def test_a_warning_that_is_an_error_keeps_the_thread_from_the_model_and_the_log(
    scripted: Any,
) -> None:
    model = scripted(answer=lambda messages, n: AIMessage("Noted."))
    with AgentMemory.open("memory:", namespace="acme") as memory:
        middleware = CtxplugMiddleware(memory)
        agent = create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())
        agent.invoke(*run_of("alice", "monday", "My violin is in Lisbon."))
        with pytest.raises(UserWarning, match="another user"):  # as in these tests
            agent.invoke(*run_of("bob", "monday", "Hello"))
        assert len(model.sent) == 1
        assert not memory.beside(namespace="acme/bob", session="monday").messages()
        middleware.close()
