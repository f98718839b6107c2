"""What LangChain and LlamaIndex call embeddings, as embedders."""

from __future__ import annotations

from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug_embeddings.text_embedder import TextEmbedder

MODEL_FIELDS = ("model", "model_name", "model_id", "deployment")


def langchain(embeddings: Any, name: str | None) -> TextEmbedder:
    """Return the embedder of a LangChain `Embeddings` object."""
    _require(embeddings, ("embed_documents", "embed_query"), "a LangChain Embeddings")
    name = name or _name("langchain", embeddings)
    return TextEmbedder(name, embeddings.embed_documents, embeddings.embed_query)


def llamaindex(embedding: Any, name: str | None) -> TextEmbedder:
    """Return the embedder of a LlamaIndex `BaseEmbedding` object."""
    methods = ("get_text_embedding_batch", "get_query_embedding")
    _require(embedding, methods, "a LlamaIndex BaseEmbedding")
    name = name or _name("llamaindex", embedding)
    return TextEmbedder(name, embedding.get_text_embedding_batch, embedding.get_query_embedding)


def _require(thing: Any, methods: tuple[str, ...], what: str) -> None:
    missing = [method for method in methods if not callable(getattr(thing, method, None))]
    if missing:
        raise InvalidValueError(
            f"{type(thing).__name__} is not {what} object: it has no {missing[0]}()."
        )


def _name(framework: str, thing: Any) -> str:
    values = (getattr(thing, field, None) for field in MODEL_FIELDS)
    model = next((value for value in values if isinstance(value, str) and value), "")
    parts = (framework, type(thing).__name__, "" if model == "unknown" else model)
    return ":".join(part for part in parts if part)
