"""PassingBackend: a backend that passes everything on to another, to be changed in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import (
    Archived,
    ArchiveState,
    Backend,
    CheckReport,
    Entry,
    EraseReceipt,
    Glance,
    Hit,
    Occurrences,
    Op,
    SessionInfo,
    Stream,
    VectorState,
    Where,
)

__all__ = ["PassingBackend"]

T = TypeVar("T")


class PassingBackend(Backend):
    """`store` in every respect; a subclass says what is otherwise."""

    def __init__(self, store: Backend) -> None:
        self.store = store
        vars(self)["capabilities"] = store.capabilities

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "store":  # while it is made, or copied
            raise AttributeError(name)
        return getattr(self.store, name)

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops`."""
        return self.store.write(*ops)

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Remove everything of `namespace`."""
        return self.store.erase(namespace)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Remove the own entries of sessions."""
        return self.store.erase_session(namespace, session, *others)

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        """Return entries of a stream."""
        return self.store.read(stream, **options)

    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`."""
        return self.store.head(stream)

    def lineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Return the sessions whose entries `stream` reads."""
        return self.store.lineage(stream)

    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Return the streams of `namespace`."""
        return self.store.sessions(namespace)

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Return the namespaces that hold anything."""
        return self.store.namespaces(prefix)

    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Return one record, or None."""
        return self.store.get(namespace, id)

    def find(self, *args: Any, **options: Any) -> list[MemoryRecord]:
        """Return matching records."""
        return self.store.find(*args, **options)

    def count(self, where: Where) -> int:
        """Return how many records match."""
        return self.store.count(where)

    def search(self, *args: Any, **options: Any) -> list[Hit]:
        """Return the best matches."""
        return self.store.search(*args, **options)

    def nearest(self, *args: Any, **options: Any) -> list[tuple[str, float]]:
        """Return id and score of the best matches by vector."""
        return self.store.nearest(*args, **options)

    def occurrences(self, *args: Any, **options: Any) -> Occurrences:
        """Return where terms occur."""
        return self.store.occurrences(*args, **options)

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Glance]:
        """Return what ranking needs of records."""
        return self.store.glance(where, places)

    def vector_state(self, namespace: Namespace) -> VectorState:
        """Return whose vectors `namespace` holds."""
        return self.store.vector_state(namespace)

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        """Return records without a vector."""
        return self.store.unembedded(namespace, limit)

    def archived(self, *args: Any, **options: Any) -> list[Archived]:
        """Return archived records."""
        return self.store.archived(*args, **options)

    def archive_state(self, namespace: Namespace) -> ArchiveState:
        """Return how much of `namespace` is archived."""
        return self.store.archive_state(namespace)

    def backup(self, target: str) -> None:
        """Write a copy of the whole store."""
        self.store.backup(target)

    def check(self) -> CheckReport:
        """Examine the store."""
        return self.store.check()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    async def arun(self, unit: Callable[[], T]) -> T:
        """Run `unit` on a worker thread of the store."""
        return await self.store.arun(unit)

    def __repr__(self) -> str:
        return repr(self.store)
