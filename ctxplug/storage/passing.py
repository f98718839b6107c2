"""PassingBackend: a backend that passes everything on to another, to be changed in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import (
    Archived,
    ArchiveState,
    Backend,
    CheckReport,
    Entry,
    Glance,
    Hit,
    Occurrences,
    Op,
    SessionInfo,
    Stream,
    VectorState,
    Where,
)
from ctxplug.storage.erasure import EraseReceipt
from ctxplug.storage.workers import Workers

T = TypeVar("T")


class PassingBackend(Backend):
    """`inner` in every respect; a subclass says what is otherwise."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        vars(self)["capabilities"] = inner.capabilities

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is made, or copied
            raise AttributeError(name)
        return getattr(self._inner, name)

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops`."""
        return self._inner.write(*ops)

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Remove everything of `namespace`."""
        return self._inner.erase(namespace)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Remove the own entries of sessions."""
        return self._inner.erase_session(namespace, session, *others)

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        """Return entries of a stream."""
        return self._inner.read(stream, **options)

    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`."""
        return self._inner.head(stream)

    def lineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Return the sessions whose entries `stream` reads."""
        return self._inner.lineage(stream)

    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Return the streams of `namespace`."""
        return self._inner.sessions(namespace)

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Return the namespaces that hold anything."""
        return self._inner.namespaces(prefix)

    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Return one record, or None."""
        return self._inner.get(namespace, id)

    def find(self, *args: Any, **options: Any) -> list[MemoryRecord]:
        """Return matching records."""
        return self._inner.find(*args, **options)

    def count(self, where: Where) -> int:
        """Return how many records match."""
        return self._inner.count(where)

    def search(self, *args: Any, **options: Any) -> list[Hit]:
        """Return the best matches."""
        return self._inner.search(*args, **options)

    def nearest(self, *args: Any, **options: Any) -> list[tuple[str, float]]:
        """Return id and score of the best matches by vector."""
        return self._inner.nearest(*args, **options)

    def occurrences(self, *args: Any, **options: Any) -> Occurrences:
        """Return where terms occur."""
        return self._inner.occurrences(*args, **options)

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Glance]:
        """Return what ranking needs of records."""
        return self._inner.glance(where, places)

    def vector_state(self, namespace: Namespace) -> VectorState:
        """Return whose vectors `namespace` holds."""
        return self._inner.vector_state(namespace)

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        """Return records without a vector."""
        return self._inner.unembedded(namespace, limit)

    def archived(self, *args: Any, **options: Any) -> list[Archived]:
        """Return archived records."""
        return self._inner.archived(*args, **options)

    def archive_state(self, namespace: Namespace) -> ArchiveState:
        """Return how much of `namespace` is archived."""
        return self._inner.archive_state(namespace)

    def backup(self, target: str) -> None:
        """Write a copy of the whole store."""
        self._inner.backup(target)

    def check(self) -> CheckReport:
        """Examine the store."""
        return self._inner.check()

    def close(self) -> None:
        """Close the store."""
        self._inner.close()

    async def arun(self, unit: Callable[[], T]) -> T:
        """Run `unit` on a worker thread of the store."""
        return await self._inner.arun(unit)

    def __repr__(self) -> str:
        return repr(self._inner)

    def _threads(self) -> Workers:
        return self._inner._threads()
