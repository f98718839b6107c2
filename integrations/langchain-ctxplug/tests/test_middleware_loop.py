"""Long runs: every request valid for both providers, within budget, with what must stay."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_ctxplug import CtxplugMiddleware
from langchain_ctxplug.messages import to_messages
from langgraph.checkpoint.memory import InMemorySaver

from ctxplug import AgentMemory
from ctxplug.tokens import count_tools

QUESTION = "Which parcel of the harbour of 里斯本 is late? Answer with its number."
CONFIG: dict[str, Any] = {"configurable": {"thread_id": "t1"}, "recursion_limit": 5_000}


@tool
def look_up(number: int) -> str:
    """Look up one parcel by its number."""
    return f"Parcel {number}: 状态 delayed at {number % 24}:15, weight {number * 7} g. " * 6


def step(n: int, call: Callable[..., dict[str, Any]]) -> AIMessage:
    calls = [call(f"call_{n}_{i}", number=n * 3 + i) for i in range(1 + n % 3)]
    return AIMessage("", tool_calls=calls)


def counted(memory: AgentMemory, sent: Sequence[BaseMessage]) -> int:
    tokens = sum(memory.counter.count(message) for message in to_messages(sent))
    tools = count_tools(memory.counter, [convert_to_openai_tool(look_up)])
    return tokens + tools + memory.counter.request_tokens


def check_requests(
    memory: AgentMemory,
    sent: Sequence[Sequence[BaseMessage]],
    budget: int,
    faults: Callable[[Sequence[BaseMessage]], list[str]],
) -> None:
    for request in sent:
        assert faults(request) == []
        assert counted(memory, request) <= budget
        assert request[0].text.startswith("You find parcels.")


@pytest.mark.parametrize("steps", [100, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("thinking", [False, True])
def test_many_steps_on_one_question(
    scripted: Any, call: Any, faults: Any, thinking: bool, steps: int
) -> None:
    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        if n == steps:
            return AIMessage("Parcel 42.")
        said = step(n, call)
        if thinking:
            said.content = [
                {"type": "thinking", "thinking": f"Step {n}.", "signature": f"sig{n}"},
                *(
                    {"type": "tool_use", "id": c["id"], "name": c["name"], "input": c["args"]}
                    for c in said.tool_calls
                ),
            ]
        return said

    memory = AgentMemory.open("memory:", namespace="acme", budget=6_000)
    middleware = CtxplugMiddleware(memory)
    model = scripted(answer=answer)
    agent = create_agent(
        model,
        [look_up],
        system_prompt="You find parcels.",
        middleware=[middleware],
        checkpointer=InMemorySaver(),
    )
    result = agent.invoke({"messages": [HumanMessage(QUESTION)]}, CONFIG)
    assert result["messages"][-1].content == "Parcel 42."
    assert len(model.sent) == steps + 1
    check_requests(memory, model.sent, 6_000, faults)
    assert all(any(m.text == QUESTION for m in sent) for sent in model.sent)
    kept = sum(
        [m.content for m in a] == [m.content for m in b[: len(a)]]
        for a, b in zip(model.sent, model.sent[1:], strict=False)
    )
    assert kept > 0.75 * steps, "the prefix breaks too often"
    logged = memory.beside(session="t1").messages()
    assert [m.id for m in logged] == [m.id for m in result["messages"]]
    assert logged[-1].text == "Parcel 42."


@pytest.mark.parametrize("turns", [30, pytest.param(60, marks=pytest.mark.slow)])
async def test_many_turns_keep_the_question_and_the_first_instruction(
    scripted: Any, call: Any, faults: Any, turns: int
) -> None:
    first = "From now on answer in French and never name prices."

    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        return AIMessage(f"Réponse {n}: {'mot ' * 40}") if n % 3 == 2 else step(n, call)

    memory = AgentMemory.open("memory:", namespace="acme", budget=4_000)
    model = scripted(answer=answer)
    agent = create_agent(
        model,
        [look_up],
        system_prompt="You find parcels.",
        middleware=[CtxplugMiddleware(memory)],
        checkpointer=InMemorySaver(),
    )
    for turn in range(turns):
        question = first if turn == 0 else f"Question {turn} about parcel 编号 {turn * 17}?"
        seen = len(model.sent)
        await agent.ainvoke({"messages": [HumanMessage(question)]}, CONFIG)
        for sent in model.sent[seen:]:
            texts = [m.text for m in sent if m.type == "human"]
            assert any(text.startswith(question) for text in texts)
            assert any(text.startswith(first) for text in texts)
    check_requests(memory, model.sent, 4_000, faults)


def test_calls_that_cannot_be_read_stay_valid(scripted: Any, call: Any, faults: Any) -> None:
    bad = {"name": "look_up", "args": '{"number": ', "error": "cut", "type": "invalid_tool_call"}

    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        if n == 0:
            return AIMessage(
                "", tool_calls=[call("a", number=1)], invalid_tool_calls=[{**bad, "id": "b"}]
            )
        if n == 1:
            return AIMessage("", invalid_tool_calls=[{**bad, "id": None}])
        return AIMessage("done")

    model = scripted(answer=answer)
    middleware = CtxplugMiddleware("memory:", namespace="acme")
    agent = create_agent(model, [look_up], middleware=[middleware], checkpointer=InMemorySaver())
    for text in ("one", "two", "three"):
        agent.invoke({"messages": [HumanMessage(text)]}, CONFIG)
    assert len(model.sent) == 4
    assert [faults(sent) for sent in model.sent] == [[]] * 4
    assert '{"number": ' in str(model.sent[-1])


def test_a_system_message_in_the_state_stays(scripted: Any, faults: Any) -> None:
    model = scripted(answer=lambda messages, n: AIMessage("word " * 150))
    memory = AgentMemory.open("memory:", namespace="acme", budget=2_000)
    agent = create_agent(
        model,
        [],
        system_prompt="You find parcels.",
        middleware=[CtxplugMiddleware(memory)],
        checkpointer=InMemorySaver(),
    )
    rule = SystemMessage("绝不透露价格。")
    agent.invoke({"messages": [rule, HumanMessage("hi")]}, CONFIG)
    for n in range(30):
        agent.invoke({"messages": [HumanMessage(f"question {n}")]}, CONFIG)
    for sent in model.sent:
        assert [m.text for m in sent[:2]] == ["You find parcels.", "绝不透露价格。"]
        assert faults(sent) == []
