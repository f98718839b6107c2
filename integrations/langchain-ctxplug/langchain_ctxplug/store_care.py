"""The care of a store: what has expired is removed, vectors are made anew, namespaces erased."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, EraseReceipt, Op, Unembed, Where
from langchain_ctxplug.store_items import (
    ITEM,
    Draft,
    fields_of,
    key_of,
    operations,
    path_of,
    texts_of,
    value_of,
)
from langchain_ctxplug.store_paths import Paths, checked_path
from langchain_ctxplug.store_vectors import Rows, Vectors

if TYPE_CHECKING:
    from langgraph.store.base import TTLConfig

log = logging.getLogger("langchain_ctxplug")

AT_ONCE = 64
SWEEP_MINUTES = 5.0


class StoreCare:
    """The verbs of CtxplugStore that are not LangGraph's `batch`; each has an a-twin."""

    backend: Backend
    paths: Paths
    vectors: Vectors | None
    clock: Callable[[], datetime]
    ttl_config: TTLConfig | None
    _sweeper: tuple[threading.Thread, threading.Event] | None = None

    # -- what has expired ----------------------------------------------------------------

    def sweep_ttl(self) -> int:
        """Remove items that have expired and return how many; they are not seen anyway."""
        now, removed = self.clock(), 0
        for location in self._locations():
            for record in self.backend.find(Where(location, kinds=[ITEM])):
                if record.expires_at is not None and record.expires_at <= now:
                    removed += self._replaced([(_draft(record), None, record)], Rows())
        return removed

    async def asweep_ttl(self) -> int:
        """Async twin of `sweep_ttl`."""
        return await self.backend.arun(self.sweep_ttl)

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep in the background, at this interval or that of `ttl`, until the store is closed."""
        self.stop_ttl_sweeper()
        configured = (self.ttl_config or {}).get("sweep_interval_minutes")
        minutes = sweep_interval_minutes or configured or SWEEP_MINUTES
        stop = threading.Event()
        thread = threading.Thread(
            target=self._sweep_until, args=(stop, 60 * minutes), daemon=True, name="ctxplug-sweeper"
        )
        self._sweeper = (thread, stop)
        thread.start()

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """End the sweeping in the background; say whether it ended within `timeout` seconds."""
        if self._sweeper is None:
            return True
        thread, stop = self._sweeper
        stop.set()
        thread.join(timeout)
        if not thread.is_alive():
            self._sweeper = None
        return not thread.is_alive()

    def _sweep_until(self, stop: threading.Event, seconds: float) -> None:
        while not stop.wait(seconds):
            try:
                self.sweep_ttl()
            except Exception:  # the next sweep may succeed, and nothing expired is seen meanwhile
                log.exception("expired items could not be removed")

    # -- vectors -------------------------------------------------------------------------

    def reindex(self) -> int:
        """Make all vectors anew by the store's embedder and return of how many items.

        For another embedder than before, or after it failed. Raises InvalidValueError if
        there is none or it fails still; what it did not come to is found by its words.
        """
        if self.vectors is None:
            raise InvalidValueError(
                "This store has no embedder to re-index with; open it with index or embedder.",
                path="embedder",
            )
        done = 0
        for location in self._locations():
            self.backend.write(Unembed(location))
            records = self.backend.find(Where(location, kinds=[ITEM], now=self.clock()))
            for start in range(0, len(records), AT_ONCE):
                done += self._embedded(self.vectors, records[start : start + AT_ONCE])
        return done

    async def areindex(self) -> int:
        """Async twin of `reindex`."""
        return await self.backend.arun(self.reindex)

    def _embedded(self, vectors: Vectors, records: Sequence[MemoryRecord]) -> int:
        drafts = [_draft(record) for record in records]
        rows = vectors.of(list({text: None for draft in drafts for text in draft.texts}), [])
        if vectors.failure:
            raise InvalidValueError(f"The embedder failed: {vectors.failure}", path="embedder")
        pairs = [(d, r, r) for d, r in zip(drafts, records, strict=True) if d.texts]
        try:
            self._replace(pairs, rows)
            return len(pairs)
        except ConflictError:  # whoever changed one gave it its vector
            return sum(self._replaced([pair], rows) for pair in pairs)

    # -- all of a namespace --------------------------------------------------------------

    def erase(self, namespace_prefix: tuple[str, ...]) -> list[EraseReceipt]:
        """Remove everything of `namespace_prefix` and below it, leaving no copy; one receipt each.

        With `()` that is the whole store. `delete` removes one item, but leaves its text in
        free pages of a file.
        """
        prefix = checked_path(namespace_prefix)
        receipts = []
        for location in self.backend.namespaces(self.paths.above(prefix)):
            path = self.paths.path(location) or self._path_by_item(location)
            if path is not None and path[: len(prefix)] == prefix:
                receipts.append(self.backend.erase(location))
        return receipts

    async def aerase(self, namespace_prefix: tuple[str, ...]) -> list[EraseReceipt]:
        """Async twin of `erase`."""
        return await self.backend.arun(partial(self.erase, namespace_prefix))

    # -- inside --------------------------------------------------------------------------

    def _nowhere(self) -> Where:
        return Where(self.paths.location(()))

    def _path_by_item(self, location: Namespace) -> tuple[str, ...] | None:
        found = self.backend.find(Where(location, kinds=[ITEM]), limit=1)
        return path_of(found[0]) if found else None

    def _locations(self) -> Iterator[Namespace]:
        yield from self.backend.namespaces(self.paths.above(()))

    def _replace(
        self, pairs: Sequence[tuple[Draft, MemoryRecord | None, MemoryRecord]], rows: Rows
    ) -> None:
        name = self.vectors.name if self.vectors else ""
        ops: list[Op] = []
        for draft, record, old in pairs:
            ops += operations(draft, record, old, rows, name)
        if ops:
            self.backend.write(*ops)

    def _replaced(
        self, pairs: Sequence[tuple[Draft, MemoryRecord | None, MemoryRecord]], rows: Rows
    ) -> int:
        """Say how many were replaced: none, if one was changed meanwhile."""
        try:
            self._replace(pairs, rows)
        except ConflictError:
            return 0
        return len(pairs)


def _draft(record: MemoryRecord) -> Draft:
    value, fields = value_of(record), fields_of(record)
    texts = texts_of(value, fields)
    return Draft(path_of(record), record.namespace, key_of(record.id), value, fields, texts)
