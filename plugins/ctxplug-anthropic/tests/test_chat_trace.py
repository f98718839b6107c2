"""What a chat's turns leave in the memory's trace."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from ctxplug.testing.model_server import Failure, Reply


def test_each_call_of_the_api_is_a_step_with_what_it_took(held: Any) -> None:
    held.serve([Reply.tool_use(("weather", {"city": "北京"})), Reply.text("Sunny.")])
    held.ask("How is 北京?", system="Be brief.")
    trace = held.of_alice.trace
    first, second = trace.steps(kind="model")
    assert [first.data["stop_reason"], second.data["stop_reason"]] == ["tool_use", "end_turn"]
    assert all(step.ok and step.cost and step.duration > 0 for step in (first, second))
    assert first.tokens == sum(first.data["usage"].values())
    (tool,) = trace.steps(kind="tool")
    assert (tool.name, tool.data["arguments"]) == ("weather", {"city": "北京"})
    windows = trace.steps(kind="window")
    assert len(windows) == 2 and all(trace.window(step).exact for step in windows)
    assert {step.trace for step in trace.steps()} == {first.trace}


def test_attempts_and_failures_are_steps_too(held: Any) -> None:
    held.serve([Failure(529, "overloaded_error", "Busy."), Reply.text("Hello.")])
    held.ask("Hi")
    trace = held.of_alice.trace
    (call,) = trace.steps(kind="model")
    (retry,) = trace.steps(kind="retry")
    assert call.data["attempts"] == 2 and retry.parent == call.id
    held.serve([Failure(401, "authentication_error", "No.")])
    with pytest.raises(anthropic.AuthenticationError):
        held.ask("And now?")
    failed = held.of_alice.trace.steps(kind="model")[-1]
    assert failed.outcome == "error" and "AuthenticationError" in str(failed.error)


def test_a_window_that_was_too_long_is_tried_again(held: Any) -> None:
    held.serve([Reply.text("Noted. " * 40)] * 6)
    for number in range(6):
        held.ask(f"Parcel {number} is in room {number * 7}. " * 30)
    held.serve([Reply.context_window_exceeded(), Reply.text("Better.")])
    held.ask("And now?")
    (retry,) = held.of_alice.trace.steps(kind="retry")
    assert "context window" in retry.data["reason"]
