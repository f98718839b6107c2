"""Embedders for ctxplug; each imports its library when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxplug import hookimpl

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register
    from ctxplug_embeddings.text_embedder import TextEmbedder

__all__ = ["from_langchain", "from_llamaindex", "register_embedders"]


@hookimpl
def register_embedders(register: Register) -> None:
    """Offer the embedders that a spec can name."""
    register("wordllama", "ctxplug_embeddings.static:wordllama")
    register("sentence-transformers", "ctxplug_embeddings.local:sentence_transformers")
    register("openai", "ctxplug_embeddings.services:openai")
    register("voyage", "ctxplug_embeddings.services:voyage")


def from_langchain(embeddings: Any, name: str | None = None) -> TextEmbedder:
    """Return the embedder that a LangChain `Embeddings` object is.

    `name` is stored with the vectors; left out, it is made of the class and its model. The
    dimension is found by embedding one word. Raises InvalidValueError for what is no
    `Embeddings`.
    """
    from ctxplug_embeddings.frameworks import langchain

    return langchain(embeddings, name)


def from_llamaindex(embedding: Any, name: str | None = None) -> TextEmbedder:
    """Return the embedder that a LlamaIndex `BaseEmbedding` object is; see `from_langchain`."""
    from ctxplug_embeddings.frameworks import llamaindex

    return llamaindex(embedding, name)
