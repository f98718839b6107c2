"""The conformance suite of embedders: the law in `ctxplug.recall.embedder`.

Subclass it, override one fixture, and inherit the tests::

    class TestMyEmbedder(EmbedderSuite):
        @pytest.fixture(scope="class")
        def embedder(self):
            return my_embedder()

"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from ctxplug.recall.embedder import Embedder, checked, query_rows

TEXTS = (
    "I moved to Lisbon last week.",
    "我上周搬到了里斯本。",
    "She prefers window seats.",
    "",
    " \n\t",
    "\0",
    "\ud800 a lone surrogate",
    "e\u0301 is not é",
    "👩\u200d👩\u200d👧 😀",
    "！？，。",
    "x = f(a_b, 'c')  # 4711",
    "!!!",
    "مرحبا، नमस्ते",
    "<script>{{7*7}}</script> %s '; --",
)
LONG = "The invoice 4711 is due in May. 发票四七一一五月到期。 " * 2000


class EmbedderSuite:
    """The tests that every embedder passes; override the fixture `embedder`."""

    tolerance = 1e-4  # between a text alone and in a batch

    @pytest.fixture
    def embedder(self) -> Embedder:
        """Return the embedder under test."""
        raise NotImplementedError("Override the fixture 'embedder' with the embedder to test.")

    def test_it_has_a_name_and_a_dimension(self, embedder: Embedder) -> None:
        """Rule 5, as far as one can see it from outside."""
        assert isinstance(embedder, Embedder)
        assert isinstance(embedder.name, str) and embedder.name.strip() == embedder.name != ""
        assert isinstance(embedder.dimension, int) and embedder.dimension > 0

    def test_rows_are_float32_of_length_one_in_order(self, embedder: Embedder) -> None:
        """Rules 1, 2 and 3, for texts of many kinds in one batch."""
        rows = embedder.embed(TEXTS)
        assert rows.dtype == np.float32
        checked(rows, len(TEXTS), embedder)
        assert abs(np.linalg.norm(rows[0]) - 1) < 1e-3, "a plain sentence has a vector"

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        """Rule 1."""
        rows = embedder.embed([])
        assert rows.shape == (0, embedder.dimension)
        assert rows.dtype == np.float32

    def test_a_batch_gives_what_its_texts_give_alone(self, embedder: Embedder) -> None:
        """Rule 4: no row depends on its neighbours or on its place."""
        together = embedder.embed(TEXTS)
        for place, text in enumerate(TEXTS):
            np.testing.assert_allclose(
                embedder.embed([text])[0], together[place], atol=self.tolerance, err_msg=ascii(text)
            )
        backwards = embedder.embed(TEXTS[::-1])[::-1]
        np.testing.assert_allclose(backwards, together, atol=self.tolerance)

    def test_it_gives_the_same_every_time(self, embedder: Embedder) -> None:
        """Rule 4, also for a text given twice in a batch."""
        np.testing.assert_allclose(
            embedder.embed(TEXTS), embedder.embed(TEXTS), atol=self.tolerance
        )
        twice = embedder.embed([TEXTS[0], TEXTS[2], TEXTS[0]])
        np.testing.assert_allclose(twice[0], twice[2], atol=self.tolerance)

    def test_different_sentences_have_different_rows(self, embedder: Embedder) -> None:
        """What gives one row for everything finds nothing."""
        rows = embedder.embed([TEXTS[0], TEXTS[2]])
        assert float(rows[0] @ rows[1]) < 0.999

    def test_a_long_text_is_cut_and_not_refused(self, embedder: Embedder) -> None:
        """Rule 3."""
        checked(embedder.embed([LONG, "short"]), 2, embedder)

    def test_a_question_gives_one_row_for_any_text(self, embedder: Embedder) -> None:
        """Rule 6, whether or not there is an `embed_query`."""
        for text in (*TEXTS, LONG):
            row = query_rows(embedder, text)
            checked(row, 1, embedder)
            np.testing.assert_allclose(query_rows(embedder, text), row, atol=self.tolerance)

    def test_it_works_from_several_threads(self, embedder: Embedder) -> None:
        """Rule 7."""
        expected = embedder.embed(TEXTS[:3])
        found: list[Any] = []

        def work() -> None:
            found.extend(embedder.embed(TEXTS[:3]) for _ in range(3))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 12
        for rows in found:
            np.testing.assert_allclose(rows, expected, atol=self.tolerance)
