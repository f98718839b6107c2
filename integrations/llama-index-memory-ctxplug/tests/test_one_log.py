"""One log, written and continued from LangChain, LlamaIndex and plain AgentMemory by turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ctxplug_llamaindex import CtxplugChatStore, CtxplugMemory, CtxplugMemoryBlock, CtxplugRetriever
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.tools import FunctionTool

from ctxplug import AgentMemory
from ctxplug.context.validity import check_anthropic, check_openai
from ctxplug.messages import ToolCallPart, ToolResultPart

pytest.importorskip("langchain_ctxplug")
pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ctxplug import CtxplugChatMessageHistory, CtxplugMiddleware

# LlamaIndex's agents use what pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

WHO = {"namespace": "acme/陈伟", "session": "trip"}
Faults = Callable[[Sequence[ChatMessage]], list[str]]


class Model(GenericFakeChatModel):
    """A model of LangChain that says what it was told to, whatever tools it is given."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Model:
        return self


@tool
def trains(city: str) -> str:
    """Find trains."""
    return f"G89 to {city} at 9:05, 二等座 778 元"


def seats(train: str) -> str:
    """Find seats."""
    return f"{train}: 7A 靠窗 window, 7C 过道 aisle"


def from_langchain(path: Path) -> None:
    """One run of an agent of LangChain, with a tool call, through its middleware."""
    call = {"name": "trains", "args": {"city": "成都"}, "id": "call_1", "type": "tool_call"}
    replies = [AIMessage("", tool_calls=[call]), AIMessage("G89 在 9:05 出发。")]
    middleware = CtxplugMiddleware(path, namespace="acme")
    agent = create_agent(
        Model(messages=iter(replies)), [trains], middleware=[middleware], system_prompt="Plan."
    )
    config: Any = {"configurable": {"thread_id": "trip", "user_id": "陈伟"}}
    agent.invoke({"messages": [HumanMessage("国庆去成都 Chengdu 的火车？")]}, config)
    middleware.close()


async def from_llamaindex(path: Path, scripted: Any, calling: Any, legacy: bool) -> Any:
    """One run of an agent of LlamaIndex, with a tool call, on CtxplugMemory."""

    def answer(messages: Sequence[ChatMessage], n: int) -> Any:
        return calling(("call_2", "seats", {"train": "G89"})) if n == 0 else "7A is free."

    script = scripted(answer)
    with CtxplugMemory(path, **WHO) as memory:
        if legacy:  # as integrations of LlamaIndex wrote calls before there was a block for them
            function = {"name": "seats", "arguments": '{"train": "G89"}'}
            said = {"id": "call_2", "type": "function", "function": function}
            await memory.aput(ChatMessage(role="user", content="Seats, please. 要靠窗。"))
            script.sent.append(await memory.aget())
            result = ChatMessage(
                role="tool", content=seats("G89"), additional_kwargs={"tool_call_id": "call_2"}
            )
            call = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [said]})
            done = ChatMessage(role="assistant", content="7A is free.")
            await memory.aput_messages([call, result, done])
            script.sent.append(await memory.aget())
        else:
            agent = FunctionAgent(
                llm=script.llm, tools=[FunctionTool.from_defaults(seats)], streaming=False
            )
            await agent.run("Seats, please. 要靠窗。", memory=memory)
            script.sent.append(await memory.aget())
    return script


def from_plain(path: Path) -> None:
    """One turn with plain ctxplug, with a tool call."""
    with AgentMemory.open(path, **WHO) as memory:
        memory.add("user", "And the weather? 天气呢？")
        memory.add("assistant", ToolCallPart("call_3", "weather", {"city": "成都"}))
        memory.add("tool", ToolResultPart("call_3", "22°C, 晴"))
        memory.add("assistant", "Sunny, 22 degrees.")
        window = memory.context("成都 seats")
        assert not check_openai(window.to_openai())
        assert not check_anthropic(window.to_anthropic())


def calls_of(message: ChatMessage) -> list[tuple[str | None, str, Any]]:
    return [
        (block.tool_call_id, block.tool_name, block.tool_kwargs)
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]


@pytest.mark.parametrize("legacy", [False, True])
async def test_a_log_goes_on_from_framework_to_framework_tool_calls_included(
    tmp_path: Path, scripted: Any, calling: Any, faults: Faults, legacy: bool
) -> None:
    path = tmp_path / "agent.db"
    from_langchain(path)
    script = await from_llamaindex(path, scripted, calling, legacy)

    # LlamaIndex's model was sent what LangChain logged, as LlamaIndex's own messages.
    for sent in script.sent:
        assert faults([one for one in sent if one.role != "system"]) == []
    first = [one for one in script.sent[0] if one.role != "system"]
    assert [one.role.value for one in first] == ["user", "assistant", "tool", "assistant", "user"]
    assert first[0].content == "国庆去成都 Chengdu 的火车？"
    assert calls_of(first[1]) == [("call_1", "trains", {"city": "成都"})]
    assert first[2].additional_kwargs["tool_call_id"] == "call_1"
    assert first[2].content == trains.invoke({"city": "成都"})

    # Plain ctxplug reads both and goes on.
    from_plain(path)
    with AgentMemory.open(path, **WHO) as memory:
        roles = [message.role for message in memory.messages() if message.role != "system"]
        assert roles == ["user", "assistant", "tool", "assistant"] * 3
        calls = [call for message in memory.messages() for call in message.tool_calls]
        assert [(call.id, call.name) for call in calls] == [
            ("call_1", "trains"), ("call_2", "seats"), ("call_3", "weather"),
        ]  # fmt: skip
        assert [dict(call.arguments) for call in calls[:2]] == [{"city": "成都"}, {"train": "G89"}]
        results = [one for message in memory.messages() for one in message.tool_results]
        assert [one.call_id for one in results] == ["call_1", "call_2", "call_3"]
        assert results[1].text == seats("G89")

    # LangChain reads all three and goes on.
    history = CtxplugChatMessageHistory(path, **WHO)
    said = [message for message in history.messages if message.type != "system"]
    assert [message.type for message in said] == ["human", "ai", "tool", "ai"] * 3
    asked = [
        call for message in said if isinstance(message, AIMessage) for call in message.tool_calls
    ]
    assert [(call["id"], call["args"]) for call in asked] == [
        ("call_1", {"city": "成都"}), ("call_2", {"train": "G89"}), ("call_3", {"city": "成都"}),
    ]  # fmt: skip
    answers = [message for message in said if isinstance(message, ToolMessage)]
    assert [answer.tool_call_id for answer in answers] == ["call_1", "call_2", "call_3"]
    assert answers[1].content == seats("G89")
    history.add_messages([HumanMessage("就这样吧。"), AIMessage("Booked 7A.")])
    history.close()

    # LlamaIndex has it all, by memory and by chat store, and the next turn is valid.
    with CtxplugMemory(path, **WHO) as memory:
        everything = memory.get_all()
        assert [one.content for one in everything[-2:]] == ["就这样吧。", "Booked 7A."]
        made = [call for one in everything for call in calls_of(one)]
        assert made[0] == ("call_1", "trains", {"city": "成都"})
        assert made[-1] == ("call_3", "weather", {"city": "成都"})
        store = CtxplugChatStore(path, namespace=WHO["namespace"])
        assert store.get_messages("trip") == everything
        memory.put(ChatMessage(role="user", content="谢谢"))
        assert faults([one for one in memory.get() if one.role != "system"]) == []


async def test_what_one_framework_logged_is_recalled_by_the_others(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    from_langchain(path)
    block = CtxplugMemoryBlock(path, namespace="acme/陈伟", sessions="all")
    await block.aput([ChatMessage(role="user", content="女儿对花生过敏")], session_id="other")
    asked = [ChatMessage(role="user", content="成都的火车 trains Chengdu，花生？")]
    shown = await block.aget(asked, session_id="new")
    assert "国庆去成都" in shown and "花生过敏" in shown
    found = CtxplugRetriever(path, namespace="acme/陈伟", k=3).retrieve("成都的火车 Chengdu")
    assert "国庆去成都" in found[0].node.get_content()
    with AgentMemory.open(path, namespace="acme/陈伟", session="third") as memory:
        assert memory.recall("花生过敏")[0].record.session == "other"
        assert {one.record.session for one in memory.recall("成都")} >= {"trip"}
