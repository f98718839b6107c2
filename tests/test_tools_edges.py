"""Edges of running tools: time that is up, approvals that exit, ids erased while one waits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from ctxplug import AgentMemory, ToolCallPart
from ctxplug.errors import InvalidToolError, InvalidValueError
from ctxplug.tools import PendingCall, Tool, ToolPolicy


def fine() -> str:
    """Be fine."""
    return "fine, 好"


def test_what_had_no_time_is_told_that_it_did_not_run() -> None:
    ran: list[int] = []

    def count() -> str:
        ran.append(1)
        return "ran"

    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        memory.tools.add(count)
        run = memory.tools.call("count", deadline=0)
    assert not ran
    assert (run.outcome, run.attempts) == ("timeout", 0)
    assert run.text == "The tool 'count' did not run: no time was left for it."


async def exits(pending: PendingCall) -> bool:
    raise SystemExit(1)


async def interrupts(pending: PendingCall) -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize("approve", [exits, interrupts])
def test_an_async_approval_that_exits_is_a_no_and_the_loop_lives_on(approve: Any) -> None:
    policy = ToolPolicy(default="ask", approve=approve)
    with AgentMemory.open("memory:", namespace="acme/alice", tool_policy=policy) as memory:
        memory.tools.add(fine)
        outcomes: list[str] = []
        calls = [lambda: outcomes.append(memory.tools.call("fine").outcome)] * 2
        for call in calls:
            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            thread.join(20)
    assert outcomes == ["refused", "refused"]


async def test_an_approval_that_exits_on_its_thread_is_a_no() -> None:
    def leave(pending: PendingCall) -> bool:
        raise SystemExit(1)

    policy = ToolPolicy(default="ask", approve=leave)
    with AgentMemory.open("memory:", namespace="acme/alice", tool_policy=policy) as memory:
        memory.tools.add(fine)
        assert (await memory.tools.acall("fine")).outcome == "refused"


class Gate:
    """A tool that runs until it is opened."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        """Wait."""
        self.begun.set()
        self.open.wait(20)
        return "through"


def waiting(memory: AgentMemory, gate: Gate) -> threading.Thread:
    memory.tools.add(gate, name="gate")
    calls = [ToolCallPart("c1", "gate", {})]
    thread = threading.Thread(target=lambda: memory.tools.run(calls), daemon=True)
    thread.start()
    assert gate.begun.wait(20)
    return thread


def test_a_deadline_holds_for_a_call_that_runs_elsewhere(tmp_path: Path) -> None:
    gate = Gate()
    with AgentMemory.open(tmp_path / "m.db", namespace="acme/alice", session="s") as memory:
        thread = waiting(memory, gate)
        late = memory.tools.call("gate", call_id="c1", deadline=0.2)
        assert not gate.open.is_set()
        assert late.outcome == "timeout"
        assert "was begun before" in late.text
        gate.open.set()
        thread.join(20)
        assert memory.tools.call("gate", call_id="c1").text == "through"


def test_who_waits_for_a_call_that_is_erased_is_told(tmp_path: Path) -> None:
    gate, told = Gate(), list[str]()
    with AgentMemory.open(tmp_path / "m.db", namespace="acme/alice", session="s") as memory:
        thread = waiting(memory, gate)

        def wait() -> None:
            told.append(memory.tools.call("gate", call_id="c1").outcome)

        other = threading.Thread(target=wait, daemon=True)
        other.start()
        other.join(0.5)  # it waits, unless it has not begun: then it is told that it ran
        memory.erase()
        other.join(5)
        gate.open.set()
        thread.join(20)
        other.join(20)
    assert told == ["interrupted"]


def test_two_parameters_of_one_name_are_refused() -> None:
    def swap(a: Annotated[int, Field(alias="b")], b: int) -> list[int]:
        """Swap."""
        return [a, b]

    with pytest.raises(InvalidToolError, match="Two parameters of the tool 'swap'"):
        Tool.of(swap)


@pytest.mark.parametrize("limit", [2.5, "3", -1, True])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    memory = AgentMemory.open("memory:", namespace="acme/alice")
    with memory, pytest.raises(InvalidValueError, match="limit is"):
        memory.tools.history(limit=limit)


@pytest.mark.parametrize("deadline", ["1", -1, float("nan"), True])
def test_a_deadline_that_is_none_is_refused(deadline: Any) -> None:
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        memory.tools.add(fine)
        with pytest.raises(InvalidValueError, match="deadline is"):
            memory.tools.call("fine", deadline=deadline)


def test_a_langchain_tool_of_one_text_is_added_as_it_is() -> None:
    tools = pytest.importorskip("langchain_core.tools")
    single = tools.Tool(name="shout", func=lambda text: f"{text}!", description="Shout. 喊")
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        tool = memory.tools.add(single)
        assert list(tool.schema["properties"]) == ["tool_input"]
        assert memory.tools.call("shout", {"tool_input": "你好"}).text == "你好!"
        assert memory.tools.call("shout", {"tool_input": "a", "config": {}}).outcome == "invalid"


def test_a_langchain_tool_that_langchain_must_feed_is_refused() -> None:
    tools = pytest.importorskip("langchain_core.tools")

    def ship(item: str, account: str) -> str:
        """Ship."""
        return f"{item} {account}"

    ship.__annotations__["account"] = Annotated[str, tools.InjectedToolArg]
    ship.__annotations__["item"] = ship.__annotations__["return"] = str
    memory = AgentMemory.open("memory:", namespace="acme/alice")
    with memory, pytest.raises(InvalidToolError, match="given 'account' by LangChain itself"):
        memory.tools.add(tools.StructuredTool.from_function(ship))
