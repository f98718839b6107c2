"""The vectors of one namespace of the in-memory backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ctxplug.errors import InvalidValueError
from ctxplug.scope import Namespace
from ctxplug.storage.backend import Embed, Op, Unembed, Vector
from ctxplug.storage.vectors import VectorTable, require_same, search, to_vector

if TYPE_CHECKING:
    from ctxplug.storage.vectors import Floats, Keys


class SpaceVectors:
    """Vectors by record id, all of one embedder."""

    def __init__(self, embedder: str, dimension: int) -> None:
        self.embedder = embedder
        self.dimension = dimension
        self._last = 0
        self._keys: dict[str, int] = {}
        self._held: dict[int, tuple[str, Floats]] = {}
        self._table = VectorTable(dimension)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, id: str) -> bool:
        return id in self._keys

    def put(self, id: str, vector: Floats) -> None:
        """Give the record `id` its vector, in place of any it has."""
        self.drop(id)
        self._last += 1
        self._keys[id] = self._last
        self._held[self._last] = (id, vector)
        self._table.add([self._last], vector[None, :])

    def drop(self, id: str) -> None:
        """Take the vector of record `id` away, if it has one."""
        key = self._keys.pop(id, None)
        if key is None:
            return
        del self._held[key]
        if self._table.size > 2 * len(self._held) + 64:  # most rows are of the past
            self._table = VectorTable(self.dimension)
            if self._held:
                self._table.add(*self._fetch(self._held))

    def nearest(
        self, vector: Vector, embedder: str | None, limit: int, counts: Callable[[str], bool]
    ) -> list[tuple[str, float]]:
        """Return the `limit` nearest record ids for which `counts` is true, best first."""
        query = to_vector(vector)
        require_same(self.embedder, self.dimension, embedder, query)

        def passing(keys: Iterable[int]) -> set[int]:
            return {key for key in keys if key in self._held and counts(self._held[key][0])}

        found = search(
            self._table,
            query,
            limit,
            fetch=self._fetch,
            passing=passing,
            every=lambda: sorted(passing(list(self._held))),
        )
        return [(self._held[key][0], score) for key, score in found]

    def _fetch(self, keys: Iterable[int] | Keys) -> tuple[Keys, Floats]:
        import numpy as np

        present = [int(key) for key in keys if int(key) in self._held]
        rows = [self._held[key][1] for key in present]
        floats = np.array(rows, np.float32).reshape(len(rows), self.dimension)
        return np.array(present, np.int64), floats


def check_embeds(ops: Sequence[Op]) -> dict[Namespace, Embed]:
    """Return the first Embed of each namespace; raise InvalidValueError if others differ from it.

    A write that embeds by two embedders could only fail half-way, so it fails at once.
    """
    firsts: dict[Namespace, Embed] = {}
    for op in ops:
        if isinstance(op, Embed):
            first = firsts.setdefault(op.namespace, op)
            if (first.embedder, len(first.vector)) != (op.embedder, len(op.vector)):
                raise InvalidValueError(
                    f"One write holds vectors of {first.embedder!r} ({len(first.vector)}"
                    f" dimensions) and {op.embedder!r} ({len(op.vector)}) for one namespace."
                )
    return firsts


def check_stored(ops: Sequence[Op], stored: Mapping[Namespace, SpaceVectors | None]) -> None:
    """Raise EmbedderChangedError if an Embed of `ops` does not fit what is `stored`."""
    for namespace, first in check_embeds(ops).items():
        cleared = any(isinstance(op, Unembed) and op.namespace == namespace for op in ops)
        held = stored.get(namespace)
        if held is not None and not cleared:
            require_same(held.embedder, held.dimension, first.embedder, to_vector(first.vector))
