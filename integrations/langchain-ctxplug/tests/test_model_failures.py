"""Model calls that fail are steps of the memory's trace, and go on their way."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_ctxplug import CtxplugMiddleware

from ctxplug import AgentMemory

CONFIG: Any = {"configurable": {"thread_id": "t1"}}


def answer(messages: list[Any], n: int) -> Any:
    if n == 0:
        return ConnectionError("the line is dead")
    usage = {"input_tokens": 20, "output_tokens": 3, "total_tokens": 23}
    return AIMessage(f"Hello {n}", usage_metadata=usage)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_failing_model_is_a_step(scripted: Any, mode: str) -> None:
    memory = AgentMemory.open("memory:", namespace="acme")
    agent = create_agent(scripted(answer=answer), middleware=[CtxplugMiddleware(memory)])

    async def ask(text: str) -> Any:
        given: Any = {"messages": [HumanMessage(text)]}
        if mode == "sync":
            return agent.invoke(given, CONFIG)
        return await agent.ainvoke(given, CONFIG)

    with pytest.raises(ConnectionError, match="dead"):
        await ask("Hi 你好")
    await ask("Hi again")
    steps = [step for info in memory.sessions() for step in memory.trace.steps(session=info.id)]
    models = {step.outcome: step for step in steps if step.kind == "model"}
    assert models["error"].error == "ConnectionError: the line is dead"
    assert models["ok"].tokens == 23
    windows = [step for step in steps if step.kind == "window"]
    assert len(windows) == 2
    assert all(memory.trace.window(step).exact for step in windows)
