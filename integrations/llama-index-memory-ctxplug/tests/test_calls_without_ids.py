"""Calls without ids, as Ollama's are: their results come back under the tool's name."""

from __future__ import annotations

from typing import Any

import pytest
from ctxplug_llamaindex import CtxplugMemory, bounded
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms import types
from llama_index.core.base.llms.types import ChatMessage

pytestmark = [  # LlamaIndex's own: making an agent reads every attribute of pydantic's classes
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
]


def in_blocks(*cities: str, id: str | None = None) -> ChatMessage:
    if not hasattr(types, "ToolCallBlock"):
        pytest.skip("this llama-index-core has no ToolCallBlock")
    calls = [
        types.ToolCallBlock(tool_call_id=id, tool_name="look_up", tool_kwargs={"city": city})
        for city in cities
    ]
    return ChatMessage(role="assistant", blocks=calls)


def listed(*cities: str) -> ChatMessage:
    calls = [{"function": {"name": "look_up", "arguments": {"city": city}}} for city in cities]
    return ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": calls})


def both(*cities: str) -> ChatMessage:
    kwargs = listed(*cities).additional_kwargs
    return ChatMessage(role="assistant", blocks=in_blocks(*cities).blocks, additional_kwargs=kwargs)


def named(*cities: str) -> ChatMessage:
    return in_blocks(*cities, id="look_up")


def result(text: str) -> ChatMessage:
    return ChatMessage(text, role="tool", additional_kwargs={"tool_call_id": "look_up"})


@pytest.mark.parametrize("calling", [in_blocks, listed, both, named])
def test_results_that_name_the_tool_stay_with_their_calls(calling: Any, faults: Any) -> None:
    said = []
    with CtxplugMemory(namespace="acme", session="s") as memory:
        for turn in range(3):
            said += [ChatMessage(f"第{turn}次", role="user"), calling("里斯本", "Porto")]
            said += [result(f"晴 {turn}"), result(f"rain {turn}"), ChatMessage("ok", role="user")]
        memory.put_messages(said)
        assert memory.get_all() == said
        got = memory.get()
        results = [message.content for message in got if message.role == "tool"]
        assert results == [f"{word} {turn}" for turn in range(3) for word in ("晴", "rain")]
        if calling is not listed:  # which stays in the provider's own form
            assert faults(got) == []


async def test_a_bounded_agent_sees_what_came_of_them(scripted: Any, faults: Any) -> None:
    def look_up(city: str) -> str:
        """Look up the weather. 查天气。"""
        return f"{city}: 晴"

    model = scripted(lambda messages, n: in_blocks("Porto", "里斯本") if n % 2 == 0 else "ok")
    agent = bounded(FunctionAgent(llm=model.llm, tools=[look_up], streaming=False))
    memory = CtxplugMemory(namespace="acme", session="s")
    for _ in range(2):
        await agent.run("Weather? 天气？", memory=memory)
    results = [message.content for message in model.sent[-1] if message.role == "tool"]
    assert sorted(results) == ["Porto: 晴", "Porto: 晴", "里斯本: 晴", "里斯本: 晴"]
    assert [faults(sent) for sent in model.sent] == [[]] * 4
