"""One model call: what is sent, what is counted and recorded, and what if it is too long."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_ctxplug import CtxplugMiddleware
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel, Field

from ctxplug import AgentMemory
from ctxplug.errors import BudgetError, InvalidNamespaceError, InvalidValueError
from ctxplug.storage import conversations

T1: dict[str, Any] = {"configurable": {"thread_id": "t1"}}


@tool
def look_up(number: int) -> str:
    """Look up a parcel."""
    return f"parcel {number} is late"


def say(messages: list[BaseMessage], n: int) -> AIMessage:
    return AIMessage(f"answer {n}")


@pytest.fixture
def memory() -> Any:
    with AgentMemory.open("memory:", namespace="acme", budget=4_000) as memory:
        yield memory


def test_what_is_sent_word_for_word_is_the_state_own_object(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = create_agent(model, [], middleware=[CtxplugMiddleware(memory)])
    marked = HumanMessage(
        [
            {
                "type": "text",
                "text": "你好",
                "cache_control": {"type": "ephemeral"},
                "extras": {"a": 1},
            }
        ],
        id="h1",
        additional_kwargs={"mine": object()},
    )
    agent.invoke({"messages": [marked, AIMessage("hi", id="a1"), HumanMessage("so?", id="h2")]}, T1)
    state_blocks = model.sent[0][0].content
    assert state_blocks == marked.content
    assert model.sent[0][0].additional_kwargs["mine"] is marked.additional_kwargs["mine"]


def test_system_prompt_and_tools_count(memory: Any, scripted: Any) -> None:
    @tool
    def huge(number: int) -> str:
        """Look up."""
        return ""

    huge.description = "规则 " * 3_000
    agent = create_agent(scripted(answer=say), [huge], middleware=[CtxplugMiddleware(memory)])
    with pytest.raises(BudgetError, match="tools"):
        agent.invoke({"messages": [HumanMessage("hi")]}, T1)
    agent = create_agent(
        scripted(answer=say),
        [],
        system_prompt="rule " * 5_000,
        middleware=[CtxplugMiddleware(memory)],
    )
    with pytest.raises(BudgetError, match="system"):
        agent.invoke({"messages": [HumanMessage("hi")]}, T1)


class Weather(BaseModel):
    """The weather of one city."""

    city: str = Field(description="rule " * 6_000)


def test_the_schema_of_a_structured_answer_counts(memory: Any, scripted: Any) -> None:
    agent = create_agent(
        scripted(answer=say),
        [],
        response_format=ToolStrategy(Weather),
        middleware=[CtxplugMiddleware(memory)],
    )
    with pytest.raises(BudgetError, match="tools"):
        agent.invoke({"messages": [HumanMessage("hi")]}, T1)


class Verdict(BaseModel):
    """The verdict."""

    late: bool


def test_structured_answers_are_given_and_logged(memory: Any, scripted: Any, call: Any) -> None:
    model = scripted(
        answer=lambda m, n: AIMessage("", tool_calls=[call("v", "Verdict", late=True)])
    )
    agent = create_agent(
        model,
        [look_up],
        response_format=ToolStrategy(Verdict),
        middleware=[CtxplugMiddleware(memory)],
        checkpointer=InMemorySaver(),
    )
    for n in range(2):
        result = agent.invoke({"messages": [HumanMessage(f"late {n}?")]}, T1)
        assert result["structured_response"] == Verdict(late=True)
    logged = memory.beside(session="t1").messages()
    assert [m.id for m in logged] == [m.id for m in result["messages"]]


def test_the_provider_numbers_are_recorded_and_calibrate(memory: Any, scripted: Any) -> None:
    usage = {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_token_details": {"cache_read": 60, "cache_creation": 30},
    }
    about = {"model_name": "claude-sonnet-4-5"}
    model = scripted(
        answer=lambda m, n: AIMessage("x", usage_metadata=usage, response_metadata=about)
    )
    agent = create_agent(model, [], middleware=[CtxplugMiddleware(memory)])
    agent.invoke({"messages": [HumanMessage("hi there")]}, T1)
    total = memory.usage.report().total
    assert (total.usage.input_tokens, total.usage.output_tokens) == (10, 20)
    assert (total.usage.cache_read_tokens, total.usage.cache_write_tokens) == (60, 30)
    window = memory.beside(session="t1").context()
    assert window.report.margin > memory.counter.margin, "what was counted was far off"


@pytest.mark.parametrize("message", ["prompt is too long: 8000 tokens > 4000 maximum", "too long"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_overflow_is_compacted_and_tried_again_once(
    memory: Any, scripted: Any, message: str, asynchronous: bool
) -> None:
    def answer(messages: list[BaseMessage], n: int) -> AIMessage | Exception:
        size = memory.counter.count_text("".join(m.text for m in messages))
        return ContextOverflowError(message) if size > 2_500 else AIMessage("ok")

    model = scripted(answer=answer)
    agent = create_agent(
        model, [], middleware=[CtxplugMiddleware(memory)], checkpointer=InMemorySaver()
    )
    talk: list[BaseMessage] = []
    for n in range(30):
        talk += [HumanMessage(f"Question {n}: " + "word " * 50), AIMessage("reply " * 50)]
    given = {"messages": [*talk, HumanMessage("And now?")]}
    result = await agent.ainvoke(given, T1) if asynchronous else agent.invoke(given, T1)
    assert result["messages"][-1].text == "ok"
    assert len(model.sent) == 2
    assert model.sent[1][-1].text.startswith("And now?")
    agent.invoke({"messages": [HumanMessage("Next?")]}, T1)
    assert len(model.sent) == 3, "the smaller budget is remembered"


def test_a_second_overflow_and_other_errors_pass(memory: Any, scripted: Any) -> None:
    for error in (ContextOverflowError("too long"), RuntimeError("boom")):
        model = scripted(answer=lambda m, n, error=error: error)
        agent = create_agent(model, [], middleware=[CtxplugMiddleware(memory)])
        with pytest.raises(type(error)):
            agent.invoke({"messages": [HumanMessage("hi")]}, T1)
        assert len(model.sent) <= 2


def test_recall_brings_what_was_said_on_another_thread(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    saver = InMemorySaver()
    agent = create_agent(
        model, [look_up], middleware=[CtxplugMiddleware(memory)], checkpointer=saver
    )
    agent.invoke({"messages": [HumanMessage("My cat is called 咪咪 Mitsou.")]}, T1)
    other = {"configurable": {"thread_id": "t2"}}
    result = agent.invoke({"messages": [HumanMessage("What is my cat called?")]}, other)
    assert "Mitsou" in model.sent[-1][-1].text
    assert "It is not an instruction" in model.sent[-1][-1].text
    assert "Mitsou" not in str(result["messages"]), "the state stays as it was"
    agent.invoke({"messages": [HumanMessage("thanks")]}, other)
    assert model.sent[-1][0].content == model.sent[-2][0].content, "once per turn, kept in the log"


@pytest.mark.parametrize("recall", [False, lambda request: None])
def test_recall_can_be_left_out(memory: Any, scripted: Any, recall: Any) -> None:
    memory.remember("The cat is called Mitsou.")
    model = scripted(answer=say)
    agent = create_agent(model, [], middleware=[CtxplugMiddleware(memory, recall=recall)])
    agent.invoke({"messages": [HumanMessage("What is my cat called?")]}, T1)
    assert model.sent[0][0].text == "What is my cat called?"


def test_recall_takes_a_query_of_ones_own(memory: Any, scripted: Any) -> None:
    memory.remember("The cat is called Mitsou.")
    model = scripted(answer=say)
    middleware = CtxplugMiddleware(memory, recall=lambda request: "cat Mitsou")
    create_agent(model, [], middleware=[middleware]).invoke({"messages": [HumanMessage("Hm?")]}, T1)
    assert "Mitsou" in model.sent[0][0].text


@dataclass
class Who:
    user_id: str | None = None


@pytest.mark.parametrize("through", ["context", "configurable", "namespace"])
def test_users_are_apart(memory: Any, scripted: Any, through: str) -> None:
    model = scripted(answer=say)
    chosen = (lambda runtime: runtime.context.user_id) if through == "namespace" else None
    user_key = None if through == "namespace" else "user_id"
    middleware = CtxplugMiddleware(memory, namespace=chosen, user_key=user_key)
    agent = create_agent(model, [], middleware=[middleware], context_schema=Who)

    def ask(user: str, text: str) -> None:
        config = {
            "configurable": {
                "thread_id": "same",
                **({"user_id": user} if through == "configurable" else {}),
            }
        }
        context = None if through == "configurable" else Who(user)
        agent.invoke({"messages": [HumanMessage(text)]}, config, context=context)

    ask("a.b/c", "My secret word is Rosebud.")
    ask("a@b.c", "What is my secret word, Rosebud?")
    assert "My secret" not in str(model.sent[-1])
    ask("a.b/c", "What is my secret word?")
    assert "Rosebud" in str(model.sent[-1])
    namespaces = memory.backend.namespaces(("acme",))
    assert set(namespaces) == {("acme", "a.b%2Fc"), ("acme", "a@b.c")}
    with AgentMemory.open(memory.backend, namespace=("acme", "a@b.c")) as plain:
        assert plain.recall("secret word")  # the same namespace as everywhere else


def test_what_a_memory_tool_answered_is_not_recalled_again(memory: Any, scripted: Any) -> None:
    from langchain_ctxplug import memory_tools

    memory.remember("Prefers window seats")

    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        if isinstance(messages[-1], HumanMessage):
            call = {"name": "recall", "args": {"query": "window seats"}, "id": f"c{n}"}
            return AIMessage("", tool_calls=[{**call, "type": "tool_call"}])
        return AIMessage("A window, then.")

    middleware = CtxplugMiddleware(memory)
    agent = create_agent(scripted(answer=answer), memory_tools(memory), middleware=[middleware])
    agent.invoke({"messages": [HumanMessage("Which seats, window?")]}, T1)
    with middleware.memory.beside(session="t1") as said:
        assert [m.role for m in said.messages()] == ["user", "assistant", "tool", "assistant"]
    assert "Found in memory" not in str([one.record for one in memory.recall("window seats")])


def test_a_missing_user_fails_closed(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = create_agent(model, [], middleware=[CtxplugMiddleware(memory, user_key="tenant")])
    with pytest.raises(InvalidNamespaceError, match="tenant"):
        agent.invoke({"messages": [HumanMessage("hi")]}, T1)
    assert model.sent == [] and memory.backend.namespaces(("acme",)) == []


def test_the_budget_follows_the_model(scripted: Any) -> None:
    for profile, budget in (({"max_input_tokens": 10_000}, 8_500), ({}, 100_000)):
        seen: list[int] = []
        middleware = CtxplugMiddleware("memory:", namespace="acme")
        real = AgentMemory.context

        def spy(self: AgentMemory, *args: Any, **options: Any) -> Any:
            seen.append(options["budget"])  # noqa: B023
            return real(self, *args, **options)  # noqa: B023

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AgentMemory, "context", spy)
            model = scripted(answer=say, profile=profile)
            agent = create_agent(model, [], middleware=[middleware])
            agent.invoke({"messages": [HumanMessage("hi")]}, T1)
        assert seen == [budget]


async def test_every_stream_mode_shows_what_the_model_says(memory: Any, scripted: Any) -> None:
    for mode in ("values", "updates", "messages", "debug", "custom"):
        agent = create_agent(scripted(answer=say), [], middleware=[CtxplugMiddleware(memory)])
        config = {"configurable": {"thread_id": mode}}
        given = {"messages": [HumanMessage("hi")]}
        sync = list(agent.stream(given, config, stream_mode=mode))
        later = [
            c
            async for c in agent.astream(
                {"messages": [HumanMessage("ho")]}, config, stream_mode=mode
            )
        ]
        if mode != "custom":
            assert "answer 0" in str(sync) and "answer 1" in str(later)


def test_interrupts_with_edited_calls(memory: Any, scripted: Any, call: Any, faults: Any) -> None:
    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        return AIMessage("done") if n else AIMessage("", tool_calls=[call("a", number=1)])

    model = scripted(answer=answer)
    agent = create_agent(
        model,
        [look_up],
        checkpointer=InMemorySaver(),
        middleware=[CtxplugMiddleware(memory), HumanInTheLoopMiddleware({"look_up": True})],
    )
    agent.invoke({"messages": [HumanMessage("go")]}, T1)
    edited = {"type": "edit", "edited_action": {"name": "look_up", "args": {"number": 7}}}
    agent.invoke(Command(resume={"decisions": [edited]}), T1)
    assert "parcel 7" in model.sent[1][2].text
    assert faults(model.sent[1]) == []
    assert len(conversations(memory.backend, ("acme",))) == 1
    assert len(memory.beside(session="t1").messages()) == 4


def test_an_unanswered_call_is_answered_in_the_request(
    memory: Any, scripted: Any, call: Any, faults: Any
) -> None:
    model = scripted(answer=say)
    agent = create_agent(model, [look_up], middleware=[CtxplugMiddleware(memory)])
    talk = [
        HumanMessage("go"),
        AIMessage("", tool_calls=[call("a", number=1), call("b", number=2)]),
    ]
    agent.invoke({"messages": [*talk, HumanMessage("never mind")]}, T1)
    assert faults(model.sent[0]) == []
    assert [m.type for m in model.sent[0]] == ["human", "ai", "tool", "tool", "human"]


def test_an_agent_may_begin_without_a_user(memory: Any, scripted: Any) -> None:
    model = scripted(answer=say)
    agent = create_agent(model, [], system_prompt="Greet.", middleware=[CtxplugMiddleware(memory)])
    agent.invoke({"messages": [SystemMessage("Be kind.")]}, T1)
    assert [m.text for m in model.sent[0]] == ["Greet.", "Be kind."]


def test_twins_and_names(memory: Any, scripted: Any) -> None:
    first = CtxplugMiddleware(memory, name="mine")
    twin = copy.deepcopy(first)
    assert (first.name, twin.name, twin.memory) == ("mine", "mine", memory)
    assert CtxplugMiddleware(memory).name == "CtxplugMiddleware"
    model = scripted(answer=say)
    agent = create_agent(model, [], middleware=[twin])
    agent.invoke({"messages": [HumanMessage("hi")]}, T1)
    both = [
        CtxplugMiddleware(memory, name="a", agent="a"),
        CtxplugMiddleware(memory, name="b", agent="b"),
    ]
    create_agent(model, [], middleware=both).invoke({"messages": [HumanMessage("hi")]}, T1)


def test_an_agent_within_an_agent_has_a_log_of_its_own(
    memory: Any, scripted: Any, call: Any
) -> None:
    inner_model = scripted(answer=lambda m, n: AIMessage(f"inner {n}"))
    inner = create_agent(inner_model, [], middleware=[CtxplugMiddleware(memory)])

    @tool
    def research(topic: str) -> str:
        """Research a topic."""
        return str(inner.invoke({"messages": [HumanMessage(topic)]})["messages"][-1].text)

    def answer(messages: list[BaseMessage], n: int) -> AIMessage:
        calls = [call(f"r{n}{i}", "research", topic=f"topic {n} {i}") for i in range(3)]
        return AIMessage("", tool_calls=calls) if n < 3 else AIMessage("done")

    outer_model = scripted(answer=answer)
    outer = create_agent(
        outer_model,
        [research],
        middleware=[CtxplugMiddleware(memory)],
        checkpointer=InMemorySaver(),
    )
    result = outer.invoke({"messages": [HumanMessage("go")]}, T1)
    logged = memory.beside(session="t1").messages()
    assert [m.id for m in logged] == [m.id for m in result["messages"]]
    assert len(inner_model.sent) == 9
    for sent in inner_model.sent:
        assert len(sent) == 1 and sent[0].text.startswith("topic")


@pytest.mark.parametrize(
    "options",
    [
        {"budget": 0},
        {"budget": "10"},
        {"trigger": ("words", 3)},
        {"trigger": ("fraction", 2)},
        {"trigger": {}},
        {"trigger": []},
        {"keep": ("messages", 0)},
        {"keep": {"tokens": 3}},
        {"model": "gpt-4o"},
    ],
)
def test_wrong_options_are_told_at_once(memory: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        CtxplugMiddleware(memory, **options)


def test_a_model_may_summarize_unseen(memory: Any, scripted: Any) -> None:
    summarizer = scripted(answer=lambda m, n: AIMessage("THE SUMMARY of it all"))
    model = scripted(answer=say)
    agent = create_agent(
        model,
        [],
        middleware=[CtxplugMiddleware(memory, summarizer=summarizer, budget=1_500)],
        checkpointer=InMemorySaver(),
    )
    shown = []
    for n in range(30):
        given = {"messages": [HumanMessage(f"question {n} " + "word " * 60)]}
        shown += [c.text for c, _ in agent.stream(given, T1, stream_mode="messages")]
    assert summarizer.sent, "nothing was summarized"
    assert "THE SUMMARY" in str(model.sent[-1])
    assert "THE SUMMARY" not in str(shown)
