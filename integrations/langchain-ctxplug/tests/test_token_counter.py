"""ctxplug_token_counter: right where the stock counter is wrong, and cheap on any list."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import FakeListChatModel
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
from langchain_ctxplug.counting import LangChainTokenCounter, counter_of
from langchain_ctxplug.stock import ctxplug_token_counter

from ctxplug import Message
from ctxplug.errors import InvalidValueError, UnknownComponentError
from ctxplug.tokens import MessageCounter

CHINESE = "国庆带女儿去成都看大熊猫，她对花生过敏，回程要靠窗的座位。" * 20


def exact(text: str) -> int:
    return counter_of("gpt-4").count_text(text)


def call(n: int, *, content: Any = "", size: int = 10) -> AIMessage:
    return AIMessage(
        content, tool_calls=[{"name": "search", "args": {"q": "word " * size}, "id": f"c{n}"}]
    )


# -- beside the stock counter --------------------------------------------------------------


def test_chinese_is_counted_where_the_stock_counter_sees_a_fifth() -> None:
    messages = [HumanMessage(CHINESE)]
    true = exact(CHINESE)
    assert abs(ctxplug_token_counter("gpt-4")(messages) - true) < 20
    assert count_tokens_approximately(messages) < 0.35 * true


def test_calls_count_where_the_stock_counter_leaves_them_out() -> None:
    said = [call(1, content=[{"type": "text", "text": "Let me see."}], size=2_500)]
    assert ctxplug_token_counter()(said) > 2_500
    assert count_tokens_approximately(said) < 20


@pytest.mark.parametrize(
    ("kind", "media"),
    [
        ("file", "application/pdf"),
        ("audio", "audio/wav"),
        ("video", "video/mp4"),
        ("image", "image/png"),
    ],
)
def test_an_attachment_is_no_text(kind: str, media: str) -> None:
    data = base64.b64encode(bytes(range(256)) * 400).decode()
    block = {"type": kind, "base64": data, "mime_type": media}
    in_message = [HumanMessage([{"type": "text", "text": "看这个"}, block])]
    in_result = [ToolMessage([block], tool_call_id="c1")]
    for messages in (in_message, in_result):
        assert 50 < ctxplug_token_counter()(messages) < 6_000
    if kind != "image":
        assert count_tokens_approximately(in_message) > 30_000


def test_a_larger_attachment_costs_more_and_its_description_counts() -> None:
    count = ctxplug_token_counter()

    def file(size: int, **fields: str) -> list[BaseMessage]:
        data = base64.b64encode(b"\x00\x9f" * size).decode()
        return [
            HumanMessage(
                [{"type": "file", "base64": data, "mime_type": "application/pdf", **fields}]
            )
        ]

    assert count(file(100_000)) > count(file(10_000))
    assert count(file(10_000, filename="报告 " * 50)) > count(file(10_000)) + 50


# -- the law -------------------------------------------------------------------------------

texts = st.text(max_size=60) | st.just(CHINESE)
kinds = st.one_of(
    st.builds(HumanMessage, texts),
    st.builds(SystemMessage, texts),
    st.builds(AIMessage, texts),
    st.builds(lambda t: call(1, content=t), texts),
    st.builds(lambda t: ToolMessage(t, tool_call_id="c1"), texts),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(kinds, max_size=8))
def test_order_slices_and_copies_change_no_count(messages: list[BaseMessage]) -> None:
    count = ctxplug_token_counter(counter="estimate")
    whole = count(messages)
    assert count(messages[::-1]) == count(copy.deepcopy(messages)) == whole
    parts = sum(count([message]) - count.counter.request_tokens for message in messages)
    assert whole == (parts + count.counter.request_tokens if messages else 0)


def test_a_message_that_was_changed_is_counted_anew() -> None:
    count = ctxplug_token_counter()
    message = HumanMessage("short")
    before = count([message])
    message.content = CHINESE
    assert count([message]) > before + 100
    asked = call(1)
    before = count([asked])
    asked.tool_calls[0]["args"]["q"] = "word " * 500
    assert count([asked]) > before + 400


def test_each_message_is_read_once_however_often_it_is_counted() -> None:
    seen: list[str] = []

    def count_text(text: str) -> int:
        seen.append(text)
        return len(text)

    count = LangChainTokenCounter(MessageCounter("characters", count_text))
    messages = [HumanMessage(f"message {n}") for n in range(200)]
    for n in range(0, 200, 10):
        count(messages[n:])
        count(copy.deepcopy(messages[::-1]))
    assert len(seen) == 200


def test_it_counts_what_can_be_made_a_message_and_tools() -> None:
    @tool
    def search(query: str) -> str:
        """Search the web for a query, in any language."""
        return query

    count = ctxplug_token_counter()
    assert count(["hello"]) == count([("user", "hello")]) == count([HumanMessage("hello")])
    assert count([{"role": "user", "content": "你好"}]) == count([HumanMessage("你好")])
    with_tool = count(["hello"], tools=[search])
    assert with_tool > count(["hello"]) + 15
    assert count([], tools=[search]) > 0 == count([])


def test_it_counts_as_a_window_of_ctxplug_does() -> None:
    count = ctxplug_token_counter("gpt-4o")
    ours = Message("user", CHINESE)
    assert count([HumanMessage(CHINESE)]) == (
        count.counter.count(ours) + count.counter.request_tokens
    )


def test_the_counter_is_picked_by_model_name_chat_model_or_spec() -> None:
    class Claude(FakeListChatModel):
        model: str = "claude-sonnet-4-5"

    assert counter_of(Claude(responses=[])).name == "estimate:claude"
    assert counter_of("gpt-4").name.endswith("cl100k_base")
    assert counter_of(FakeListChatModel(responses=[])).name == counter_of().name
    assert ctxplug_token_counter(counter="estimate").counter.name == "estimate:o200k"
    assert counter_of(counter=ctxplug_token_counter("gpt-4")).name == counter_of("gpt-4").name
    with pytest.raises(UnknownComponentError):
        ctxplug_token_counter(counter="none")
    with pytest.raises(InvalidValueError, match="no token counter"):
        ctxplug_token_counter(counter=len)  # type: ignore[arg-type]


# -- in stock parts ------------------------------------------------------------------------


def test_trim_messages_takes_it_for_a_counter_of_lists() -> None:
    messages = [SystemMessage("你是助手。"), *(HumanMessage(f"{n} {CHINESE}") for n in range(9))]
    count = ctxplug_token_counter()
    kept = trim_messages(messages, max_tokens=1_500, token_counter=count, include_system=True)
    assert kept[0] == messages[0] and kept[-1] == messages[-1]
    assert 1 < len(kept) < len(messages) and count(kept) <= 1_500
    first = trim_messages(messages, max_tokens=1_500, token_counter=count, strategy="first")
    assert first == messages[: len(first)] and count(first) <= 1_500
    stock = trim_messages(
        messages, max_tokens=1_500, token_counter=count_tokens_approximately, include_system=True
    )
    assert count(stock) > 2_000  # what the model is really sent
