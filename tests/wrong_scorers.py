"""Importance scorers that each break one law, and the tests of the suite that say so."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from ctxplug.messages import Message
from ctxplug.scoring import History
from ctxplug.scoring.scorer import Item


class Right:
    """A scorer that keeps every law: questions, and what was recalled."""

    name = "questions"

    def score(self, item: Item, now: datetime, history: History) -> Any:
        asks = _text(item).rstrip().endswith(("?", "？"))
        return min(1.0, 0.5 * asks + 0.1 * history.accesses.get(item.id, 0))


class HasNoName:
    def score(self, item: Item, now: datetime, history: History) -> float:
        return 0.5


class GoesAboveOne(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        is_message = isinstance(item, Message) and len(item.text) < 10**5
        return 1.0 + is_message * bool(history.ratings)


class GoesBelowZero(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        return super().score(item, now, history) - (not isinstance(item, Message))


class CountsItsCalls(Right):
    def __init__(self) -> None:
        self.mine = threading.local()

    def score(self, item: Item, now: datetime, history: History) -> Any:
        self.mine.calls = getattr(self.mine, "calls", 0) + isinstance(item, Message)
        return 1 / (1 + self.mine.calls)


class LooksAtTheClock(Right):
    """Memories fade between two readings."""

    def __init__(self) -> None:
        self.readings = 0

    def score(self, item: Item, now: datetime, history: History) -> Any:
        self.readings += not isinstance(item, Message)
        return 1 / (1 + self.readings)


class Scribbles(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        item.metadata["seen"] = True  # type: ignore[index]
        return super().score(item, now, history)


class ForgetsRatings(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        if isinstance(history.ratings, dict):
            history.ratings.clear()
        return super().score(item, now, history)


class FailsAtSurrogates(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        if not history.messages:
            _text(item).encode()
        return super().score(item, now, history)


class NeedsWords(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        first = _text(item)[0] if not history.messages else "x"
        return 0.5 * first.isalpha()


class GrowsWithLength(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        return len(_text(item)) / 200_000


class NeedsItsPlace(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        place = history.position(item)
        if not history.messages or not isinstance(item, Message):
            return 0.5
        return (place + 1) / len(history.messages)  # type: ignore[operator]


class ReadsAllEachTime(Right):
    def score(self, item: Item, now: datetime, history: History) -> Any:
        words = set(_text(item).split())
        return min(1.0, sum(bool(words & set(m.text.split())) for m in history.messages) / 10**6)


class LearnsFromAll(Right):
    """What is said often anywhere weighs less everywhere."""

    def __init__(self) -> None:
        self.known: dict[str, set[str]] = {}

    def score(self, item: Item, now: datetime, history: History) -> Any:
        if threading.current_thread() is threading.main_thread() and history.messages:
            users = self.known.setdefault(item.id, set())
            users.add(_text(item)[:3])
            return 1 / max(len(users), 1)
        return 1.0


class KnowsItById(Right):
    """Reads each message once, and forgets that other conversations number theirs alike."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def score(self, item: Item, now: datetime, history: History) -> Any:
        length = self.known.setdefault(item.id, len(_text(item))) if history.messages else 0
        return min(1.0, length / 10**6) if len(history.messages) == 4 else 0.5


class BelongsToItsThread(Right):
    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def score(self, item: Item, now: datetime, history: History) -> Any:
        return 0.5 if threading.get_ident() == self.thread else 0.4


def _text(item: Item) -> str:
    return item.text if isinstance(item, Message) else item.content


RIGHT = Right
_MESSAGES = "test_messages_score_from_zero_to_one_and_always_the_same"
_RECORDS = "test_records_score_from_zero_to_one_and_always_the_same"
_OTHERS = "test_nothing_is_kept_of_another_history"
_THREADS = "test_it_scores_the_same_from_several_threads"
_IDS = "test_nothing_is_kept_by_id_alone"
WRONG: list[tuple[Any, set[str]]] = [
    (HasNoName, {"test_it_has_a_name_and_a_score_method"}),
    (
        GoesAboveOne,
        {
            _MESSAGES,
            _OTHERS,
            _THREADS,
            _IDS,
            "test_nothing_that_is_passed_in_is_changed",
        },
    ),
    (GoesBelowZero, {_RECORDS, "test_nothing_that_is_passed_in_is_changed"}),
    (CountsItsCalls, {_MESSAGES, _OTHERS, _THREADS, _IDS}),
    (LooksAtTheClock, {_RECORDS}),
    (Scribbles, {"test_nothing_that_is_passed_in_is_changed"}),
    (ForgetsRatings, {"test_nothing_that_is_passed_in_is_changed"}),
    (FailsAtSurrogates, {"test_any_text_is_scored_without_a_history"}),
    (NeedsWords, {"test_any_text_is_scored_without_a_history"}),
    (GrowsWithLength, {"test_a_megabyte_on_one_line_is_scored"}),
    (NeedsItsPlace, {"test_an_item_outside_the_history_is_scored"}),
    (ReadsAllEachTime, {"test_a_long_history_is_scored_in_few_passes"}),
    (LearnsFromAll, {_OTHERS, _THREADS, _IDS}),
    (KnowsItById, {_IDS}),
    (BelongsToItsThread, {_THREADS}),
]
