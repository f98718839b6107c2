"""Known flaws of context middleware, each with what ours does and, beside it, the stock part."""

import copy
from itertools import pairwise
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    SummarizationMiddleware,
)
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.tools import tool
from langchain_ctxplug import CtxplugMiddleware
from langchain_ctxplug.messages import to_messages

from ctxplug import AgentMemory

T1: dict[str, Any] = {"configurable": {"thread_id": "t1"}}


@tool
def look_up(number: int) -> str:
    """Look up a parcel."""
    return "parcel"


def loop(call: Any, steps: int, parallel: int = 1, words: int = 60) -> list[BaseMessage]:
    said: list[BaseMessage] = []
    for n in range(steps):
        ids = [f"c{n}_{i}" for i in range(parallel)]
        said.append(AIMessage("", tool_calls=[call(id, number=n) for id in ids], id=f"a{n}"))
        said += [
            ToolMessage(f"parcel {n} " + "word " * words, tool_call_id=id, id=id) for id in ids
        ]
    return said


def ours(scripted: Any, messages: list[BaseMessage], budget: int = 3_000) -> list[BaseMessage]:
    model = scripted(answer=lambda m, n: AIMessage("ok"))
    memory = AgentMemory.open("memory:", namespace="acme", budget=budget)
    agent = create_agent(model, [look_up], middleware=[CtxplugMiddleware(memory)])
    agent.invoke({"messages": messages}, T1)
    return model.sent[0]  # type: ignore[no-any-return]


def test_one_question_and_a_long_tool_loop(scripted: Any, call: Any, faults: Any) -> None:
    talk = [HumanMessage("Which parcel is late? 哪个包裹晚了?", id="h"), *loop(call, 100)]
    sent = ours(scripted, talk)
    assert faults(sent) == []
    assert sent[0].text.startswith("Which parcel is late? 哪个包裹晚了?")
    assert sent[-1].content == talk[-1].content, "the newest result is whole"
    assert "look_up" in str(sent[1].content)
    stock = SummarizationMiddleware(
        scripted(answer=lambda m, n: AIMessage("summary")),
        trigger=("tokens", 3_000),
        keep=("messages", 4),
        trim_tokens_to_summarize=1_000,
    )
    kept = stock.before_model({"messages": talk}, None)["messages"]  # type: ignore[arg-type,index]
    assert "哪个包裹晚了" not in str(kept), "the stock part has lost the question"


def test_a_system_message_in_the_state(scripted: Any, call: Any) -> None:
    talk = [
        SystemMessage("Never name prices.", id="s"),
        HumanMessage("hi", id="h"),
        *loop(call, 50),
    ]
    assert ours(scripted, talk)[0].text == "Never name prices."
    stock = SummarizationMiddleware(
        scripted(answer=lambda m, n: AIMessage("summary")),
        trigger=("tokens", 3_000),
        keep=("messages", 4),
    )
    kept = stock.before_model({"messages": talk}, None)["messages"]  # type: ignore[arg-type,index]
    assert "Never name prices." not in [m.text for m in kept]


def test_parallel_calls_stay_with_their_results(scripted: Any, call: Any, faults: Any) -> None:
    talk = [HumanMessage("go"), *loop(call, 30, parallel=4), HumanMessage("and?")]
    assert faults(ours(scripted, talk)) == []
    broken = 0
    for budget in range(1_000, 3_000, 250):
        kept = trim_messages(talk, max_tokens=budget, token_counter=count_tokens_approximately)
        broken += bool(faults(kept))
    assert broken, "trim_messages leaves results without their calls"


def test_a_repeated_trigger_does_not_break_the_prefix_each_time(scripted: Any, call: Any) -> None:
    def breaks(middleware: Any) -> int:
        sent: list[list[Any]] = []

        def handler(request: ModelRequest[Any]) -> ModelResponse[Any]:
            sent.append([m.content for m in request.messages])
            return ModelResponse(result=[AIMessage("ok")])

        talk: list[Any] = [HumanMessage("go", id="h")]
        steps = loop(call, 80)
        for n in range(80):
            talk += steps[2 * n : 2 * n + 2]
            request = ModelRequest(model=None, messages=list(talk), state={"messages": talk})  # type: ignore[arg-type]
            middleware.wrap_model_call(request, handler)
        return sum(b[: len(a)] != a for a, b in pairwise(sent))

    memory = AgentMemory.open("memory:", namespace="acme", budget=2_000)
    assert breaks(CtxplugMiddleware(memory)) <= 80 / 4
    stock = ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=1_500)])
    assert breaks(stock) > 40


def test_nothing_is_copied_that_need_not_be(
    scripted: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk: list[Any] = [HumanMessage("go", id="h"), *loop(call, 200)]
    copied: list[Any] = []
    real = copy.deepcopy

    def counting(value: Any, *args: Any) -> Any:
        copied.append(value)
        return real(value, *args)

    def handler(request: ModelRequest[Any]) -> ModelResponse[Any]:
        assert all(any(m is own for own in talk) for m in request.messages), "the state's own"
        return ModelResponse(result=[AIMessage("ok")])

    memory = AgentMemory.open("memory:", namespace="acme", budget=50_000)
    middleware = CtxplugMiddleware(memory)
    for step in (loop(call, 202)[400:402], loop(call, 202)[402:404]):
        talk += step
        request = ModelRequest(model=None, messages=list(talk), state={"messages": talk})  # type: ignore[arg-type]
        monkeypatch.setattr(copy, "deepcopy", counting)
        middleware.wrap_model_call(request, handler)
        monkeypatch.setattr(copy, "deepcopy", real)
    assert [one for one in copied if isinstance(one, list | BaseMessage)] == []


def test_chinese_is_counted_as_chinese(scripted: Any) -> None:
    sentence = "请查一下里斯本港口的包裹还在不在，价格是多少，女儿对花生过敏。"
    talk: list[BaseMessage] = []
    for n in range(60):
        talk += [HumanMessage(f"{n} {sentence * 3}"), AIMessage(f"{n} {sentence * 3}")]
    talk.append(HumanMessage("所以呢?"))
    counter = AgentMemory.open("memory:", namespace="acme").counter

    def tokens(messages: list[BaseMessage]) -> int:
        return sum(counter.count(m) for m in to_messages(messages))

    assert tokens(ours(scripted, talk)) <= 3_000
    stock = trim_messages(talk, max_tokens=3_000, token_counter=count_tokens_approximately)
    assert tokens(stock) > 3_000 * 1.5
