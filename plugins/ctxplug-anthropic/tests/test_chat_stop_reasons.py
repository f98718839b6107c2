"""Every stop reason of the SDK has its outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
from anthropic.types import StopReason
from ctxplug_anthropic.stop_reasons import STOP_REASONS, action_for

from ctxplug.testing.model_server import Reply

CALL = {"type": "tool_use", "name": "weather", "input": {"city": "Oslo"}}


def test_the_table_names_every_reason_of_the_sdk() -> None:
    assert set(get_args(StopReason)) == set(STOP_REASONS) - {None}


def test_an_unknown_reason_ends_the_turn() -> None:
    assert action_for("tired") == "finish"


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "max_tokens", "refusal", "tired"])
def test_a_reply_that_ends_the_turn_is_stored_with_its_reason(held: Any, reason: str) -> None:
    held.serve([replace(Reply.text("As far as I came"), stop_reason=reason), "Go on."])
    reply = held.ask("Hello")
    assert (reply.text, reply.stop_reason) == ("As far as I came", reason)
    assert held.of_alice.messages()[-1].metadata["stop_reason"] == reason
    assert held.ask("Go on").text == "Go on."


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "tired", "end_turn"])
def test_calls_of_a_reply_that_was_not_to_call_never_run(held: Any, reason: str) -> None:
    said = [{"type": "text", "text": "Let me see."}, CALL]
    held.serve([Reply(said, stop_reason=reason), "Well."])
    reply = held.ask("How is Oslo?")
    assert (reply.stop_reason, held.runs) == (reason, [])
    (result,) = held.of_alice.messages()[-1].tool_results
    assert result.is_error
    assert held.ask("And now?").text == "Well."  # the history stays one that the API takes


def test_a_refusal_without_a_word_is_stored_and_the_next_turn_is_valid(held: Any) -> None:
    held.serve([Reply.refusal("safety", "No."), "Gladly."])
    reply = held.ask("Something bad")
    assert (reply.stop_reason, reply.text) == ("refusal", "")
    assert held.ask("Something good").text == "Gladly."
    assert [role for role, _ in held.said] == ["user", "assistant"] * 2


def test_tools_run_together_and_their_results_keep_the_order(held: Any) -> None:
    cities = ["Oslo", "Rome", "北京"]
    calls = [("weather", {"city": city}) for city in cities]
    held.serve([Reply.tool_use(*calls, thinking="Three at once."), Reply.text("All sunny.")])
    reply = held.ask("How is the weather everywhere?")
    assert (reply.text, reply.calls) == ("All sunny.", 2)
    assert sorted(held.runs) == sorted(cities)
    results = held.server.sent[1].messages[-1]["content"]
    texts = [str(block["content"]) for block in results]
    assert [city in text for city, text in zip(cities, texts, strict=True)] == [True] * 3
    roles = [role for role, _ in held.said]
    assert roles == ["user", "assistant", "tool", "tool", "tool", "assistant"]


def test_a_tool_that_is_not_offered_is_an_error_for_the_model(held: Any) -> None:
    held.serve([Reply.tool_use(("weather", {"city": "Oslo"})), Reply.text("I cannot tell.")])
    reply = held.ask("How is Oslo?", tools=[])
    assert (reply.text, held.runs) == ("I cannot tell.", [])
    assert held.server.sent[1].messages[-1]["content"][0]["is_error"]


def test_a_model_that_calls_for_ever_is_stopped(held: Any) -> None:
    held.serve(lambda request: Reply.tool_use(("weather", {"city": "Oslo"})))
    reply = held.ask("How is Oslo?", most_calls=3)
    assert (reply.stop_reason, reply.calls, len(held.runs)) == ("tool_use", 3, 2)
    held.serve(["Enough."])
    assert held.ask("Stop").text == "Enough."


def test_a_pause_goes_on_where_it_paused(held: Any) -> None:
    held.serve([Reply.pause_turn("Let me search."), Reply.text("Found it.")])
    search = {"type": "web_search_20250305", "name": "web_search"}
    reply = held.ask("Search for it", tools=[search])
    assert (reply.text, reply.stop_reason, reply.calls) == ("Found it.", "end_turn", 2)
    sent = held.server.sent[1].messages
    assert sent[-1]["role"] == "assistant"
    assert sent[-1]["content"][-1]["type"] == "server_tool_use"
    assert [role for role, _ in held.said] == ["user", "assistant", "assistant"]


def _long_talk(held: Any) -> None:
    held.serve(lambda request: "Noted: " + "what you said is interesting. " * 20)
    for i in range(6):
        held.ask(f"Part {i} of my story. " + "It goes on for a while, day after day. " * 20)


def test_a_full_context_window_is_compacted_and_asked_once_more(held: Any) -> None:
    _long_talk(held)
    held.serve([Reply.context_window_exceeded("Half of"), Reply.text("The whole answer.")])
    reply = held.ask("Tell me")
    assert (reply.text, reply.stop_reason) == ("The whole answer.", "end_turn")
    assert held.said[-2:] == [("user", "Tell me"), ("assistant", "The whole answer.")]
    first, second = (request.usage for request in held.server.sent)
    assert sum_of(second) < sum_of(first)
    assert reply.usage.total_input == sum_of(first) + sum_of(second)
    assert held.outstanding == 0


def test_a_context_window_that_stays_full_ends_the_turn_with_what_there_is(held: Any) -> None:
    _long_talk(held)
    held.serve([Reply.context_window_exceeded("Half of")] * 3)
    reply = held.ask("Tell me")
    assert reply.stop_reason == "model_context_window_exceeded"
    assert len(held.server.sent) == 2
    assert held.said[-2:] == [("user", "Tell me"), ("assistant", "Half of")]


def test_a_full_context_window_without_a_history_is_not_asked_again(held: Any) -> None:
    held.serve([Reply.context_window_exceeded("Half of")] * 3)
    assert held.ask("Tell me").stop_reason == "model_context_window_exceeded"
    assert len(held.server.sent) == 1
    assert held.said == [("user", "Tell me"), ("assistant", "Half of")]


def sum_of(usage: Any) -> int:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(usage[name] for name in names)
