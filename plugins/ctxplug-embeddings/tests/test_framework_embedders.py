"""LangChain's and LlamaIndex's own embedding classes as embedders."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from ctxplug_embeddings import from_langchain, from_llamaindex
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings import MockEmbedding

from ctxplug.errors import InvalidValueError
from ctxplug.recall.embedder import Embedder
from ctxplug.testing.embedder_suite import EmbedderSuite


class HashedWords(BaseEmbedding):
    """LlamaIndex's base class with vectors that differ; questions are embedded otherwise."""

    def _vector(self, text: str) -> list[float]:
        row = [0.5] * 12
        for word in text.split():
            row[hashlib.sha256(word.encode()).digest()[0] % 12] += 1
        return row

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._vector(f"query: {query}")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class TestLangChain(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return from_langchain(DeterministicFakeEmbedding(size=20))


class TestLlamaIndex(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return from_llamaindex(HashedWords(model_name="hashed"))


def test_names_hold_the_class_and_its_model() -> None:
    assert from_langchain(DeterministicFakeEmbedding(size=20)).name == (
        "langchain:DeterministicFakeEmbedding"
    )
    assert from_llamaindex(HashedWords(model_name="hashed")).name == "llamaindex:HashedWords:hashed"
    assert from_llamaindex(MockEmbedding(embed_dim=3), name="mine").name == "mine"


def test_rows_are_the_librarys_own_brought_to_length_one() -> None:
    theirs = DeterministicFakeEmbedding(size=20)
    row = np.array(theirs.embed_query("Lisbon"))
    ours = from_langchain(theirs)
    np.testing.assert_allclose(ours.embed(["Lisbon"])[0], row / np.linalg.norm(row), atol=1e-6)
    mock = from_llamaindex(MockEmbedding(embed_dim=4))
    assert (mock.dimension, mock.embed(["x"]).tolist()) == (4, [[0.5] * 4])


def test_a_question_is_embedded_as_the_library_embeds_questions() -> None:
    embedder = from_llamaindex(HashedWords())
    assert not np.allclose(embedder.embed(["Lisbon"])[0], embedder.embed_query("Lisbon"))


@pytest.mark.parametrize("thing", [object(), "name", None, HashedWords()])
def test_what_is_no_langchain_embeddings_is_refused(thing: Any) -> None:
    with pytest.raises(InvalidValueError, match="embed_documents"):
        from_langchain(thing)


def test_what_is_no_llamaindex_embedding_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="get_text_embedding_batch"):
        from_llamaindex(DeterministicFakeEmbedding(size=2))
