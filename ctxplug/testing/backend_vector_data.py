"""What the laws of vectors write, and how they look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ctxplug.storage import Backend, Embed, Put, Unembed, Where
from ctxplug.testing.backend_data import NS, memory, note, require_refused

EMBEDDER = "model:3"


def embed(id: str, vector: Any, **fields: Any) -> Embed:
    """Return an Embed in NS by EMBEDDER unless `fields` say otherwise."""
    return Embed(**{"namespace": NS, "id": id, "embedder": EMBEDDER, "vector": vector, **fields})


def found(backend: Backend, vector: Any, limit: int = 10, **conditions: Any) -> list[str]:
    """Return the ids of the nearest records of NS."""
    where = Where(NS, **conditions)
    hits = backend.search(where, vector=vector, embedder=EMBEDDER, limit=limit)
    ids = [hit.record.id for hit in hits]
    near = backend.nearest(where, vector, embedder=EMBEDDER, limit=limit)
    assert near == [(id, hit.score) for id, hit in zip(ids, hits, strict=True)]
    return ids


def lacks_vectors(backend: Backend) -> bool:
    """Say whether `backend` does not declare "vector"; it must then refuse whatever needs it."""
    if "vector" in backend.capabilities:
        return False
    backend.write(Put(memory("m"), "word"))
    calls: dict[str, Callable[[], Any]] = {
        "a write with Embed": lambda: backend.write(note(1), embed("m", [1.0, 0.0, 0.0])),
        "a write with Unembed": lambda: backend.write(note(1), Unembed(NS)),
        "search by vector": lambda: backend.search(Where(NS), vector=[1.0, 0.0], embedder=EMBEDDER),
        "nearest": lambda: backend.nearest(Where(NS), [1.0, 0.0, 0.0], embedder=EMBEDDER),
        "vector_state": lambda: backend.vector_state(NS),
        "unembedded": lambda: backend.unembedded(NS, 5),
    }
    require_refused(backend, "vector", calls)
    assert backend.sessions(NS) == []
    return True
