"""Every fault of the API has a stated outcome, in all four ways to hold a turn.

The law: a fault that the SDK's retries get over is not seen; any other is a typed error, the
session then holds the user's message once and nothing half-done, no reservation is left
standing, and the same message given again goes on from there.
"""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from ctxplug_anthropic import ChatDeadlineError, IncompleteReplyError

from ctxplug.errors import BudgetError, UsageLimitError
from ctxplug.testing.model_server import Broken, Failure, Reply
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.prices import Prices

PASSING = {
    "429 with retry-after": Failure.rate_limited(0.01),
    "529": Failure.overloaded(),
    "500": Failure.server_error(),
    "500 as HTML": Failure.server_error(html=True),
    "reset": Broken("reset"),
}
LASTING: dict[str, tuple[Any, type[Exception]]] = {
    "429": (Failure.rate_limited(0.01), anthropic.RateLimitError),
    "529": (Failure.overloaded(), anthropic.APIStatusError),
    "500": (Failure.server_error(), anthropic.InternalServerError),
    "500 as HTML": (Failure.server_error(html=True), anthropic.InternalServerError),
    "reset": (Broken("reset"), anthropic.APIConnectionError),
    "400": (Failure(400, "invalid_request_error", "No."), anthropic.BadRequestError),
    "401": (Failure(401, "authentication_error", "No."), anthropic.AuthenticationError),
}
# Each fault in a sync and an async mode, one of them streamed; the other two are slow tests.
pytestmark = pytest.mark.parametrize(
    "held",
    [
        "sync",
        pytest.param("sync stream", marks=pytest.mark.slow),
        pytest.param("async", marks=pytest.mark.slow),
        "async stream",
    ],
    indirect=True,
)
ODD = ("truncated", "cut", "empty", "wrong_json", "not_json", "error_event")


@pytest.mark.parametrize("fault", PASSING)
def test_what_the_sdk_retries_is_not_seen(held: Any, fault: str) -> None:
    held.serve([PASSING[fault], Reply.text("Hello, Alice.")])
    reply = held.ask("Hello")
    assert (reply.text, reply.attempts, reply.calls) == ("Hello, Alice.", 2, 1)
    assert held.said == [("user", "Hello"), ("assistant", "Hello, Alice.")]
    assert held.outstanding == 0


@pytest.mark.parametrize("fault", LASTING)
def test_what_lasts_is_the_sdks_error_and_the_turn_can_go_on(held: Any, fault: str) -> None:
    answer, error = LASTING[fault]
    held.serve([answer] * 3)
    with pytest.raises(error):
        held.ask("Hello")
    assert held.said == [("user", "Hello")]
    assert held.outstanding == 0
    held.serve([Reply.text("Hello, Alice.")])
    assert held.ask("Hello").text == "Hello, Alice."
    assert held.said == [("user", "Hello"), ("assistant", "Hello, Alice.")]


@pytest.mark.parametrize("how", ODD)
def test_an_odd_body_is_never_stored(held: Any, how: str) -> None:
    held.serve([Broken(how)] * 3)
    with pytest.raises((IncompleteReplyError, anthropic.APIError)):
        held.ask("Hello")
    assert held.said == [("user", "Hello")]
    assert held.outstanding == 0
    held.serve([Reply.text("Hello, Alice.")])
    held.ask("Hello")
    assert held.said == [("user", "Hello"), ("assistant", "Hello, Alice.")]


@pytest.mark.parametrize("how", ["truncated", "cut", "reset"])
def test_an_answer_that_was_lost_counts_as_spent(held: Any, how: str) -> None:
    held.serve([Broken(how)] * 3)
    with pytest.raises((IncompleteReplyError, anthropic.APIError)):
        held.ask("Hello", chat={"retries": 0})
    assert held.of_alice.usage.report().total.usage.total_input > 0


def test_an_attempt_after_a_lost_one_is_reserved_and_entered_anew(held: Any) -> None:
    held.serve([Broken("reset"), "Here."])
    reply = held.ask("Hello")
    last = held.server.sent[-1].usage
    assert reply.attempts == 2
    assert reply.usage.total_input > last["input_tokens"]
    assert held.of_alice.usage.report().total.usage.total == reply.usage.total
    assert held.outstanding == 0


def test_an_attempt_that_a_limit_has_no_room_for_is_not_made(held: Any) -> None:
    limits = UsageLimits(daily_tokens=1_500)
    held.memory = type(held.memory).open("memory:", namespace="test", limits=limits)
    held.serve([Broken("reset"), "Never."])
    with pytest.raises(UsageLimitError):
        held.ask("Hello", max_tokens=1_000)
    assert len(held.server.sent) == 1
    assert held.said == [("user", "Hello")]
    assert held.outstanding == 0


def test_an_error_that_the_api_states_costs_nothing(held: Any) -> None:
    held.serve([Failure.overloaded()] * 3)
    with pytest.raises(anthropic.APIStatusError):
        held.ask("Hello")
    assert held.of_alice.usage.report().total.calls == 0


def test_a_reply_without_usage_is_kept_and_its_cost_estimated(held: Any) -> None:
    held.serve([Broken("no_usage", Reply.text("Hello, Alice."))])
    if held.stream:  # the SDK itself cannot read such a stream
        with pytest.raises(IncompleteReplyError):
            held.ask("Hello")
        assert held.said == [("user", "Hello")]
        assert held.of_alice.usage.report().total.usage.total_input > 0
        assert held.outstanding == 0
        return
    reply = held.ask("Hello")
    assert reply.text == "Hello, Alice."
    assert reply.usage.total_input > 0
    assert held.said[-1] == ("assistant", "Hello, Alice.")
    assert held.outstanding == 0


def test_a_wait_beyond_the_deadline_is_the_apis_error_at_once(held: Any) -> None:
    held.serve([Failure.rate_limited(3600), Reply.text("Too late.")])
    with pytest.raises(anthropic.RateLimitError) as error:
        held.ask("Hello", deadline=20.0)
    assert error.value.response.headers["retry-after"] == "3600"
    assert len(held.server.sent) == 1
    assert held.outstanding == 0


@pytest.mark.parametrize(
    "answer",
    [Broken("slow", seconds=30.0), Reply.text("Too late.", delay=30.0)],
    ids=["slow body", "no answer"],
)
def test_what_takes_too_long_is_given_up(held: Any, answer: Any) -> None:
    held.serve([answer] * 5)
    with pytest.raises((ChatDeadlineError, anthropic.APITimeoutError)):
        held.ask("Hello", deadline=0.2)
    assert held.said == [("user", "Hello")]
    assert held.outstanding == 0
    assert held.of_alice.usage.report().total.usage.total_input > 0  # it may be billed


def test_a_slow_body_within_the_deadline_is_waited_for(held: Any) -> None:
    held.serve([Broken("slow", Reply.text("Hello, Alice."), seconds=0.01)])
    assert held.ask("Hello", deadline=30.0).text == "Hello, Alice."


def test_no_tool_runs_twice_when_the_call_after_it_fails(held: Any) -> None:
    held.serve([Reply.tool_use(("weather", {"city": "Oslo"})), *[Failure.overloaded()] * 3])
    with pytest.raises(anthropic.APIStatusError):
        held.ask("How is the weather in Oslo?")
    assert held.runs == ["Oslo"]
    held.serve([Reply.text("Sunny.")])
    reply = held.ask("How is the weather in Oslo?")
    assert (reply.text, held.runs) == ("Sunny.", ["Oslo"])
    roles = [role for role, _ in held.said]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_a_prompt_that_is_too_long_is_compacted_and_sent_once_more(held: Any) -> None:
    held.serve(lambda request: "Noted: " + "what you said is interesting. " * 20)
    for i in range(8):
        held.ask(f"Part {i} of my story. " + "It goes on for a while, day after day. " * 20)
    held.serve(["And now?"], context_window=2_000)
    reply = held.ask("And now?")
    assert reply.text == "And now?"
    assert len(held.server.sent) == 2
    assert held.server.sent[0].refused
    assert reply.notes
    assert [role for role, _ in held.said] == ["user", "assistant"] * 9
    assert held.outstanding == 0


def test_a_prompt_that_stays_too_long_is_the_apis_error(held: Any) -> None:
    held.serve([Failure.context_window_exceeded(900, 800)] * 5)
    with pytest.raises(anthropic.BadRequestError):
        held.ask("Hello")
    assert len(held.server.sent) == 1  # there is nothing to cut
    assert held.said == [("user", "Hello")]


def test_what_a_limit_refuses_is_neither_sent_nor_stored(held: Any) -> None:
    held.memory = type(held.memory).open(
        "memory:", namespace="test", limits=UsageLimits(daily_tokens=2_000)
    )
    held.serve([Reply.text("Never said.")])
    with pytest.raises(UsageLimitError):
        held.ask("Hello", max_tokens=4_000)
    assert held.said == []
    assert held.server.sent == []
    assert held.ask("Hello again", max_tokens=100).text == "Never said."
    assert held.said == [("user", "Hello again"), ("assistant", "Never said.")]


def test_a_message_beyond_the_budget_is_neither_sent_nor_stored(held: Any) -> None:
    held.serve([Reply.text("Hello.")])
    with pytest.raises(BudgetError):
        held.ask("word " * 5_000, budget=1_000)
    assert held.server.sent == []
    assert held.said == []
    assert held.ask("Hello", budget=1_000).text == "Hello."


def test_a_cheaper_model_is_asked_where_a_limit_refuses_the_dear_one(held: Any) -> None:
    prices = Prices({"dear": {"input": 15, "output": 75}, "cheap": {"input": 1, "output": 5}})
    held.memory = type(held.memory).open(
        "memory:", namespace="test", limits=UsageLimits(request_cost=0.03), prices=prices
    )
    held.serve(lambda request: f"I am {request.body['model']}.")
    chat = {"model": "dear", "max_tokens": 1_000}
    with pytest.raises(UsageLimitError):
        held.ask("Who are you?", chat=chat)
    reply = held.ask("Who are you?", chat={**chat, "fallback": "cheap"})
    assert (reply.text, reply.model) == ("I am cheap.", "cheap")
    assert "dear" in reply.notes[0]
