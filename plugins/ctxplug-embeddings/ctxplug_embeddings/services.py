"""Embeddings over HTTP, through the SDKs of OpenAI and Voyage, or of what speaks like them.

Keys and addresses come from the environment, as the SDKs read them: OPENAI_API_KEY and
OPENAI_BASE_URL, VOYAGE_API_KEY and VOYAGE_BASE_URL. They are never part of a name.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qsl

from ctxplug.errors import InvalidValueError
from ctxplug_embeddings.needs import needed
from ctxplug_embeddings.text_embedder import TextEmbedder

SECONDS = 20.0
RETRIES = 2
# What is known is not asked for; any other model is asked once for its dimension.
DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "voyage-3-large": 1024,
    "voyage-3.5": 1024,
    "voyage-3.5-lite": 1024,
    "voyage-code-3": 1024,
}


def openai(argument: str) -> TextEmbedder:
    """Return the embedder for "openai:MODEL[?dimensions=N]"."""
    model, dimension = _model("openai", argument, "text-embedding-3-small")
    library = needed("openai", "'ctxplug-embeddings[openai]'")
    client = library.OpenAI(timeout=SECONDS, max_retries=RETRIES)
    extra = {} if dimension is None else {"dimensions": dimension}

    def documents(texts: list[str]) -> Any:
        answer = client.embeddings.create(
            model=model, input=texts, encoding_format="float", **extra
        )
        return [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]

    return _embedder("openai", model, dimension, documents, None)


def voyage(argument: str) -> TextEmbedder:
    """Return the embedder for "voyage:MODEL[?dimensions=N]"; it asks differently for questions."""
    model, dimension = _model("voyage", argument, "voyage-3.5")
    library = needed("voyageai", "'ctxplug-embeddings[voyage]'")
    client = library.Client(
        timeout=SECONDS, max_retries=RETRIES, base_url=os.environ.get("VOYAGE_BASE_URL")
    )
    extra = {} if dimension is None else {"output_dimension": dimension}

    def documents(texts: list[str]) -> Any:
        return client.embed(texts, model=model, input_type="document", **extra).embeddings

    def question(text: str) -> Any:
        return client.embed([text], model=model, input_type="query", **extra).embeddings[0]

    return _embedder("voyage", model, dimension, documents, question)


def _model(kind: str, argument: str, example: str) -> tuple[str, int | None]:
    model, _, query = argument.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    dimensions = options.pop("dimensions", None)
    if not model or options or not (dimensions is None or dimensions.isdecimal()):
        raise InvalidValueError(
            f"'{kind}:{argument}' names no model, or has unknown options; write"
            f" '{kind}:{example}' or '{kind}:{example}?dimensions=256'."
        )
    return model, None if dimensions is None else int(dimensions)


def _embedder(
    kind: str, model: str, dimension: int | None, documents: Any, question: Any
) -> TextEmbedder:
    name = f"{kind}:{model}" if dimension is None else f"{kind}:{model}:{dimension}"
    dimension = dimension or DIMENSIONS.get(model)
    return TextEmbedder(name, documents, question, dimension=dimension)
