"""Long runs of every kind of agent: each request valid and within budget, with what must stay."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ctxplug_llamaindex import CtxplugMemory, bounded, to_messages
from llama_index.core.agent.workflow import (
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.workflow import Context

from ctxplug.tokens import count_tools

pytestmark = [  # LlamaIndex's own: making an agent reads every attribute of pydantic's classes
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
]

LENGTHS = pytest.mark.parametrize(
    "turns", [20, pytest.param(200, marks=pytest.mark.slow)], ids=["short", "long"]
)
PROMPT = "You find parcels. 你负责查找包裹。"
FIRST = "From now on answer in French and never name prices. 绝不透露价格。"


def look_up(number: int) -> str:
    """Look up one parcel by its number. 按编号查包裹。"""
    return f"Parcel {number}: 状态 delayed at {number % 24}:15, weight {number * 7} g. " * 6


def memory_of(budget: int = 4_000, target: Any = "memory:") -> CtxplugMemory:
    return CtxplugMemory.from_defaults(target, namespace="acme", session="t1", budget=budget)


def counted(memory: CtxplugMemory, sent: Sequence[ChatMessage], tools: Sequence[Any]) -> int:
    counter = memory.memory.counter
    dicts = [tool.metadata.to_openai_tool() for tool in tools]
    messages = sum(counter.count(message) for message in to_messages(sent))
    return messages + count_tools(counter, dicts) + counter.request_tokens


def check(memory: CtxplugMemory, model: Any, faults: Any) -> None:
    """Every list that the model was sent is valid, within budget, and begins with its prompt."""
    assert model.sent
    for sent, tools in zip(model.sent, model.tools, strict=True):
        assert faults(sent) == []
        assert counted(memory, sent, tools) <= memory.memory.budget
        assert PROMPT in (sent[0].content or "")


def question(turn: int) -> str:
    if turn == 0:
        return FIRST
    return f"Where is parcel {turn}?" if turn % 2 else f"编号 {turn} 的包裹在哪里？"


def texts(messages: Sequence[ChatMessage], role: str) -> list[str]:
    return [message.content or "" for message in messages if message.role == role]


def answering(calling: Any) -> Any:
    """What a model says: calls, one to three at a time, then an answer."""

    def answer(messages: list[ChatMessage], n: int) -> Any:
        if messages[-1].role == "tool":
            return f"Réponse {n}: {'mot ' * 20}"
        calls = [(f"c{n}_{i}", "look_up", {"number": n * 3 + i}) for i in range(1 + n % 3)]
        return calling(*calls, text="查一下。" if n % 2 else "")

    return answer


async def talk(agent: Any, ctx: Any, memory: CtxplugMemory, model: Any, turns: int) -> None:
    """Ask `turns` questions; each request must hold the question of its turn."""
    for turn in range(turns):
        seen = len(model.sent)
        await agent.run(question(turn), ctx=ctx, memory=memory)
        for sent in model.sent[seen:]:
            assert any(text.startswith(question(turn)) for text in texts(sent, "user"))


@pytest.mark.parametrize("turns", [30, pytest.param(200, marks=pytest.mark.slow)])
async def test_many_turns_and_on_in_another_process(
    scripted: Any, calling: Any, faults: Any, tmp_path: Path, turns: int
) -> None:
    model, memory = scripted(answering(calling)), memory_of(4_000, tmp_path / "agent.db")
    agent = bounded(FunctionAgent(tools=[look_up], llm=model.llm, system_prompt=PROMPT))
    ctx = Context(agent)
    await talk(agent, ctx, memory, model, turns)
    check(memory, model, faults)
    assert len(model.sent) == 2 * turns
    logged = memory.memory.messages()
    assert [m.text for m in logged if m.role == "user"] == [question(n) for n in range(turns)]
    results = [result for message in logged for result in message.tool_results]
    assert len(results) == sum(1 + n % 3 for n in range(0, 2 * turns, 2))
    assert await ctx.store.get("scratchpad") == []
    saved = json.dumps(ctx.to_dict())
    assert len(saved) < 10_000, "a context names its memory, and does not hold it"
    here = [[m.role.value, m.content or ""] for m in memory.get()]
    found = go_on(saved)
    assert (found["kind"], found["session"]) == ("CtxplugMemory", "t1")
    assert found["logged"] == len(logged) + 2
    sent = found["sent"][0]
    assert sent[0] == ["system", PROMPT]
    same = sum(one == other for one, other in zip(sent[1:], here, strict=False))
    assert same == len(here) or same < len(here) > len(sent) - 2, "the same window, or compacted"
    assert sent[-1][1].startswith("And the last one? 最后一个呢？")
    assert memory.get_all()[-1].content == "Still in French. 好的。", "one log for both"
    memory.close()


async def test_without_streaming(scripted: Any, calling: Any, faults: Any) -> None:
    model, memory = scripted(answering(calling)), memory_of(3_000)
    agent = bounded(
        FunctionAgent(tools=[look_up], llm=model.llm, system_prompt=PROMPT, streaming=False)
    )
    await talk(agent, Context(agent), memory, model, 25)
    check(memory, model, faults)


async def test_one_question_and_a_long_tool_loop(scripted: Any, calling: Any, faults: Any) -> None:
    def answer(messages: list[ChatMessage], n: int) -> Any:
        return "Parcel 42." if n == 100 else calling((f"c{n}", "look_up", {"number": n}))

    async def run(make: Any, memory: Any) -> Any:
        model = scripted(answer)
        agent = make(FunctionAgent(tools=[look_up], llm=model.llm, system_prompt=PROMPT))
        asked = "Which parcel is late? 哪个包裹晚了？"
        result = await agent.run(asked, memory=memory, max_iterations=200)
        assert result.response.content == "Parcel 42."
        assert len(result.tool_calls) == 100
        return model

    memory = memory_of(6_000)
    model = await run(bounded, memory)
    check(memory, model, faults)
    for n, sent in enumerate(model.sent[1:]):
        assert texts(sent, "user")[0].startswith("Which parcel is late? 哪个包裹晚了？")
        assert texts(sent, "tool")[-1] == look_up(n), "the newest result is whole"
    stock = await run(lambda agent: agent, memory_of(6_000))
    sizes = [counted(memory, *both) for both in zip(stock.sent, stock.tools, strict=True)]
    assert max(sizes) > 1.5 * 6_000, "the scratchpad is outside of every memory"


def react(messages: list[ChatMessage], n: int) -> str:
    """What a ReAct model says: each third time an answer, else an action; once in ten nonsense."""
    last = messages[-1].content or ""
    if n % 10 == 7 and "Error while parsing" not in last:
        return "Thought: 我不知道格式"
    if last.startswith("Observation:") and n % 3 == 0:
        return f"Thought: 够了 {n}\nAnswer: Parcel {n}."
    return f'Thought: look at {n}\nAction: look_up\nAction Input: {{"number": {n}}}'


@LENGTHS
async def test_react_agents(scripted: Any, faults: Any, turns: int) -> None:
    model, memory = scripted(react), memory_of(3_000)
    agent = bounded(ReActAgent(tools=[look_up], llm=model.llm, system_prompt=PROMPT))
    ctx = Context(agent)
    for turn in range(turns):
        result = await agent.run(question(turn), ctx=ctx, memory=memory, max_iterations=40)
        assert (result.response.content or "").startswith("Parcel ")
    check(memory, model, faults)
    assert all(message.role in ("system", "user", "assistant") for s in model.sent for message in s)
    assert any("Observation: Parcel" in text for text in texts(model.sent[-1], "user"))
    logged = memory.memory.messages()
    calls = [call for message in logged for call in message.tool_calls]
    answered = {r.call_id for message in logged for r in message.tool_results}
    assert len(calls) > turns
    assert {call.id for call in calls} == answered, "calls are calls in the log, not text"
    assert calls[0].name == "look_up"


@LENGTHS
async def test_code_agents(scripted: Any, faults: Any, turns: int) -> None:
    def answer(messages: list[ChatMessage], n: int) -> str:
        if n % 3 == 2:
            return f"Parcel {n}. 就是它。"
        return f"Let me see.\n<execute>\nprint(look_up({n}))\n</execute>"

    ran: list[str] = []

    def execute(code: str) -> str:
        ran.append(code)
        return look_up(len(ran))

    model, memory = scripted(answer), memory_of(3_000)
    agent = bounded(
        CodeActAgent(code_execute_fn=execute, tools=[look_up], llm=model.llm, system_prompt=PROMPT)
    )
    memory.put(ChatMessage(role="system", content="Parcels of 里斯本 only."))
    ctx = Context(agent)
    for turn in range(turns):
        await agent.run(question(turn), ctx=ctx, memory=memory)
    check(memory, model, faults)
    assert len(ran) == 2 * turns
    for sent in model.sent:
        assert texts(sent, "system")[1:] == ["Parcels of 里斯本 only."], "the agent overwrites it"
    assert "<execute>\nprint(look_up(" in texts(model.sent[-1], "assistant")[-1]
    assert (
        texts(model.sent[-1], "user")[-1]
        == f"Result of executing the code given:\n\n{look_up(2 * turns)}"
    )


@LENGTHS
async def test_workflows_with_handoff(scripted: Any, calling: Any, faults: Any, turns: int) -> None:
    def answer(messages: list[ChatMessage], n: int) -> Any:
        kind = n % 4
        if kind == 1:
            to = "Tracker" if "Sorter" in (messages[0].content or "") else "Sorter"
            return calling((f"h{n}", "handoff", {"to_agent": to, "reason": "换人"}))
        if kind == 3:
            return f"Done {n}. {'word ' * 30}"
        return calling((f"c{n}", "look_up", {"number": n}), (f"d{n}", "look_up", {"number": n + 1}))

    model, memory = scripted(answer), memory_of(3_000)

    def agent(name: str, length: int) -> FunctionAgent:
        prompt = f"{PROMPT} You are {name}. " + "Be brief. " * length
        return FunctionAgent(
            name=name,
            description=f"{name} of parcels",
            tools=[look_up],
            llm=model.llm,
            system_prompt=prompt,
        )

    workflow = bounded(
        AgentWorkflow(agents=[agent("Sorter", 2), agent("Tracker", 200)], root_agent="Sorter")
    )
    ctx = Context(workflow)
    for turn in range(turns):
        result = await workflow.run(question(turn), ctx=ctx, memory=memory)
        assert (result.response.content or "").startswith("Done")
    check(memory, model, faults)
    prompts = {sent[0].content or "" for sent in model.sent}
    assert sorted(len(prompt) > 1_000 for prompt in prompts) == [False, True], "both took part"


RESUMED = '''
import asyncio, json, sys
from ctxplug_llamaindex import bounded
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.workflow import Context

sent = []

def say(messages, **_):
    sent.append([[m.role.value, m.content or ""] for m in messages])
    return ChatMessage(role="assistant", content="Still in French. 好的。")

def look_up(number: int) -> str:
    """Look up one parcel by its number. 按编号查包裹。"""
    return "found"

async def main():
    agent = bounded(FunctionAgent(
        tools=[look_up], llm=MockFunctionCallingLLM(response_generator=say),
        system_prompt="You find parcels. 你负责查找包裹。"))
    ctx = Context.from_dict(agent, json.load(sys.stdin))
    await agent.run("And the last one? 最后一个呢？", ctx=ctx)
    memory = await ctx.store.get("memory")
    print(json.dumps({"sent": sent, "kind": type(memory).__name__,
                      "session": memory.memory.session.id,
                      "logged": len(memory.memory.messages())}))

asyncio.run(main())
'''


def go_on(saved: str) -> Any:
    """Go on with a saved context in a process of its own, and return what it saw."""
    child = subprocess.run(
        [sys.executable, "-c", RESUMED],
        input=saved,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(child.stdout)


CRASHING = """
import asyncio, os, sys
from ctxplug_llamaindex import CtxplugMemory, bounded
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM

asked = []

def say(messages, **_):
    n = len(asked)
    asked.append(n)
    call = ToolCallBlock(tool_call_id=f"c{n}", tool_name="fall", tool_kwargs={"number": n})
    return ChatMessage(role="assistant", blocks=[call])

def fall(number: int) -> str:
    if number == 3:
        os._exit(9)
    return f"Parcel {number} 到了"

async def main():
    memory = CtxplugMemory.from_defaults(sys.argv[1], namespace="acme", session_id="t1")
    agent = bounded(FunctionAgent(tools=[fall], llm=MockFunctionCallingLLM(response_generator=say)))
    await agent.run("Where are they? 它们在哪里？", memory=memory)

asyncio.run(main())
"""


async def test_what_a_crash_leaves(scripted: Any, faults: Any, tmp_path: Path) -> None:
    target = tmp_path / "agent.db"
    child = subprocess.run([sys.executable, "-c", CRASHING, str(target)], timeout=120)
    assert child.returncode == 9
    memory = memory_of(target=target)
    said = [message.role.value for message in memory.get_all()]
    assert said == ["user", *["assistant", "tool"] * 3, "assistant"]
    model = scripted(lambda messages, n: "Two are there.")
    agent = bounded(FunctionAgent(tools=[look_up], llm=model.llm, system_prompt=PROMPT))
    await agent.run("And now? 现在呢？", memory=memory)
    check(memory, model, faults)
    assert texts(model.sent[0], "tool")[:3] == [f"Parcel {n} 到了" for n in range(3)]
    memory.close()
