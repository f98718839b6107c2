"""CtxplugStore: LangGraph's long-term store on any ctxplug backend."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchOp,
    TTLConfig,
)

from ctxplug import AgentMemory
from ctxplug.errors import ConflictError, ReadOnlyError
from ctxplug.memory_like import is_memory
from ctxplug.plugins import installed
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Touch
from ctxplug.storage import Op as BackendOp
from langchain_ctxplug.opening import memory_of
from langchain_ctxplug.store_admission import Admission
from langchain_ctxplug.store_care import StoreCare
from langchain_ctxplug.store_checks import checked_op
from langchain_ctxplug.store_items import (
    WHOLE,
    Draft,
    checked_fields,
    checked_ttl,
    checked_value,
    operations,
    record_of,
    texts_of,
    ttl_of,
)
from langchain_ctxplug.store_paths import MARK, Paths, checked_path
from langchain_ctxplug.store_search import Reading
from langchain_ctxplug.store_vectors import Rows, Vectors, vectors_of

TRIES = 100  # against other processes; those of this one wait for each other


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch that makes sense: its operations, what it stores, what it needs vectors of."""

    ops: Sequence[Op]
    drafts: Sequence[Draft]
    documents: Sequence[str]
    queries: Sequence[str]


class CtxplugStore(StoreCare, BaseStore):
    """A LangGraph store: give it to `create_agent(..., store=...)` or `graph.compile(store=...)`.

    `target` is an AgentMemory, a backend, a path or a spec, then with the keywords of
    AgentMemory.open; `namespace`, the root of all items, may be left out. Items of a memory's
    store lie under its namespace, behind the label "ctxplug:store": no recall of a memory
    sees them. `index` is LangGraph's IndexConfig; `embedder`, such as "wordllama", may take
    the place of its `embed`; without either, `query` ranks by words. `ttl` is LangGraph's
    TTLConfig; what has expired is never seen. Usable from any thread and any event loop.
    Raises InvalidValueError for arguments that make no sense, UnsupportedError if there is an
    embedder and the backend has no vectors.
    """

    supports_ttl = True

    def __init__(
        self,
        target: AgentMemory | str | os.PathLike[str] | Backend = "memory:",
        *,
        namespace: str | Iterable[str] | None = None,
        index: IndexConfig | None = None,
        embedder: Any = None,
        ttl: TTLConfig | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        **options: Any,
    ) -> None:
        self.fields = checked_fields((index or {}).get("fields"), (WHOLE,))
        opened_with = target if is_memory(target) else None
        plugins = opened_with.plugins if opened_with else options.get("plugins") or installed()
        embedder = Registry(plugins).resolve("embedder", embedder)
        self.vectors: Vectors | None = vectors_of(index or {}, embedder)
        self._opened = not is_memory(target)
        rootless = self._opened and namespace is None
        if namespace is not None or rootless:
            options["namespace"] = MARK if namespace is None else namespace
        self.memory = memory_of(target, **options)
        self.backend = self.memory.backend
        self.paths = Paths(() if rootless else self.memory.scope.namespace)
        self.ttl_config = ttl
        self.clock = clock
        checked_ttl((ttl or {}).get("default_ttl"), clock())
        self._admission = Admission(plugins, self.memory.scope)
        self._contended = threading.Lock()
        self._ticking = threading.Lock()
        self._last = datetime.min.replace(tzinfo=UTC)
        if self.vectors is not None and "vector" not in self.backend.capabilities:
            self.backend.search(self._nowhere(), vector=[1.0])  # says what is missing

    @property
    def failure(self) -> str | None:
        """Why search goes by words although there is an embedder; None while all is well."""
        return self.vectors.failure if self.vectors else None

    # -- LangGraph's two verbs -----------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run `ops` and return a result for each, in order.

        Reads see what was there before the batch; of several puts of one key the last one
        counts; all of them are one write, done whole or not at all. What makes no sense is
        refused before anything is done.
        """
        batch = self._understood(ops)
        return self._done(batch, self._rows(batch))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Async twin of `batch`: on the backend's threads, embeddings by their async methods."""
        ops = list(ops)
        if self.vectors is None:
            return await self.backend.arun(partial(self.batch, ops))
        batch = await self.backend.arun(partial(self._understood, ops))
        rows = await self.vectors.aof(batch.documents, batch.queries)
        return await self.backend.arun(partial(self._done, batch, rows))

    # -- life ----------------------------------------------------------------------------

    def location(self, namespace: tuple[str, ...]) -> Namespace:
        """Return the ctxplug namespace where the items of `namespace` lie, as records.

        Open an AgentMemory there only if it is to recall them: they are of kind "item".
        """
        return self.paths.location(checked_path(namespace))

    def close(self) -> None:
        """Let go of what this store opened itself; a memory that was given stays open."""
        self.stop_ttl_sweeper()
        if self._opened:
            self.memory.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        import asyncio

        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<CtxplugStore at {'/'.join(self.paths.location(()))!r}>"

    # -- inside --------------------------------------------------------------------------

    def _understood(self, ops: Iterable[Op]) -> _Batch:
        """Check every operation, and admit what is to be stored; nothing is done yet."""
        checked = [checked_op(op) for op in ops]
        now = self.clock()
        last = {(op.namespace, op.key): op for op in checked if isinstance(op, PutOp)}
        drafts = [self._draft(op, now) for op in last.values()]
        documents = dict.fromkeys(text for draft in drafts for text in draft.texts)
        asked = (op.query for op in checked if isinstance(op, SearchOp) and op.limit)
        queries = dict.fromkeys(query for query in asked if query)
        return _Batch(checked, drafts, list(documents), list(queries))

    def _draft(self, op: PutOp, now: datetime) -> Draft:
        location = self.paths.location(op.namespace)
        fields = checked_fields(op.index, self.fields)
        ttl = checked_ttl(op.ttl, now)
        if op.value is None:
            return Draft(op.namespace, location, op.key, None)
        draft = Draft(op.namespace, location, op.key, checked_value(op.value), fields, (), ttl)
        value = self._admission.admitted(draft, now)
        texts = texts_of(value, fields) if self.vectors else ()
        return Draft(op.namespace, location, op.key, value, fields, texts, ttl)

    def _rows(self, batch: _Batch) -> Rows:
        return self.vectors.of(batch.documents, batch.queries) if self.vectors else Rows()

    def _done(self, batch: _Batch, rows: Rows) -> list[Result]:
        embedder = self.vectors.name if self.vectors else None
        reading = Reading(self.backend, self.paths, self.clock(), rows.queries, embedder)
        results = [_read(reading, op) for op in batch.ops]
        touches = _touches(reading.used, reading.now)
        if batch.drafts:
            self._write(batch.drafts, rows, touches)
        elif touches:
            with suppress(ReadOnlyError):  # what cannot be written can still be read
                self.backend.write(*touches)
        return results

    def _write(self, drafts: Sequence[Draft], rows: Rows, touches: Sequence[Touch]) -> None:
        try:
            self._attempt(drafts, rows, touches)
        except ConflictError:
            with self._contended:
                for left in reversed(range(TRIES)):
                    try:
                        return self._attempt(drafts, rows, touches)
                    except ConflictError:
                        if not left:
                            raise

    def _attempt(self, drafts: Sequence[Draft], rows: Rows, touches: Sequence[Touch]) -> None:
        """Write everything at once, unless one of the items was changed meanwhile."""
        ops: list[BackendOp] = list(touches)
        name = self.vectors.name if self.vectors else ""
        for draft in drafts:
            old = self.backend.get(draft.location, draft.id)
            record = None if draft.value is None else record_of(draft, self._tick(), old)
            ops += operations(draft, record, old, rows, name)
        if ops:
            self.backend.write(*ops)

    def _tick(self) -> datetime:
        """Return the time, later than any before, so that the order of puts is known."""
        with self._ticking:
            self._last = max(self.clock(), self._last + timedelta(microseconds=1))
            return self._last


def _read(reading: Reading, op: Op) -> Result:
    if isinstance(op, GetOp):
        return reading.get(op.namespace, op.key, refresh=op.refresh_ttl)
    if isinstance(op, SearchOp):
        return reading.search(op)
    if isinstance(op, ListNamespacesOp):
        return reading.namespaces(op)
    return None


def _touches(used: Iterable[MemoryRecord], now: datetime) -> list[Touch]:
    """Return what lets the items that were read live on, each for its time."""
    ids: dict[tuple[Namespace, float], list[str]] = {}
    for record in used:
        ids.setdefault((record.namespace, ttl_of(record) or 0.0), []).append(record.id)
    return [
        Touch(location, tuple(dict.fromkeys(found)), now, now + timedelta(minutes=minutes))
        for (location, minutes), found in ids.items()
    ]
