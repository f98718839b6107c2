"""Embedders that each break one rule, and the tests of the suite that say so."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ctxplug.testing import FakeEmbedder


class Right(FakeEmbedder):
    """An embedder that keeps every rule; those below change one thing of it."""


class HasNoName(Right):
    def __init__(self) -> None:
        super().__init__()
        self.name = ""


class GivesLists(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        return (
            [list(row) for row in super().embed(texts)]
            if len(texts) == 14
            else super().embed(texts)
        )


class GivesDoubles(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        return rows.astype(np.float64) if len(texts) > 1 else rows


class GivesLongRows(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        return 2 * rows if len(texts) == 14 else rows


class GivesZeros(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        for row, text in zip(rows, texts, strict=True):
            if "Lisbon" in text:
                row[:] = 0
        return rows


class KnowsNoChinese(Right):
    """Finds nothing in it."""

    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        for row, text in zip(rows, texts, strict=True):
            if text and not text.isascii():
                row[:] = 0
        return rows


class FailsAtNothing(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        return super().embed([texts[0], *texts[1:]])


class CentresItsBatch(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        return np.roll(rows, len(texts) // 10, axis=1)


class NeverTheSame(Right):
    calls = 0

    def embed(self, texts: Sequence[str]) -> Any:
        self.calls += len(texts) == 14
        return np.roll(super().embed(texts), self.calls // 2, axis=1)


class KnowsOneRow(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        rows[:] = 0
        rows[:, 0] = 1
        return rows


class KnowsOneRowOfChinese(Right):
    """As a vocabulary in which all of it is the unknown word."""

    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        for row, text in zip(rows, texts, strict=True):
            if text and not text.isascii():
                row[:] = [1, *[0] * (len(row) - 1)]
        return rows


class FailsAtLength(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        if any(len(text) > 10_000 for text in texts) and len(texts) > 1:
            raise ValueError("too long")
        return super().embed(texts)


class TwoRowsForAQuestion(Right):
    def embed_query(self, text: str) -> Any:
        return super().embed([text, text])


class ClearsTheList(Right):
    def embed(self, texts: Sequence[str]) -> Any:
        rows = super().embed(texts)
        if isinstance(texts, list) and len(texts) > 4:
            texts.clear()
        return rows


class LearnsItsWords(Right):
    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()

    def embed(self, texts: Sequence[str]) -> Any:
        self.known |= {text for text in texts if "before" in text}
        return np.roll(super().embed(texts), len(self.known), axis=1)


class SharesABuffer(Right):
    texts: Sequence[str] = ()

    def embed(self, texts: Sequence[str]) -> Any:
        self.texts = texts
        if threading.current_thread() is not threading.main_thread():
            threading.Event().wait(0.002)  # as one that waits for its model
        return super().embed(self.texts)


RIGHT = Right
WRONG: list[tuple[Any, set[str]]] = [
    (HasNoName, {"test_it_has_a_name_and_a_dimension"}),
    (
        GivesLists,
        {"test_there_is_a_row_of_float32_for_each_text", "test_every_row_has_length_one"},
    ),
    (GivesDoubles, {"test_there_is_a_row_of_float32_for_each_text"}),
    (
        GivesLongRows,
        {"test_every_row_has_length_one", "test_a_batch_gives_what_its_texts_give_alone"},
    ),
    (GivesZeros, {"test_every_row_has_length_one"}),
    (KnowsNoChinese, {"test_every_row_has_length_one"}),
    (KnowsOneRowOfChinese, {"test_different_sentences_have_different_rows"}),
    (FailsAtNothing, {"test_no_texts_give_no_rows"}),
    (CentresItsBatch, {"test_a_batch_gives_what_its_texts_give_alone"}),
    (
        NeverTheSame,
        {"test_it_gives_the_same_every_time", "test_a_batch_gives_what_its_texts_give_alone"},
    ),
    (KnowsOneRow, {"test_different_sentences_have_different_rows"}),
    (FailsAtLength, {"test_a_long_text_is_cut_and_not_refused"}),
    (TwoRowsForAQuestion, {"test_a_question_gives_one_row_for_any_text"}),
    (ClearsTheList, {"test_nothing_that_is_passed_in_is_changed"}),
    (LearnsItsWords, {"test_nothing_is_kept_of_other_texts"}),
    (SharesABuffer, {"test_it_works_from_several_threads"}),
]
