"""AgentMemory.beside: another session or namespace on the same store, by the same settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctxplug import AgentMemory
from ctxplug.context.policy import PRESETS
from ctxplug.errors import ClosedError, InvalidNamespaceError, UnknownComponentError


@pytest.fixture(params=["memory", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'agent.db'}"


def test_another_session_shares_memories_and_not_messages(target: str) -> None:
    with AgentMemory.open(target, namespace="acme/李雷", session="one", budget=900) as memory:
        memory.remember("喜欢靠窗的座位", kind="preference")
        memory.add("user", "hello")
        other = memory.beside(session="two")
        assert other.scope.session == "two" and other.budget == 900
        assert other.messages() == []
        assert other.recall("靠窗")[0].record.content == "喜欢靠窗的座位"
        other.add("user", "second")
        assert [message.text for message in memory.messages()] == ["hello"]


def test_another_namespace_shares_nothing(target: str) -> None:
    with AgentMemory.open(target, namespace="acme/alice") as memory:
        memory.remember("window seats")
        other = memory.beside(namespace="acme/bob")
        assert other.recall("window") == [] and other.memories() == []
        with pytest.raises(InvalidNamespaceError):
            memory.beside(namespace="")


def test_capture_and_what_the_caller_changes_go_along(target: str) -> None:
    with AgentMemory.open(target, namespace="u", capture="auto", agent="planner") as memory:
        other = memory.beside(budget=500, agent="writer")
        other.add("user", "I am allergic to peanuts.")
        assert [one.made_by.partition(":")[0] for one in other.memories()] == ["capture"]
        assert (other.budget, other.scope.agent, memory.scope.agent) == (500, "writer", "planner")


def test_a_preset_takes_the_prices_of_the_model_as_it_does_when_opened() -> None:
    model = "gpt-4o"
    opened = AgentMemory.open("memory:", namespace="u", model=model, policy="aggressive")
    other = AgentMemory.open("memory:", namespace="u", model=model).beside(policy="aggressive")
    assert other.policy == opened.policy
    assert opened.policy.cache_write != PRESETS["aggressive"].cache_write
    with pytest.raises(UnknownComponentError):
        opened.beside(policy="thrifty")


def test_beside_a_closed_memory_there_is_none(target: str) -> None:
    memory = AgentMemory.open(target, namespace="u")
    memory.close()
    with pytest.raises(ClosedError):
        memory.beside()
