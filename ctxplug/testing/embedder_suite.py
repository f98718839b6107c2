"""The conformance suite of embedders: the law in `ctxplug.recall.embedder`.

Subclass it, override one fixture, and inherit the tests::

    class TestMyEmbedder(EmbedderSuite):
        @pytest.fixture(scope="class")
        def embedder(self):
            return my_embedder()

"""

from __future__ import annotations

from typing import Any

import pytest

from ctxplug.errors import PluginError
from ctxplug.recall.embedder import Embedder, checked, query_rows
from ctxplug.testing.suite import Suite, answering, from_threads, kind_of, not_overridden

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


class EmbedderSuite(Suite):
    """The tests that every embedder passes; override the fixture `embedder`."""

    tolerance = 1e-4  # between a text alone and in a batch

    @pytest.fixture
    def embedder(self) -> Embedder:
        """Return the embedder under test."""
        raise not_overridden("embedder", "the embedder")

    def test_it_has_a_name_and_a_dimension(self, embedder: Embedder) -> None:
        """Rule 5, as far as one can see it from outside."""
        assert isinstance(embedder, Embedder), (
            f"a {kind_of(embedder)} lacks a member of ctxplug.recall.Embedder"
        )
        assert isinstance(embedder.name, str) and embedder.name.strip() == embedder.name != "", (
            f"the name says which vectors can be compared, and {embedder.name!r} does not"
        )
        assert isinstance(embedder.dimension, int) and embedder.dimension > 0, (
            f"the dimension is the length of a row, not {embedder.dimension!r}"
        )

    def test_there_is_a_row_of_float32_for_each_text(self, embedder: Embedder) -> None:
        """Rules 1 and 3, for texts of many kinds in one batch."""
        _of_shape(embedder.embed(TEXTS), len(TEXTS), embedder)

    def test_every_row_has_length_one(self, embedder: Embedder) -> None:
        """Rule 2; what is without words may have a row of zeros, a plain sentence not."""
        rows = embedder.embed(TEXTS)
        _checked(rows, len(TEXTS), embedder)
        for text, row in zip(TEXTS[:2], rows, strict=False):
            length = float(row @ row) ** 0.5
            assert abs(length - 1) < 1e-3, (
                f"the row of the plain sentence {text!r} has the length {length:.4g}"
            )

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        """Rule 1."""
        with answering("an empty list of texts"):
            rows = embedder.embed([])
        _of_shape(rows, 0, embedder)

    def test_a_batch_gives_what_its_texts_give_alone(self, embedder: Embedder) -> None:
        """Rule 4: no row depends on its neighbours or on its place."""
        together = embedder.embed(TEXTS)
        alone = [embedder.embed([text])[0] for text in TEXTS]
        self._alike(alone, together, "texts alone have other rows than in a batch")
        backwards = embedder.embed(TEXTS[::-1])[::-1]
        self._alike(backwards, together, "texts in another order have other rows")

    def test_it_gives_the_same_every_time(self, embedder: Embedder) -> None:
        """Rule 4, also for a text given twice in a batch."""
        first, again = embedder.embed(TEXTS), embedder.embed(TEXTS)
        self._alike(again, first, "texts have other rows when they are embedded again")
        twice = embedder.embed([TEXTS[0], TEXTS[2], TEXTS[0]])
        self._alike(twice[0], twice[2], "one text in a batch twice has two rows")

    def test_different_sentences_have_different_rows(self, embedder: Embedder) -> None:
        """What gives one row for everything finds nothing."""
        for pair in ((TEXTS[0], TEXTS[2]), (TEXTS[1], "女儿对花生过敏。")):
            rows = embedder.embed(pair)
            assert float(rows[0] @ rows[1]) < 0.999, f"{' and '.join(pair)} have the same row"

    def test_a_long_text_is_cut_and_not_refused(self, embedder: Embedder) -> None:
        """Rule 3."""
        with answering(f"a text of {len(LONG)} characters"):
            rows = embedder.embed([LONG, "short"])
        _checked(rows, 2, embedder)

    def test_a_question_gives_one_row_for_any_text(self, embedder: Embedder) -> None:
        """Rule 6, whether or not there is an `embed_query`."""
        for text in (*TEXTS, LONG):
            row = query_rows(embedder, text)
            _checked(row, 1, embedder)
            self._alike(query_rows(embedder, text), row, f"{ascii(text)[:60]} has two rows")

    def test_nothing_that_is_passed_in_is_changed(self, embedder: Embedder) -> None:
        """The list of texts stays as it was."""
        texts = list(TEXTS)
        embedder.embed(texts)
        assert texts == list(TEXTS), "embedding changed the list of texts"

    def test_nothing_is_kept_of_other_texts(self, embedder: Embedder) -> None:
        """Rule 5: a name and a text give one row, whatever was embedded before."""
        before = embedder.embed(TEXTS[:3])
        embedder.embed(["Nobody has said this before.", "从来没有人说过这句话。"] * 9)
        self._alike(embedder.embed(TEXTS[:3]), before, "after other texts, rows are others")

    def test_it_works_from_several_threads(self, embedder: Embedder) -> None:
        """Rule 7: questions come while a batch is embedded, and of many users at once."""
        pairs = [TEXTS[n : n + 2] for n in range(4)]
        expected = [embedder.embed(texts) for texts in pairs]
        found = from_threads(lambda n: [embedder.embed(pairs[n % 4]) for _ in range(3)])
        for number, batches in enumerate(found):
            for rows in batches:
                self._alike(rows, expected[number % 4], "other threads got other rows")

    def _alike(self, found: Any, expected: Any, otherwise: str) -> None:
        import numpy as np

        far = float(np.max(np.abs(np.asarray(found) - np.asarray(expected)), initial=0.0))
        assert far <= self.tolerance, f"{otherwise}: {far:.4g} apart, {self.tolerance:g} allowed"


def _of_shape(rows: Any, count: int, embedder: Embedder) -> None:
    import numpy as np

    assert isinstance(rows, np.ndarray), f"rows are a NumPy array, not a {kind_of(rows)}"
    assert rows.dtype == np.float32, f"rows are float32, not {rows.dtype}"
    expected = (count, embedder.dimension)
    assert rows.shape == expected, f"{count} texts gave the shape {rows.shape}, not {expected}"


def _checked(rows: Any, count: int, embedder: Embedder) -> None:
    try:
        checked(rows, count, embedder)
    except PluginError as exc:
        raise AssertionError(f"{exc}") from exc
