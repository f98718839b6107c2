"""A Chroma collection as an index of one namespace's vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from chromadb.errors import ChromaError, NotFoundError

from ctxplug.errors import StorageError

if TYPE_CHECKING:
    from ctxplug.storage.vectors import Fetch, Floats, Keys, Scored

PREFIX = "ctxplug-"
EF_SEARCH = 400
EXACT_AT_ONCE = 4096
RESCORED = 2  # times as many as are wanted, because Chroma's order is approximate


class ChromaIndexes:
    """Indexes in the collections of one Chroma client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def open(self, name: str, dimension: int) -> ChromaIndex:
        """Return the index `name`; one of another dimension is removed and begun anew."""
        with calling("Chroma"):
            index = self._open(name, dimension)
            if index.dimension != dimension:
                self._client.delete_collection(PREFIX + name)
                index = self._open(name, dimension)
            return index

    def drop(self, name: str) -> None:
        """Remove the index `name`, if there is one."""
        with calling("Chroma"):
            try:
                self._client.delete_collection(PREFIX + name)
            except NotFoundError:
                return

    def _open(self, name: str, dimension: int) -> ChromaIndex:
        collection = self._client.get_or_create_collection(
            PREFIX + name,
            embedding_function=None,
            configuration={"hnsw": {"space": "ip", "ef_search": EF_SEARCH}},
            metadata={"dimension": dimension, "last": 0},
        )
        return ChromaIndex(collection, self._client.get_max_batch_size())


class ChromaIndex:
    """The vectors of one namespace; `last` is written after what it speaks of."""

    def __init__(self, collection: Any, batch: int) -> None:
        metadata = collection.metadata or {}
        self.dimension = int(metadata.get("dimension", 0))
        self.last = int(metadata.get("last", 0))
        self.size = int(collection.count())
        self.nbytes = 0
        self._collection = collection
        self._batch = batch

    def add(self, keys: Sequence[int] | Keys, rows: Floats) -> None:
        """Add `rows` under `keys`; what is there already is written over."""
        ids = [str(key) for key in keys]
        with calling("Chroma"):
            for start in range(0, len(ids), self._batch):
                stop = start + self._batch
                self._collection.upsert(ids=ids[start:stop], embeddings=rows[start:stop])
            self.last = int(keys[-1])
            self._collection.modify(metadata={"dimension": self.dimension, "last": self.last})
        self.size += len(ids)  # too many, if some were there already: it is exact when opened

    def nearest(
        self, query: Floats, count: int, fetch: Fetch, allowed: Keys | None = None
    ) -> Scored:
        """Return the `count` nearest: of all, as Chroma finds them; of `allowed`, exactly."""
        if allowed is None:
            allowed = self._asked(query, min(self.size, RESCORED * count))
        scored: Scored = []
        for start in range(0, len(allowed), EXACT_AT_ONCE):
            keys, rows = fetch(allowed[start : start + EXACT_AT_ONCE])
            scores = rows @ query
            scored += zip(keys.tolist(), scores.tolist(), strict=True)
            scored.sort(key=lambda pair: (-pair[1], -pair[0]))
            del scored[count:]
        return scored

    def _asked(self, query: Floats, count: int) -> Keys:
        if not count:
            return np.empty(0, np.int64)
        with calling("Chroma"):
            found = self._collection.query(query_embeddings=[query], n_results=count, include=[])
        return np.array([int(id) for id in found["ids"][0]], np.int64)


@contextmanager
def calling(target: str) -> Iterator[None]:
    """Turn what Chroma and its HTTP client raise into StorageError, with the cause chained."""
    try:
        yield
    except (ChromaError, ValueError, RuntimeError, OSError) as exc:
        raise StorageError(
            f"{target} failed: {type(exc).__name__}: {exc}. Is the server up, and the folder"
            " writable? Records and keywords do not need it.",
            target=target,
        ) from exc
    except Exception as exc:
        if type(exc).__module__.partition(".")[0] not in ("httpx", "httpcore", "chromadb"):
            raise
        raise StorageError(f"{target} failed: {exc!r}.", target=target) from exc
