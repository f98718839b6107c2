"""Summarizers that each break one law, and the tests of the suite that say so."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from ctxplug.messages import Message
from ctxplug.testing import FakeSummarizer


class Right(FakeSummarizer):
    """A summarizer that keeps every law; those below change one thing of it."""


class HasAnotherVerb:
    def summarise(self, messages: Sequence[Message], target_tokens: int) -> str:
        return ""


class GivesAList:
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> Any:
        return [m.text for m in messages][:1]


class SaysNothing:
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        return " \n"


class SaysAll:
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        return "\n".join(f"{m.role} said at {m.created_at}: {m.text}" for m in messages)


class KeepsItsOwnLength(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        return super().summarize(messages, 180)


class FailsAtCalls(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        if any(message.tool_calls for message in messages):
            raise KeyError("text")
        return super().summarize(messages, target_tokens)


class FailsAtSurrogates(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        for message in messages:
            message.text.encode()
        return super().summarize(messages, target_tokens)


class FailsAtLength(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        if any(len(message.text) > 50_000 for message in messages):
            raise ValueError("too long")
        return super().summarize(messages, target_tokens)


class DividesByTheTarget(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        share = len(messages) // (target_tokens - 1)
        return super().summarize(messages[share:], target_tokens)


class TakesFromTheList(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        if isinstance(messages, list):
            messages.pop()
        return super().summarize(messages, target_tokens)


class MarksMessages(Right):
    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        for message in messages:
            if isinstance(message.metadata, dict):
                message.metadata["summarized"] = True
        return super().summarize(messages, target_tokens)


class GoesOnFromTheLast(Right):
    """Keeps the summary before, as one that is told to go on with it."""

    last = ""

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        before = self.last
        self.last = super().summarize(messages, target_tokens // 3)
        return before + self.last


class SharesABuffer(Right):
    lines: Sequence[Message] = ()

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        self.lines = messages
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.001)  # as one that waits for its model
        return super().summarize(self.lines, target_tokens)


class BelongsToItsThread(Right):
    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")
        return super().summarize(messages, target_tokens)


RIGHT = Right
_ANY = {
    "test_a_long_message_can_be_summarized",
    "test_any_messages_can_be_summarized",
    "test_any_target_can_be_asked_for",
    "test_any_text_can_be_summarized",
    "test_conversations_are_kept_apart_in_threads",
}
WRONG: list[tuple[Any, set[str]]] = [
    (
        HasAnotherVerb,
        {
            *_ANY,
            "test_it_is_a_summarizer",
            "test_a_summary_is_smaller_than_what_it_stands_for",
            "test_a_summary_is_text_that_says_something",
            "test_a_summary_keeps_to_its_target",
            "test_nothing_is_kept_of_another_conversation",
            "test_nothing_that_is_passed_in_is_changed",
        },
    ),
    (GivesAList, {*_ANY, "test_a_summary_is_text_that_says_something"}),
    (SaysNothing, {"test_a_summary_is_text_that_says_something"}),
    (
        SaysAll,
        {
            "test_a_summary_is_smaller_than_what_it_stands_for",
            "test_a_summary_keeps_to_its_target",
        },
    ),
    (KeepsItsOwnLength, {"test_a_summary_keeps_to_its_target"}),
    (FailsAtCalls, {"test_any_messages_can_be_summarized"}),
    (
        FailsAtSurrogates,
        {"test_any_text_can_be_summarized", "test_any_messages_can_be_summarized"},
    ),
    (FailsAtLength, {"test_a_long_message_can_be_summarized"}),
    (DividesByTheTarget, {"test_any_target_can_be_asked_for"}),
    (TakesFromTheList, {"test_nothing_that_is_passed_in_is_changed"}),
    (MarksMessages, {"test_nothing_that_is_passed_in_is_changed"}),
    (
        GoesOnFromTheLast,
        {
            "test_nothing_is_kept_of_another_conversation",
            "test_conversations_are_kept_apart_in_threads",
        },
    ),
    (SharesABuffer, {"test_conversations_are_kept_apart_in_threads"}),
    (BelongsToItsThread, {"test_conversations_are_kept_apart_in_threads"}),
]
