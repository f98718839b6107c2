"""RecordSearch: recall over one namespace, with an embedder where one was given.

The embedder may fail at any time: search then goes by keyword, and `failure` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ctxplug.access.guarding import beneath, require_all
from ctxplug.errors import InvalidValueError, StorageError
from ctxplug.recall.recalled import Recalled
from ctxplug.scope import Namespace
from ctxplug.storage import Append, Backend, Op, Put, Unarchive, Where

if TYPE_CHECKING:
    from ctxplug.recall.embedder import Embedder, Rows
    from ctxplug.recall.embedding_queue import EmbeddingQueue, Progress

Tell = Callable[..., None]


class RecordSearch:
    """What an AgentMemory searches with; `tell` is called with an event's kind and data."""

    def __init__(
        self, backend: Backend, namespace: Namespace, embedder: Embedder | None, tell: Tell
    ) -> None:
        self._backend = backend
        self._namespace = namespace
        self._tell = tell
        self._told: str | None = None
        self._lost: str | None = None  # why the vectors that are there cannot be searched
        self._queue: EmbeddingQueue | None = None
        if embedder is not None:
            self._queue = _queue(backend, embedder)
            self._queue.require_same(namespace)
            self._queue.notify(namespace)  # what was written without it waits in the store

    @property
    def failure(self) -> str | None:
        """Why recall goes by keyword alone although there is an embedder; None if it does not."""
        return self._lost or (self._queue.failure if self._queue else None)

    def ranked(self, query: str, where: Where, k: int, **options: Any) -> list[Recalled]:
        """Return the `k` best records; `options` are those of `ctxplug.recall.ranking.recall`."""
        from ctxplug.recall.ranking import recall

        given = {name: value for name, value in options.items() if value is not None}
        if self._queue is None:
            return recall(self._backend, query, where, k, **given)
        from ctxplug.recall.meaning import Meaning

        meaning = Meaning(self._vector_of, self._queue.embedder.name)
        try:
            self._lost = None
            found = recall(self._backend, query, where, k, meaning=meaning, **given)
        except StorageError as exc:  # of the vectors, unless it comes again without them
            found = recall(self._backend, query, where, k, **given)
            self._lost = str(exc)
        self._tell_failure()
        return found

    def written(self, ops: Sequence[Op]) -> None:
        """Have vectors made, in the background, for what `ops` added or brought back."""
        if self._queue is not None and any(
            isinstance(op, Unarchive) or (isinstance(op, Append | Put) and op.terms is not None)
            for op in ops
        ):
            self._queue.notify(self._namespace)

    def reindex(self, embedder: Embedder | None = None, progress: Progress | None = None) -> int:
        """Make all vectors of the namespace anew, by `embedder` or the one in use.

        Returns how many it made. Raises InvalidValueError if there is no embedder.
        """
        queue = self._queue if embedder is None else _queue(self._backend, embedder)
        if queue is None:
            raise InvalidValueError(
                "There is no embedder to re-index with; open the memory with one, or give it:"
                " memory.reindex('wordllama').",
                path="embedder",
            )
        require_all(self._backend, self._namespace, "write")
        made = queue.reindex(self._namespace, progress)
        self._queue, self._lost = queue, None
        return made

    def _vector_of(self, text: str) -> Rows | None:
        return self._queue.query(text) if self._queue else None

    def _tell_failure(self) -> None:
        """Tell, once, that recall began to go without vectors."""
        failure = self.failure
        if failure and failure != self._told:
            self._tell("recall.degraded", why=failure)
        self._told = failure


def _queue(backend: Backend, embedder: Any) -> EmbeddingQueue:
    from ctxplug.recall.embedder import Embedder
    from ctxplug.recall.embedding_queue import queue_of

    if not isinstance(embedder, Embedder):
        raise InvalidValueError(
            f"An embedder has name, dimension and embed(texts); {embedder!r:.60} has not. Give"
            " a spec such as 'wordllama', or see ctxplug.recall.embedder.",
            path="embedder",
        )
    return queue_of(beneath(backend), embedder)  # vectors are made for all, by nobody
