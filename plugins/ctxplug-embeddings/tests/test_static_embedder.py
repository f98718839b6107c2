"""WordLlama, with the weights of its wheel."""

from __future__ import annotations

import logging
import socket
from typing import Any

import numpy as np
import pytest
from ctxplug_embeddings.static import wordllama

from ctxplug.recall.embedder import Embedder
from ctxplug.testing.embedder_suite import EmbedderSuite


class TestWordLlama(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return wordllama()


class TestWordLlama64(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return wordllama("64")


def test_it_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert wordllama().embed(["Lisbon"]).shape == (1, 256)


def test_fewer_numbers_are_another_embedder() -> None:
    full, short = wordllama(), wordllama("64")
    assert (full.dimension, short.dimension) == (256, 64)
    assert full.name != short.name
    rows = full.embed(["I moved to Lisbon."])[:, :64]
    np.testing.assert_allclose(
        short.embed(["I moved to Lisbon."]), rows / np.linalg.norm(rows), atol=1e-5
    )


def test_what_means_the_same_is_nearest() -> None:
    texts = ["The cat sleeps on the sofa.", "Our revenue grew in March.", "She flew to Portugal."]
    rows = wordllama().embed(texts)
    for query, best in [
        ("Where does the kitten nap?", 0),
        ("How were sales this spring?", 1),
        ("Which country did she travel to?", 2),
    ]:
        assert int(np.argmax(rows @ wordllama().embed([query])[0])) == best, query


def test_function_words_count_less() -> None:
    plain, wordy = wordllama().embed(["Lisbon airport", "it is at the Lisbon airport, which was"])
    stated = wordllama().embed(["Which was it at the is"])[0]
    assert plain @ wordy > 0.8 > stated @ wordy


def test_loading_leaves_the_root_logger_alone() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    wordllama()
    assert (root.handlers, root.level) == before
