"""What the laws of vectors write, and how they look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ctxplug.errors import UnsupportedError
from ctxplug.storage import Backend, Embed, Put, Unembed, Where
from ctxplug.testing.backend_data import NS, memory, note

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
    calls: list[Callable[[], Any]] = [
        lambda: backend.write(note(1), embed("m", [1.0, 0.0, 0.0])),
        lambda: backend.write(note(1), Unembed(NS)),
        lambda: backend.search(Where(NS), vector=[1.0, 0.0, 0.0], embedder=EMBEDDER),
        lambda: backend.nearest(Where(NS), [1.0, 0.0, 0.0], embedder=EMBEDDER),
        lambda: backend.vector_state(NS),
        lambda: backend.unembedded(NS, 5),
    ]
    for call in calls:
        with pytest.raises(UnsupportedError) as caught:
            call()
        assert caught.value.capability == "vector"
    assert backend.sessions(NS) == []
    return True
