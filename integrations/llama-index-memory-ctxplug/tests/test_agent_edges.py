"""What a bounded agent does where runs stop, states are large, or things are not as they should."""

import json
from typing import Any

import pytest
from ctxplug_llamaindex import CtxplugMemory, bounded, to_messages
from llama_index.core.agent.react.types import (
    ActionReasoningStep,
    ObservationReasoningStep,
    ResponseReasoningStep,
)
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context
from llama_index.core.workflow.errors import WorkflowRuntimeError

from ctxplug import BudgetError
from ctxplug.errors import InvalidValueError
from ctxplug.tokens import count_tools

pytestmark = [  # LlamaIndex's own: making an agent reads every attribute of pydantic's classes
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step"),
]


def look_up(number: int) -> str:
    """Look up one parcel by its number. 按编号查包裹。"""
    return f"Parcel {number}: 状态 delayed, weight {number * 7} g. " * 6


def memory_of(budget: int = 3_000) -> CtxplugMemory:
    return CtxplugMemory.from_defaults(namespace="acme", session_id="t1", token_limit=budget)


def filled(memory: CtxplugMemory, share: float = 0.85) -> CtxplugMemory:
    """A memory whose window takes `share` of the budget."""
    n, most = 0, share * memory.memory.budget
    while sum(one.tokens for one in memory.memory.session.log()) < most:
        memory.put(ChatMessage(role="user", content=f"Question {n}: {'word ' * 20}"))
        memory.put(ChatMessage(role="assistant", content=f"回答 {n}：{'好的' * 20}"))
        n += 1
    return memory


def counted(memory: CtxplugMemory, sent: list[ChatMessage], tools: list[Any]) -> int:
    counter = memory.memory.counter
    dicts = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
    tokens = sum(map(counter.count, to_messages(sent))) + count_tools(counter, dicts)
    return tokens + counter.request_tokens


def check(memory: CtxplugMemory, model: Any, faults: Any) -> None:
    for sent, tools in zip(model.sent, model.tools, strict=True):
        assert faults(sent) == []
        assert counted(memory, sent, tools) <= memory.memory.budget


async def test_a_state_fits_too_and_is_not_remembered(scripted: Any, faults: Any) -> None:
    state = {"cart": ["番茄 tomatoes"] * 120}
    model, memory = scripted(lambda messages, n: f"ok {n}"), filled(memory_of())
    agent = bounded(FunctionAgent(llm=model.llm, initial_state=state, system_prompt="Sell."))
    ctx = Context(agent)
    for turn in range(30):
        await agent.run(f"And now? 第{turn}次", ctx=ctx, memory=memory)
    check(memory, model, faults)
    assert all("番茄 tomatoes" in (sent[-1].content or "") for sent in model.sent)
    assert all(f"第{n}次" in (sent[-1].content or "") for n, sent in enumerate(model.sent))
    assert "番茄" not in "".join(message.text for message in memory.memory.messages())


async def test_a_state_is_written_beside_the_question_though_an_image_follows_it(
    scripted: Any, faults: Any
) -> None:
    model, memory = scripted(lambda messages, n: "A cat. 一只猫。"), memory_of()
    memory.memory.remember("The cat in the pictures is called Mimi")
    agent = bounded(FunctionAgent(llm=model.llm, initial_state={"page": 7}))
    asked = [TextBlock(text="Which cat is it?"), ImageBlock(url="https://example.org/cat.png")]
    await agent.run(ChatMessage(role="user", blocks=asked), memory=memory)
    text, image = model.sent[0][-1].blocks
    assert text.text.index("Current message:\nWhich cat is it?") < text.text.index("called Mimi")
    assert isinstance(image, ImageBlock)
    assert memory.get_all()[0].blocks == asked and faults(model.sent[0]) == []


async def test_what_does_not_fit_is_said_with_numbers(scripted: Any) -> None:
    model, memory = scripted(lambda messages, n: "ok"), memory_of(2_000)
    state = {"cart": "tomatoes " * 4_000}
    agent = bounded(FunctionAgent(llm=model.llm, initial_state=state))
    with pytest.raises(BudgetError) as caught:
        await agent.run("And now?", memory=memory)
    assert caught.value.budget == 2_000 < caught.value.needed
    assert model.sent == []


async def test_tools_and_prompt_count_from_the_first_request_on(scripted: Any, faults: Any) -> None:
    tools = [
        FunctionTool.from_defaults(look_up, name=f"tool_{n}", description="包裹 parcel " * 20)
        for n in range(12)
    ]
    model, memory = scripted(lambda messages, n: "ok"), filled(memory_of())
    agent = bounded(FunctionAgent(llm=model.llm, tools=tools, system_prompt="Be brief. " * 50))
    await agent.run("Where is it? 在哪里？", memory=memory)
    check(memory, model, faults)
    assert counted(memory, [], model.tools[0]) > 1_000


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
@pytest.mark.parametrize("workflow", [False, True])
async def test_a_run_that_is_stopped(
    scripted: Any, calling: Any, faults: Any, kind: Any, workflow: bool
) -> None:
    def answer(messages: list[ChatMessage], n: int) -> Any:
        if "maximum number of iterations" in (messages[-1].content or "") or stop:
            return "Thought: 够了\nAnswer: That is all."
        if kind is ReActAgent:
            return f'Thought: 看看\nAction: look_up\nAction Input: {{"number": {n}}}'
        return calling((f"c{n}", "look_up", {"number": n}))

    stop = False
    model, memory = scripted(answer), filled(memory_of())
    agent = kind(tools=[look_up], llm=model.llm, system_prompt="You find parcels. 查包裹。")
    runner = bounded(AgentWorkflow(agents=[agent]) if workflow else agent)
    ctx = Context(runner)
    with pytest.raises(WorkflowRuntimeError, match="Max iterations"):
        await runner.run("Where? 在哪？", ctx=ctx, memory=memory, max_iterations=4)
    ctx = Context(runner)
    options = {"max_iterations": 4, "early_stopping_method": "generate"}
    result = await runner.run("And where? 又在哪？", ctx=ctx, memory=memory, **options)
    assert "That is all." in (result.response.content or "")
    stop = True
    await runner.run("Thanks. 谢谢。", ctx=ctx, memory=memory)
    assert len(model.sent) == 4 + 5 + 1
    lists = [[m for m in sent[:-1]] if sent[-1].role == "system" else sent for sent in model.sent]
    assert [faults(sent) for sent in lists] == [[]] * 10
    sizes = [counted(memory, *both) for both in zip(model.sent, model.tools, strict=True)]
    assert max(sizes) <= memory.memory.budget
    if kind is ReActAgent:
        assert {m.role.value for sent in model.sent for m in sent} == {
            "system",
            "user",
            "assistant",
        }


async def test_a_result_that_is_the_answer(scripted: Any, calling: Any, faults: Any) -> None:
    def price(number: int) -> str:
        """Say a price. 报价。"""
        if number < 0:
            raise ValueError("no such number")
        return f"{number} 欧元"

    def answer(messages: list[ChatMessage], n: int) -> Any:
        if n == 0:
            return calling(*((f"c{i}", "price", {"number": i}) for i in (7, 8)))
        if n == 1:
            return calling(("d", "price", {"number": -1}))
        return "Done."

    model, memory = scripted(answer), memory_of()
    tool = FunctionTool.from_defaults(price, return_direct=True)
    agent = bounded(FunctionAgent(tools=[tool], llm=model.llm))
    ctx = Context(agent)
    result = await agent.run("How much? 多少钱？", ctx=ctx, memory=memory)
    assert result.response.content == "7 欧元"
    await agent.run("And below zero?", ctx=ctx, memory=memory)
    check(memory, model, faults)
    roles = [message.role.value for message in memory.get_all()]
    once = ["user", "assistant", "tool"]
    assert roles == [*once, "tool", "assistant", *once, "assistant"]
    assert model.sent[-1][-1].role == "tool", "an error is no answer, so the model goes on"


async def test_a_context_of_an_agent_that_was_not_bounded(
    scripted: Any, calling: Any, faults: Any
) -> None:
    loop = [
        calling(("c1", "look_up", {"number": 1})),
        ChatMessage(role="tool", content="found 找到", additional_kwargs={"tool_call_id": "c1"}),
    ]
    model, memory = scripted(lambda messages, n: "ok"), memory_of()
    agent = bounded(FunctionAgent(tools=[look_up], llm=model.llm, system_prompt="Find."))
    ctx = Context(agent)
    await ctx.store.set("scratchpad", loop)
    await agent.run("Go on", ctx=ctx, memory=memory)
    check(memory, model, faults)
    assert [m.content for m in memory.get_all() if m.role == "tool"] == ["found 找到"]
    assert await ctx.store.get("scratchpad") == []


@pytest.mark.parametrize("stopped", [True, False])
async def test_reasoning_that_a_run_has_left(scripted: Any, faults: Any, stopped: bool) -> None:
    action = ActionReasoningStep(thought="看看", action="look_up", action_input={"number": 1})
    left = [action, ObservationReasoningStep(observation="found 找到")]
    if stopped:
        left = [ResponseReasoningStep(thought="够了", response="Never sent")]
    model, memory = scripted(lambda messages, n: "Thought: 好\nAnswer: ok"), memory_of()
    agent = bounded(ReActAgent(tools=[look_up], llm=model.llm, system_prompt="Find."))
    ctx = Context(agent)
    await ctx.store.set("current_reasoning", left)
    await agent.run("Go on", ctx=ctx, memory=memory)
    check(memory, model, faults)
    sent = [message.content for message in model.sent[0][1:]]
    steps = [] if stopped else [left[0].get_content(), "Observation: found 找到"]
    assert sent == ["Go on", *steps]
    assert [call.name for m in memory.memory.messages() for call in m.tool_calls] == (
        [] if stopped else ["look_up"]
    )
    assert memory.get_all()[-1].content == "Thought: 好\nAnswer: ok"


async def test_a_context_is_saved_in_the_middle_of_a_loop(
    scripted: Any, calling: Any, faults: Any
) -> None:
    saved: list[Any] = []

    def look(number: int) -> str:
        """Look."""
        saved.append(json.dumps(ctx.to_dict()))
        return "found 找到"

    def answer(messages: list[ChatMessage], n: int) -> Any:
        return calling((f"c{n}", "look", {"number": n})) if n < 2 else "ok"

    model, memory = scripted(answer), memory_of()
    agent = bounded(FunctionAgent(tools=[look], llm=model.llm, system_prompt="Find."))
    ctx = Context(agent)
    await agent.run("Go", ctx=ctx, memory=memory)
    again = Context.from_dict(agent, json.loads(saved[-1]))
    assert await again.store.get("memory") is not None
    await agent.run("And? 然后呢？", ctx=Context.from_dict(agent, ctx.to_dict()))
    check(memory, model, faults)
    assert memory.get_all()[-2].content == "And? 然后呢？"


async def test_react_keeps_system_messages_of_the_memory(scripted: Any) -> None:
    model, memory = scripted(lambda messages, n: "Thought: 好\nAnswer: ok"), memory_of()
    memory.put(ChatMessage(role="system", content="绝不透露价格。"))
    await bounded(ReActAgent(llm=model.llm)).run("hi", memory=memory)
    assert [m.content for m in model.sent[0] if m.role == "system"][1:] == ["绝不透露价格。"]
    stock = scripted(lambda messages, n: "Thought: 好\nAnswer: ok")
    await ReActAgent(llm=stock.llm).run("hi", memory=memory)
    assert "绝不透露价格。" not in str(stock.sent[0]), "the agent drops what is not its own"


async def test_agents_stay_what_they_are(scripted: Any) -> None:
    class Polite(FunctionAgent):
        async def take_step(self, ctx: Any, llm_input: Any, tools: Any, memory: Any) -> Any:
            asked = ChatMessage(role="user", content="请客气一点。")
            return await super().take_step(ctx, [*llm_input, asked], tools, memory)

    model = scripted(lambda messages, n: "ok")
    agent = Polite(llm=model.llm, name="polite")
    assert bounded(agent) is agent
    assert bounded(agent) is agent
    assert isinstance(agent, Polite)
    assert type(agent).__mro__.count(Polite) == 1
    assert type(bounded(Polite(llm=model.llm))) is type(agent), "one class for all of a kind"
    assert agent.model_dump(include={"name"}) == {"name": "polite"}
    await agent.run("hi", memory=memory_of())
    assert model.sent[0][-1].content == "请客气一点。"


async def test_what_cannot_be_bounded_says_so(scripted: Any) -> None:
    with pytest.raises(InvalidValueError, match="FunctionAgent"):
        bounded("an agent")
    model = scripted(lambda messages, n: "ok")
    agent = bounded(FunctionAgent(llm=model.llm))
    with pytest.raises(InvalidValueError, match="ChatMemoryBuffer"):
        await agent.run("hi")
    assert model.sent == []


async def test_a_loop_far_longer_than_the_budget_goes_on(
    scripted: Any, calling: Any, faults: Any
) -> None:
    def answer(messages: list[ChatMessage], n: int) -> Any:
        return calling((f"c{n}", "look_up", {"number": n})) if n < 120 else "Done. 好了。"

    model, memory = scripted(answer), memory_of(2_500)
    agent = bounded(FunctionAgent(tools=[look_up], llm=model.llm))
    said = await agent.run("Look them all up. 全部查一遍。", memory=memory, max_iterations=200)
    assert str(said) == "Done. 好了。" and len(model.sent) == 121
    check(memory, model, faults)
    assert all("全部查一遍" in str([m.content for m in sent]) for sent in model.sent)
