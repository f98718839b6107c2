"""The vectors of a store's texts, by LangChain embeddings or by an embedder of ctxplug."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings
from langgraph.store.base import ensure_embeddings

from ctxplug.errors import InvalidValueError
from ctxplug.recall.embedder import Embedder, query_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Row = npt.NDArray[np.float32]

log = logging.getLogger("langchain_ctxplug")

_MODEL_FIELDS = ("model", "model_name", "model_id", "deployment")


@dataclass
class Rows:
    """The vectors of a batch: of the texts it stores, and of its queries; {} if that failed."""

    documents: Mapping[str, Row] = field(default_factory=dict)
    queries: Mapping[str, Row] = field(default_factory=dict)


class Vectors:
    """What makes the vectors of one store; `failure` says why there are none at present.

    When the embeddings raise, what is stored is found by its words, and `reindex` gives it
    its vectors later. A vector of a wrong length is an error of the setup, and is raised.
    """

    def __init__(self, embeddings: Embeddings, name: str, dimension: int) -> None:
        self.embeddings = embeddings
        self.name = name
        self.dimension = dimension
        self.failure: str | None = None

    def of(self, documents: Sequence[str], queries: Sequence[str]) -> Rows:
        """Return the vectors of `documents` and `queries`."""
        rows = Rows()
        try:
            if documents:
                found = self.embeddings.embed_documents(list(documents))
                rows.documents = self._rows(documents, found)
            if queries:
                rows.queries = self._rows(
                    queries, [self.embeddings.embed_query(q) for q in queries]
                )
            self.failure = None
        except InvalidValueError:
            raise
        except Exception as exc:
            self._failed(exc)
        return rows

    async def aof(self, documents: Sequence[str], queries: Sequence[str]) -> Rows:
        """Async twin of `of`, by the async methods of the embeddings."""
        rows = Rows()
        try:
            if documents:
                found = await self.embeddings.aembed_documents(list(documents))
                rows.documents = self._rows(documents, found)
            if queries:
                asked = [await self.embeddings.aembed_query(query) for query in queries]
                rows.queries = self._rows(queries, asked)
            self.failure = None
        except InvalidValueError:
            raise
        except Exception as exc:
            self._failed(exc)
        return rows

    def _failed(self, exc: Exception) -> None:
        self.failure = f"{type(exc).__name__}: {exc}"
        log.warning("the store goes by keyword, for its embeddings failed: %s", self.failure)

    def _rows(self, texts: Sequence[str], found: Any) -> dict[str, Row]:
        import numpy as np

        rows = np.asarray(found, dtype=np.float32)
        expected = (len(texts), self.dimension)
        if rows.shape != expected:
            raise InvalidValueError(
                f"The embeddings {self.name!r} gave an array of shape {rows.shape} instead of"
                f" {expected}; `dims` of the index must be the length of their vectors.",
                path="index",
            )
        if not np.isfinite(rows).all():
            raise InvalidValueError(f"The embeddings {self.name!r} gave NaN or infinity.")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Row = (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
        return dict(zip(texts, unit, strict=True))


def vectors_of(index: Mapping[str, Any], embedder: Any) -> Vectors | None:
    """Return what makes vectors by LangGraph's `index` or ctxplug's `embedder`; None: neither."""
    embed, dims = index.get("embed"), index.get("dims")
    if embed is not None and embedder is not None:
        raise InvalidValueError(
            "A store has one embedder: give `embed` in index, or embedder, and not both.",
            path="embedder",
        )
    if embedder is not None:
        if not isinstance(embedder, Embedder):
            raise InvalidValueError(
                f"embedder is a spec such as 'wordllama' or an object with name, dimension and"
                f" embed(texts), not {embedder!r:.60}; LangChain embeddings go into index.",
                path="embedder",
            )
        _check_dims(int(embedder.dimension) if dims is None else dims, embedder.dimension)
        return Vectors(_Embeddings(embedder), str(embedder.name), int(embedder.dimension))
    if embed is None:
        return None
    _check_dims(dims, dims)
    embeddings = _AsyncEmbeddings(embed) if _is_async(embed) else ensure_embeddings(embed)
    return Vectors(embeddings, _name(embed), int(dims or 0))


def _check_dims(dims: Any, expected: Any) -> None:
    if isinstance(dims, bool) or not isinstance(dims, int) or dims <= 0 or dims != expected:
        raise InvalidValueError(
            f"dims of the index is the length of the vectors, {expected or 'such as 1536'!r}, not"
            f" {dims!r}.",
            path="index",
        )


def _is_async(embed: Any) -> bool:
    if inspect.iscoroutinefunction(embed):
        return True
    return callable(embed) and inspect.iscoroutinefunction(type(embed).__call__)


def _name(embed: Any) -> str:
    """Return what tells vectors of these embeddings from those of others; it is stored."""
    if isinstance(embed, str):
        return f"langchain:{embed}"
    if isinstance(embed, Embeddings):
        kind = type(embed).__name__
        values = (getattr(embed, name, None) for name in _MODEL_FIELDS)
    else:
        kind = getattr(embed, "__qualname__", type(embed).__qualname__)
        values = (name for name in [getattr(embed, "__module__", None)])
    model = next((value for value in values if isinstance(value, str) and value), "")
    return ":".join(part for part in ("langchain", kind, model) if part)


class _Embeddings(Embeddings):
    """An embedder of ctxplug as LangChain takes it."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text."""
        rows: list[list[float]] = self._embedder.embed(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        row: list[float] = query_rows(self._embedder, text)[0].tolist()
        return row


class _AsyncEmbeddings(Embeddings):
    """A coroutine function as embeddings, for sync callers too; LangGraph's refuses these."""

    def __init__(self, embed: Callable[[Sequence[str]], Awaitable[list[list[float]]]]) -> None:
        self._embed = embed

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text, on a loop of its own: the caller's may be running."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, self.aembed_documents(texts)).result()

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text."""
        return await self._embed(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return (await self._embed([text]))[0]
