"""ctxplug_summarizer: in SummarizationMiddleware, beside what it does by itself."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_ctxplug.stock import ctxplug_summarizer, ctxplug_token_counter

from ctxplug import Message
from ctxplug.errors import InvalidValueError

count = ctxplug_token_counter().counter.count_text


def chat(turns: int) -> list[AnyMessage]:
    said: list[AnyMessage] = [HumanMessage("Plan a trip to Chengdu for four people.")]
    said += [AIMessage("Any allergies?"), HumanMessage("女儿2019年出生，她对花生过敏。")]
    for n in range(turns):
        said.append(AIMessage(f"Noted. Hotel number {n} costs {700 + n} yuan a night."))
        said.append(HumanMessage(f"第{n}天去看熊猫基地{n}号馆，记得带上护照。"))
    return said


def loop(steps: int, note: str = "") -> list[AnyMessage]:
    said: list[AnyMessage] = [HumanMessage("Find the cheapest flight from Oslo to 成都.")]
    for n in range(steps):
        calls = [{"name": "search", "args": {"day": n, "side": s}, "id": f"{n}{s}"} for s in "ab"]
        said.append(AIMessage("", tool_calls=calls))
        said += [
            ToolMessage(json.dumps({"price": 100 + n, "note": note}), tool_call_id=c["id"])
            for c in calls
        ]
    return said


def test_what_matters_of_every_part_is_in_it_and_the_tokens_hold() -> None:
    summary = ctxplug_summarizer(1_000)(chat(20))
    assert count(summary) <= 1_000
    assert "First request: Plan a trip to Chengdu for four people." in summary
    assert "700 yuan" in summary and "719 yuan" in summary and "护照" in summary
    assert summary == ctxplug_summarizer(1_000)(chat(20))


def test_calls_and_results_of_one_long_tool_loop_are_in_it() -> None:
    """One human message and a tool loop: what the stock middleware calls too long."""
    summary = ctxplug_summarizer(1_500)(loop(20))
    assert "Find the cheapest flight from Oslo to 成都." in summary
    for n in (0, 10, 19):
        assert f"price={100 + n}" in summary or f'"price": {100 + n}' in summary
    assert "search(" in summary


def test_system_messages_are_kept_word_for_word() -> None:
    said = [SystemMessage("Answer in verse. 回答要押韵。"), *chat(10)]
    assert "Instructions: Answer in verse. 回答要押韵。" in ctxplug_summarizer(400)(said)


def test_an_earlier_summary_is_summarised_further_and_never_dropped() -> None:
    summarize = ctxplug_summarizer(700)
    said = [SystemMessage("Be kind."), *chat(6)]
    summary = summarize(said)
    for n in range(8):
        turn = [HumanMessage(f"Also buy ticket {n} for {1000 + n} yuan."), AIMessage("Done.")]
        shown = HumanMessage(f"Here is a summary of the conversation to date:\n\n{summary}")
        summary = summarize([shown, *turn])
        assert count(summary) <= 700
    assert "Instructions: Be kind." in summary
    assert "First request: Plan a trip to Chengdu for four people." in summary
    assert "1000 yuan" in summary and "1007 yuan" in summary
    assert summary.count("<earlier_conversation") == 1 and "1970" not in summary
    assert 'ref="@1-31"' in summary


def ran(middleware: SummarizationMiddleware, messages: list[AnyMessage]) -> list[AnyMessage]:
    update = middleware.before_model({"messages": messages}, None)  # type: ignore[typeddict-item, arg-type]
    assert update is not None
    new: list[AnyMessage] = update["messages"][1:]
    again = asyncio.run(middleware.abefore_model({"messages": messages}, None))  # type: ignore[typeddict-item, arg-type]
    assert again is not None
    assert [m.content for m in again["messages"][1:]] == [m.content for m in new]
    return new


class Model(FakeListChatModel):
    """A model whose summary is what it was shown, so that a test sees what that was."""

    def _call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return "SEEN " + messages[-1].text


def middleware(**options: Any) -> SummarizationMiddleware:
    model = Model(responses=["x"])
    return SummarizationMiddleware(model, trigger=("tokens", 500), keep=("messages", 4), **options)


@pytest.mark.skipif(
    "summarizer" not in inspect.signature(SummarizationMiddleware).parameters,
    reason="the middleware takes a summarizer from langchain 1.4.5 on",
)
@pytest.mark.parametrize(
    ("said", "early"),
    [(chat(150), "女儿2019年出生"), (loop(30, "lorem ipsum dolor " * 40), "price=100")],
    ids=["chat", "tool loop"],
)
def test_in_the_stock_middleware_nothing_is_lost_that_it_loses_by_itself(
    said: list[AnyMessage], early: str
) -> None:
    ours = middleware(
        summarizer=ctxplug_summarizer(1_500),
        trim_tokens_to_summarize=None,
        token_counter=ctxplug_token_counter(),
    )
    summary, *kept = ran(ours, said)
    assert said[0].text in summary.text and early in summary.text
    assert count(summary.text) <= 1_520
    assert kept == said[-len(kept) :]
    stock = ran(middleware(), said)[0]
    assert said[0].text not in stock.text  # its trim to 4,000 tokens threw the request away


class Fails:
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        raise RuntimeError("no model today")


class Says:
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        return f"{len(messages)} messages were exchanged."


def test_a_summarizer_of_ctxplug_writes_it_and_its_failure_loses_nothing() -> None:
    assert "23 messages were exchanged." in ctxplug_summarizer(summarizer=Says())(chat(10))
    assert "700 yuan" in ctxplug_summarizer(summarizer="extractive")(chat(10))
    assert ctxplug_summarizer(summarizer=Fails())(chat(10)) == ctxplug_summarizer()(chat(10))


def test_small_and_empty() -> None:
    assert ctxplug_summarizer()([]) == "Nothing of note was said."
    with pytest.raises(InvalidValueError, match="100 tokens at least"):
        ctxplug_summarizer(50)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(HumanMessage, st.text(max_size=200)), max_size=6), st.integers(100, 400))
def test_any_text_is_summarised_within_the_tokens(said: list[AnyMessage], tokens: int) -> None:
    summary = ctxplug_summarizer(tokens)(said)
    assert summary.strip() and count(summary) <= tokens
