"""What becomes of the state, the log follows: edits, removals, time travel, kills."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ctxplug import CtxplugMiddleware
from langchain_ctxplug.messages import to_messages
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from ctxplug import AgentMemory, hookimpl
from ctxplug.errors import StorageError
from ctxplug.plugins import Plugins
from ctxplug.storage import conversations
from ctxplug.storage.sqlite import SqliteBackend

T1: dict[str, Any] = {"configurable": {"thread_id": "t1"}}


@tool
def look_up(number: int) -> str:
    """Look up a parcel."""
    return f"parcel {number} is late"


def say(messages: list[BaseMessage], n: int) -> AIMessage:
    return AIMessage(f"answer {n}")


def build(memory: Any, model: Any, saver: Any, tools: Any = ()) -> Any:
    return create_agent(
        model, list(tools), middleware=[CtxplugMiddleware(memory)], checkpointer=saver
    )


def texts(messages: list[BaseMessage]) -> list[str]:
    return [message.text for message in messages]


@pytest.fixture
def memory(tmp_path: Path) -> Any:
    with AgentMemory.open(tmp_path / "m.db", namespace="acme", budget=20_000) as memory:
        yield memory


def test_the_log_holds_every_message_once_and_the_final_answer(memory: Any, scripted: Any) -> None:
    agent = build(memory, scripted(answer=say), InMemorySaver())
    for n in range(5):
        result = agent.invoke({"messages": [HumanMessage(f"q{n}")]}, T1)
    logged = memory.beside(session="t1").messages()
    assert [m.text for m in logged] == texts(result["messages"])
    assert [m.id for m in logged] == [m.id for m in result["messages"]]


def test_a_removed_message_is_never_sent_again(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = build(memory, model, InMemorySaver())
    agent.invoke({"messages": [HumanMessage("my password is 芝麻开门")]}, T1)
    agent.invoke({"messages": [HumanMessage("and my name is Ann")]}, T1)
    state = agent.get_state(T1).values["messages"]
    agent.update_state(T1, {"messages": [RemoveMessage(id=state[0].id)]})
    agent.invoke({"messages": [HumanMessage("what is my password 芝麻开门?")]}, T1)
    assert "password is" not in str(texts(model.sent[-1]))
    assert "and my name is Ann" in texts(model.sent[-1])
    agent.invoke({"messages": [HumanMessage("the password again")]}, T1)
    assert "password is" not in str(texts(model.sent[-1]))
    assert len(set(texts(model.sent[-1]))) == len(model.sent[-1])


def test_a_cleared_thread_brings_nothing_back(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = build(memory, model, InMemorySaver())
    agent.invoke({"messages": [HumanMessage("the code is 4711")]}, T1)
    agent.update_state(T1, {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES)]})
    agent.invoke({"messages": [HumanMessage("which code is it?")]}, T1)
    assert texts(model.sent[-1]) == ["which code is it?"]


def test_an_edited_message_is_sent_as_it_is_now(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = build(memory, model, InMemorySaver())
    agent.invoke({"messages": [HumanMessage("I live in Porto", id="h1")]}, T1)
    agent.update_state(T1, {"messages": [HumanMessage("I live in Lisbon", id="h1")]})
    agent.invoke({"messages": [HumanMessage("where do I live?")]}, T1)
    assert texts(model.sent[-1])[0] == "I live in Lisbon"
    assert "Porto" not in str(texts(model.sent[-1]))


def test_time_travel_and_back(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = build(memory, model, InMemorySaver())
    agent.invoke({"messages": [HumanMessage("one")]}, T1)
    then = agent.get_state(T1).config
    agent.invoke({"messages": [HumanMessage("two: the red plan")]}, T1)
    later = agent.get_state(T1).config
    agent.invoke({"messages": [HumanMessage("three: which plan?")]}, then)
    assert texts(model.sent[-1]) == ["one", "answer 0", "three: which plan?"]
    agent.invoke({"messages": [HumanMessage("four")]}, later)
    assert texts(model.sent[-1]) == ["one", "answer 0", "two: the red plan", "answer 1", "four"]
    agent.invoke({"messages": [HumanMessage("five")]}, T1)
    assert texts(model.sent[-1])[-2:] == ["answer 3", "five"]


def test_another_process_goes_on_where_this_one_stopped(tmp_path: Path, scripted: Any) -> None:
    for start in range(3):  # each a fresh saver, memory and agent, as in another process
        with (
            SqliteSaver.from_conn_string(str(tmp_path / "c.db")) as saver,
            AgentMemory.open(tmp_path / "m.db", namespace="acme") as memory,
        ):
            model = scripted(answer=lambda m, n, start=start: AIMessage(f"answer {start}"))
            agent = build(memory, model, saver)
            agent.invoke({"messages": [HumanMessage(f"q{start}")]}, T1)
            assert len(model.sent[0]) == 2 * start + 1
            logged = memory.beside(session="t1").messages()
            assert len(logged) == 2 * start + 2
            assert len(conversations(memory.backend, ("acme",))) <= 2, "no second generation"


def test_two_processes_take_turns_without_duplicates(tmp_path: Path, scripted: Any) -> None:
    saver = InMemorySaver()
    models, agents = [], []
    for _ in range(2):
        memory = AgentMemory.open(tmp_path / "m.db", namespace="acme")
        models.append(scripted(answer=say))
        agents.append(build(memory, models[-1], saver))
    for n in range(6):
        agents[n % 2].invoke({"messages": [HumanMessage(f"q{n}")]}, T1)
        assert len(models[n % 2].sent[-1]) == 2 * n + 1
    assert len(memory.beside(session="t1").messages()) == 12


def test_only_what_is_new_is_written_and_read(memory: Any, scripted: Any, monkeypatch: Any) -> None:
    import langchain_ctxplug.state_log as module

    model = scripted(answer=say)
    agent = build(memory, model, InMemorySaver())
    agent.invoke({"messages": [HumanMessage(f"q{n}") for n in range(300)]}, T1)
    converted = []
    real = module.to_message
    monkeypatch.setattr(module, "to_message", lambda m: converted.append(m) or real(m))
    agent.invoke({"messages": [HumanMessage("new")]}, T1)
    assert texts(converted) == ["new", "answer 1"]


@pytest.mark.parametrize("kind", ["no checkpointer", "fresh ids"])
def test_clients_that_bring_the_whole_list_make_no_copies(
    memory: Any, scripted: Any, kind: str
) -> None:
    model = scripted(answer=say)
    agent = build(memory, model, None)
    talk: list[BaseMessage] = []
    for n in range(5):
        talk.append(HumanMessage(f"q{n}"))
        given = [m.model_copy(update={"id": None}) for m in talk] if kind == "fresh ids" else talk
        talk = agent.invoke({"messages": given}, T1)["messages"]
        assert len(model.sent[-1]) == 2 * n + 1
    assert len(memory.beside(session="t1").messages()) == 10


def test_a_failing_store_is_heard(tmp_path: Path, scripted: Any) -> None:
    backend = SqliteBackend(tmp_path / "m.db")
    memory = AgentMemory.open(backend, namespace="acme")
    agent = build(memory, scripted(answer=say), None)

    def fail(*ops: Any) -> Any:
        raise StorageError("the disk is gone")

    backend.write = fail  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="the disk is gone"):
        agent.invoke({"messages": [HumanMessage("hi")]}, T1)
    del backend.write  # type: ignore[method-assign]
    agent.invoke({"messages": [HumanMessage("hi")]}, T1)
    assert [m.text for m in memory.beside(session="t1").messages()] == ["hi", "answer 0"]


class Redactor:
    @hookimpl
    def redact(self, text: str) -> str:
        return text.replace("Lisbon", "[city]")


def test_redacted_text_is_neither_stored_nor_sent(tmp_path: Path, scripted: Any, call: Any) -> None:
    @tool(response_format="content_and_artifact")
    def visit(number: int) -> tuple[str, dict[str, str]]:
        """Visit a city."""
        return "Lisbon it is", {"city": "Lisbon"}

    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        return (
            AIMessage("Lisbon") if n else AIMessage("", tool_calls=[call("a", "visit", number=1)])
        )

    plugins = Plugins(load_entry_points=False)
    plugins.register(Redactor(), "redactor")
    with AgentMemory.open(tmp_path / "m.db", namespace="acme", plugins=plugins) as memory:
        model = scripted(answer=answer)
        agent = build(memory, model, InMemorySaver(), [visit])
        given = HumanMessage("To Lisbon", additional_kwargs={"place": "Lisbon"})
        agent.invoke({"messages": [given]}, T1)
        agent.invoke({"messages": [HumanMessage("again")]}, T1)
        assert "Lisbon" not in str([m.content for m in model.sent[-1]])
        assert len(conversations(memory.backend, ("acme",))) == 1, "still one generation"
    assert all(b"Lisbon" not in file.read_bytes() for file in tmp_path.glob("m.db*"))


KILLED = """
    import os, sys
    from langchain.agents import create_agent
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, HumanMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.tools import tool
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langchain_ctxplug import CtxplugMiddleware

    folder, die_at, where = sys.argv[1], int(sys.argv[2]), sys.argv[3]

    @tool
    def look_up(number: int) -> str:
        "Look up a parcel."
        if where == "tool" and number == die_at:
            os._exit(9)
        return f"parcel {number} is late"

    class Model(BaseChatModel):
        @property
        def _llm_type(self): return "scripted"
        def bind_tools(self, tools, **kwargs): return self
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            calls = [c for m in messages for c in getattr(m, "tool_calls", [])]
            done = [int(c["args"]["number"]) for c in calls]
            n = max(done, default=0) + 1
            with open(os.path.join(folder, "sent.txt"), "a") as out:
                print(len(messages), file=out)
            if where == "model" and n == die_at:
                os._exit(9)
            calls = [{"name": "look_up", "args": {"number": n}, "id": f"c{n}", "type": "tool_call"}]
            said = AIMessage("", tool_calls=calls) if n <= 10 else AIMessage("all late")
            return ChatResult(generations=[ChatGeneration(message=said)])

    with SqliteSaver.from_conn_string(os.path.join(folder, "c.db")) as saver:
        middleware = CtxplugMiddleware(os.path.join(folder, "m.db"), namespace="acme")
        agent = create_agent(Model(), [look_up], middleware=[middleware], checkpointer=saver)
        config = {"configurable": {"thread_id": "t1"}, "recursion_limit": 100}
        given = None if agent.get_state(config).values else {"messages": [HumanMessage("go")]}
        agent.invoke(given, config, durability="sync" if where == "tool" else "async")
"""


@pytest.mark.parametrize("where", ["tool", pytest.param("model", marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_in_the_middle_of_its_tool_loop(tmp_path: Path, where: str) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(KILLED))
    codes = [
        subprocess.run(
            [sys.executable, "-W", "ignore", script, tmp_path, str(die_at), where],
            env={**os.environ, "LANGSMITH_TRACING": "false"},
            timeout=120,
            check=False,
        ).returncode
        for die_at in (5, 0)
    ]
    assert codes == [9, 0]
    with (
        AgentMemory.open(tmp_path / "m.db", namespace="acme") as memory,
        SqliteSaver.from_conn_string(str(tmp_path / "c.db")) as saver,
    ):
        state = saver.get(T1)["channel_values"]["messages"]  # type: ignore[index,arg-type]
        sessions = [s for s in ("t1", "t1~g1") if memory.beside(session=s).messages()]
        logged = memory.beside(session=sessions[-1]).messages()
        assert [m.text for m in to_messages(state)] == [m.text for m in logged]
        assert len(logged) == 22 and logged[-1].text == "all late"
        answered = [m.tool_call_id for m in state if isinstance(m, ToolMessage)]
        assert answered == [f"c{n}" for n in range(1, 11)]
        records = memory.recall("parcel late", k=200, kinds="message")
        assert len({one.record.content for one in records}) == len(records)
