"""The SDKs of OpenAI and Voyage against a local server that speaks their APIs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ctxplug_embeddings import services

from ctxplug.recall.embedder import Embedder
from ctxplug.recall.guarded_embedder import GuardedEmbedder
from ctxplug.testing.embedder_suite import EmbedderSuite

SECRET = "sk-secret"


@pytest.fixture(autouse=True)
def environment(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.status = 200
    server.seen.clear()
    for name in ("OPENAI", "VOYAGE"):
        monkeypatch.setenv(f"{name}_API_KEY", SECRET)
        monkeypatch.setenv(f"{name}_BASE_URL", server.url)
    monkeypatch.setattr(services, "RETRIES", 0)


class TestOpenAI(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return services.openai("some-model")


class TestVoyage(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return services.voyage("some-model?dimensions=40")


def test_the_order_of_an_openai_answer_is_restored() -> None:
    embedder = services.openai("some-model")
    texts = [f"text number {i}" for i in range(70)]
    together = embedder.embed(texts)
    np.testing.assert_allclose(together[41], embedder.embed([texts[41]])[0], atol=1e-6)


def test_texts_go_out_in_batches_without_blank_ones(server: Any) -> None:
    embedder = services.openai("text-embedding-3-small?dimensions=8")
    embedder.embed(["", *["word"] * 40, "  "])
    assert [len(request["input"]) for request in server.seen] == [32, 8]
    assert {request["dimensions"] for request in server.seen} == {8}


def test_a_known_model_is_not_asked_for_its_dimension(server: Any) -> None:
    assert services.openai("text-embedding-3-small").dimension == 1536
    assert services.voyage("voyage-3.5").dimension == 1024
    assert server.seen == []
    assert services.openai("new-model").dimension == 24
    assert len(server.seen) == 1


def test_voyage_is_told_what_is_a_question(server: Any) -> None:
    embedder = services.voyage("some-model?dimensions=40")
    document, question = embedder.embed(["Lisbon"])[0], embedder.embed_query("Lisbon")
    assert [request["input_type"] for request in server.seen] == ["document", "query"]
    assert not np.allclose(document, question)


def test_names_hold_the_model_and_no_secret() -> None:
    assert services.openai("m").name == "openai:m"
    assert services.voyage("m?dimensions=40").name == "voyage:m:40"


@pytest.mark.parametrize("make", [services.openai, services.voyage])
def test_a_refusal_degrades_recall_and_reaches_nobody(make: Any, server: Any) -> None:
    guarded = GuardedEmbedder(make("some-model"))
    assert guarded.query("Lisbon") is not None
    server.status = 401
    assert guarded.query("Lisbon") is None
    assert guarded.failure
    assert SECRET not in guarded.failure
