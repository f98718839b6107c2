"""The counter "anthropic" with the real SDK."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from ctxplug_anthropic import AnthropicCounter, Count

from ctxplug import AgentMemory, Message
from ctxplug.errors import InvalidValueError
from ctxplug.testing import Broken, Failure, ModelServer
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.estimate import estimate

TEXTS = [
    "Where is the café?",
    "机票多少钱？明天出发。",
    '{"a": [1, 2]}',
    "<|endoftext|> \x00 \ud800",
]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


def counter(server: ModelServer, **options: Any) -> AnthropicCounter:
    client = anthropic.Anthropic(base_url=server.url, api_key="test")
    counts = AnthropicCounter(client=client, **options)
    weakref.finalize(counts, client.close)
    return counts


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_counted_by_the_endpoint_once(server: ModelServer, text: str) -> None:
    counts = counter(server)
    first = counts.count_text(text)
    asked = len(server.requests)
    assert first > 0
    assert counts.count_text(text) == first
    assert len(server.requests) == asked == 2  # the text and the probe
    assert not counts.estimated
    assert isinstance(counts, TokenCounter) and counts.name == "anthropic:claude-haiku-4-5"


def test_texts_that_the_endpoint_takes_no_are_not_sent(server: ModelServer) -> None:
    counts = counter(server)
    assert counts.count_text("") == 0
    assert counts.count_text(" \n") >= 1
    assert counts.count_text("word " * 500_000) > 100_000
    assert server.requests == []


def test_messages_add_up_and_every_kind_can_be_counted(server: ModelServer) -> None:
    counts = counter(server)
    call = {"type": "tool_use", "id": "toolu_1", "name": "fare", "input": {"to": "北京"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1200"}
    messages = [
        Message("system", "Be brief."),
        Message("user", "Fares?"),
        *Message.from_anthropic({"role": "assistant", "content": [call]}),
        *Message.from_anthropic({"role": "user", "content": [result]}),
    ]
    each = [counts.count(message) for message in messages]
    assert all(tokens > 4 for tokens in each)
    assert each == [counts.count(message) for message in messages]


def test_a_whole_request_is_counted_as_it_is_billed(server: ModelServer) -> None:
    counts = counter(server)
    tools = [{"name": "fare", "input_schema": {"type": "object"}}]
    ours = counts.count_request(
        [Message("system", "Be brief."), Message("user", "你好")], tools=tools
    )
    wire = counts.count_request(
        [{"role": "user", "content": [{"type": "text", "text": "你好"}]}],
        system=[{"type": "text", "text": "Be brief."}],
        tools=tools,
    )
    assert ours == wire and not ours.estimated and ours.tokens > 10
    assert len(server.requests) == 1


FAULTS: dict[str, Failure | Broken] = {
    "429": Failure.rate_limited(3600),
    "529": Failure.overloaded(),
    "500": Failure.server_error(),
    "html": Failure.server_error(html=True),
    "401": Failure(401, "authentication_error", "invalid x-api-key"),
    "truncated": Broken("truncated"),
    "cut": Broken("cut"),
    "empty": Broken("empty"),
    "wrong_json": Broken("wrong_json"),
    "not_json": Broken("not_json"),
    "reset": Broken("reset"),
    "slow": Broken("slow", seconds=3600),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_gives_a_safe_estimate_and_is_asked_once(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with ModelServer(counting=[FAULTS[name]]) as server:
        counts = counter(server, timeout=0.2)
        with caplog.at_level(logging.WARNING):
            one = counts.count_text(TEXTS[0])
        two = counts.count_request([Message("user", TEXTS[1])])
        assert one >= 1.35 * estimate("claude").count_text(TEXTS[0])
        assert two.estimated and two.tokens > 0
        assert counts.estimated and counts.margin == 0.10
        assert len(server.requests) == 1  # within the pause nobody asks again
    assert "estimates" in caplog.text and "api-key" not in caplog.text


def test_after_the_pause_counts_are_exact_again_and_no_estimate_was_kept() -> None:
    with ModelServer(counting=[Failure.overloaded()]) as server:
        counts = counter(server, pause=0.0)
        first = counts.count_request([Message("user", "Hello")])
        second = counts.count_request([Message("user", "Hello")])
        assert (first.estimated, second.estimated) == (True, False)
        assert not counts.estimated and counts.margin == 0.02


def test_without_a_server_or_a_key_there_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    assert AnthropicCounter().count_request([Message("user", "Hello")]).estimated


def test_the_cache_is_bounded(server: ModelServer) -> None:
    counts = counter(server, cache_size=2)
    for text in ("one", "two", "three", "one"):
        counts.count_request([Message("user", text)])
    assert len(server.requests) == 4


def test_a_memory_counts_with_it_by_name(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    with AgentMemory.open(namespace="n", counter="anthropic:claude-sonnet-4-6") as memory:
        memory.add("user", "Where is my ticket?")
        assert memory.context().tokens > 0
        assert memory.counter.name == "anthropic:claude-sonnet-4-6"
        assert not memory.counter.estimated
    assert {request.body["model"] for request in server.requests} == {"claude-sonnet-4-6"}
    assert {request.path for request in server.requests} == {"/v1/messages/count_tokens"}


@pytest.mark.parametrize("wrong", [{"model": ""}, {"timeout": 0}, {"cache_size": 0}, {"pause": -1}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        AnthropicCounter(**wrong)


def test_a_count_says_what_it_is() -> None:
    assert Count(3, estimated=True) == Count(3, True)
