"""Token counters that each break one law, and the tests of the suite that say so."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from ctxplug.messages import Message, OpaquePart, ToolCallPart
from ctxplug.tokens import MessageCounter
from ctxplug.tokens.estimate import estimate


@dataclass
class Right:
    """A counter that keeps every law; those below change one thing of it."""

    name: str = "right"
    estimated: bool = True
    margin: float = 0.1
    request_tokens: int = 3
    text: Any = field(default_factory=lambda: estimate().count_text)

    def count_text(self, text: str) -> int:
        return self.text(text)

    def count(self, message: Message) -> int:
        return MessageCounter(self.name, self.count_text).count(message)


class HasNoMargin:
    name, estimated, request_tokens = "no-margin", False, 3

    def count(self, message: Message) -> int:
        return 4 + self.count_text(message.text)

    def count_text(self, text: str) -> int:
        return len(text)


class Halves(Right):
    def count_text(self, text: str) -> Any:
        return len(text) / 2


class TakesOff(Right):
    def count_text(self, text: str) -> int:
        return super().count_text(text) - 5


class CountsItsCalls(Right):
    def __init__(self) -> None:
        super().__init__()
        self.mine = threading.local()

    def count_text(self, text: str) -> int:
        self.mine.calls = getattr(self.mine, "calls", 0) + 1
        return super().count_text(text) + self.mine.calls % 2


class KnowsTheObject(Right):
    """A copy that a store gives back is equal, and not the same object."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Message] = {}

    def count(self, message: Message) -> int:
        first = self.seen.setdefault(message.id, message)
        return super().count(message) + (first is not message)


class LooksBack(Right):
    last, answer = "", 0

    def count(self, message: Message) -> int:
        if message.id != self.last:
            self.answer = super().count(message) + (self.last > message.id)
            self.last = message.id
        return self.answer


class LeavesTextOut(Right):
    def count(self, message: Message) -> int:
        return (
            4
            + sum(3 + len(str(p)) // 8 for p in message.content if not hasattr(p, "text"))
            + (1 if message.text else 0)
        )


class LeavesCallsOut(Right):
    def count(self, message: Message) -> int:
        said = tuple(p for p in message.content if not isinstance(p, ToolCallPart))
        return super().count(Message(message.role, said))


class FailsAtSurrogates(Right):
    def count_text(self, text: str) -> int:
        return len(text.encode())


class FailsAtDocuments(Right):
    def count(self, message: Message) -> int:
        if any(isinstance(part, OpaquePart) for part in message.content):
            raise TypeError("no text")
        return super().count(message)


class GivesUpOnLength(Right):
    def count_text(self, text: str) -> int:
        return super().count_text(text) if len(text) < 200_000 else 0


class KnowsSpecialTokens(Right):
    def count_text(self, text: str) -> int:
        return 1 if text.startswith("<|") and text.endswith("|>") else super().count_text(text)


class RequestsVary(Right):
    def count_text(self, text: str) -> int:
        self.request_tokens += 1
        return super().count_text(text)


class NamesItsState(Right):
    def count_text(self, text: str) -> int:
        self.name = f"right:{text[:3] or 'x'}"
        return super().count_text(text)


class AsksAService(Right):
    """Says nothing of it when nobody answers."""

    def __init__(self) -> None:
        super().__init__(estimated=False, margin=0.0)

    def count_text(self, text: str) -> int:
        if text.startswith("Nobody"):
            try:
                socket.create_connection(("127.0.0.1", 9), timeout=1).close()
            except OSError:
                return 1
        return super().count_text(text)


class NeedsAService(Right):
    def count_text(self, text: str) -> int:
        if text.startswith("Nobody"):
            socket.create_connection(("127.0.0.1", 9), timeout=1).close()
        return super().count_text(text)


class Writes(Right):
    def count(self, message: Message) -> int:
        if isinstance(message.metadata, dict):
            message.metadata["tokens"] = 1
        return super().count(message)


class CountsWords(Right):
    """As what was tried in English alone."""

    def count_text(self, text: str) -> int:
        return super().count_text(text) if len(text) < 10_000 else len(text.split())


class KnowsItById(Right):
    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, int] = {}

    def count(self, message: Message) -> int:
        if message.id != "m1":
            return super().count(message)
        return self.known.setdefault(message.id, super().count(message))


class KnowsItByItsBeginning(Right):
    def count_text(self, text: str) -> int:
        return super().count_text(text[:20] if text.startswith("Ms. Ann") else text)


class BelongsToItsThread(Right):
    """As what holds a connection of SQLite does."""

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def count_text(self, text: str) -> int:
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")
        return super().count_text(text)


class SharesABuffer(Right):
    buffer = ""

    def count_text(self, text: str) -> int:
        self.buffer = text
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.001)  # as one that waits for a lock, or for a file
        return super().count_text(self.buffer)


RIGHT = Right
WRONG: list[tuple[Any, set[str]]] = [
    (
        HasNoMargin,
        {
            "test_it_is_a_token_counter_with_a_name",
            "test_an_estimate_has_a_margin_and_an_exact_count_next_to_none",
            "test_whatever_a_message_carries_is_counted",
        },
    ),
    (lambda: Right(name=""), {"test_it_is_a_token_counter_with_a_name"}),
    (Halves, {"test_counts_are_integers_of_zero_or_more"}),
    (TakesOff, {"test_counts_are_integers_of_zero_or_more"}),
    (
        CountsItsCalls,
        {
            "test_a_count_is_the_same_every_time",
            "test_a_count_does_not_depend_on_other_messages",
            "test_nothing_is_kept_of_another_message",
        },
    ),
    (
        KnowsTheObject,
        {"test_a_count_is_the_same_every_time", "test_nothing_is_kept_of_another_message"},
    ),
    (
        LooksBack,
        {
            "test_a_count_does_not_depend_on_other_messages",
            "test_nothing_is_kept_of_another_message",
            "test_it_counts_the_same_from_several_threads",
        },
    ),
    (LeavesTextOut, {"test_a_message_costs_at_least_its_text"}),
    (LeavesCallsOut, {"test_whatever_a_message_carries_is_counted"}),
    (FailsAtSurrogates, {"test_any_text_can_be_counted", "test_any_message_can_be_counted"}),
    (FailsAtDocuments, {"test_any_message_can_be_counted"}),
    (GivesUpOnLength, {"test_a_megabyte_without_a_space_is_counted"}),
    (KnowsSpecialTokens, {"test_special_tokens_count_as_the_text_they_are"}),
    (
        lambda: Right(estimated=False),
        {"test_an_estimate_has_a_margin_and_an_exact_count_next_to_none"},
    ),
    (lambda: Right(margin=0.0), {"test_an_estimate_has_a_margin_and_an_exact_count_next_to_none"}),
    (lambda: Right(margin=7), {"test_an_estimate_has_a_margin_and_an_exact_count_next_to_none"}),
    (RequestsVary, {"test_what_a_request_costs_besides_is_fixed"}),
    (NamesItsState, {"test_its_name_stays"}),
    (AsksAService, {"test_without_a_network_it_counts_or_says_that_it_estimates"}),
    (NeedsAService, {"test_without_a_network_it_counts_or_says_that_it_estimates"}),
    (Writes, {"test_nothing_that_is_passed_in_is_changed"}),
    (CountsWords, {"test_a_megabyte_without_a_space_is_counted"}),
    (KnowsItById, {"test_nothing_is_kept_of_another_message"}),
    (KnowsItByItsBeginning, {"test_nothing_is_kept_of_another_message"}),
    (BelongsToItsThread, {"test_it_counts_the_same_from_several_threads"}),
    (SharesABuffer, {"test_it_counts_the_same_from_several_threads"}),
]
