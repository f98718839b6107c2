"""Vectors are made behind the writer's back: `add` never waits for an embedder.

A record is stored at once and found by keyword; that it has no vector yet is written in the
store itself, so nothing is forgotten when the process ends. One thread per queue takes what
waits, in batches, and gives the records their vectors. While the embedder fails, they wait.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ctxplug.errors import ClosedError, EmbedderChangedError, PluginError, ReadOnlyError
from ctxplug.recall.embedder import Embedder
from ctxplug.recall.guarded_embedder import GuardedEmbedder
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Embed, Unembed

if TYPE_CHECKING:
    from ctxplug.recall.embedder import Rows

log = logging.getLogger("ctxplug")

BATCH = 64
IDLE_SECONDS = 5.0
Progress = Callable[[int, int], None]
TextOf = Callable[[MemoryRecord], str]


def content_of(record: MemoryRecord) -> str:
    """Return what is embedded of a record unless the caller chooses otherwise."""
    return record.content


class EmbeddingQueue:
    """The vectors of one backend by one embedder, for any number of namespaces.

    `failure` says why there are none at present, or None. `text_of` gives the text of a
    record that is embedded, its content by default; what it depends on beyond the record's
    content belongs in the embedder's name.
    """

    def __init__(
        self,
        backend: Backend,
        embedder: Embedder | GuardedEmbedder,
        *,
        text_of: TextOf = content_of,
        batch: int = BATCH,
    ) -> None:
        if not isinstance(embedder, GuardedEmbedder):
            embedder = GuardedEmbedder(embedder)
        self.embedder = embedder
        self._backend = backend
        self._text_of = text_of
        self._batch = batch
        self._wake = threading.Condition()
        self._waiting: dict[Namespace, None] = {}  # in order of their turn
        self._busy: Namespace | None = None
        self._postponed: set[Namespace] = set()  # their batch failed
        self._changed: str | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def failure(self) -> str | None:
        """Why vectors are not made or not searched at present; None while all is well."""
        return self._changed or self.embedder.failure

    # -- before and after a write ------------------------------------------------------

    def require_same(self, namespace: Namespace) -> None:
        """Raise EmbedderChangedError if `namespace` holds vectors of another embedder."""
        state = self._backend.vector_state(namespace)
        ours = (self.embedder.name, self.embedder.dimension)
        if state.embedder is not None and (state.embedder, state.dimension) != ours:
            raise EmbedderChangedError(
                f"The vectors of this namespace are of {state.embedder!r} ({state.dimension}"
                f" dimensions), not of {ours[0]!r} ({ours[1]}). Open it with the embedder of"
                " before; or re-index it with `ctxplug reindex TARGET --embedder SPEC`, or, opened"
                " without an embedder, with memory.reindex(embedder).",
                stored=state.embedder,
                given=ours[0],
            )

    def notify(self, namespace: Namespace) -> None:
        """Say that records of `namespace` may wait for a vector; returns at once."""
        with self._wake:
            if self._closed:
                return
            self._waiting |= dict.fromkeys((namespace, *self._postponed))
            self._postponed.clear()
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(
                    target=self._run, daemon=True, name="ctxplug-embedding"
                )
                self._thread.start()
            self._wake.notify_all()

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until every notified record has its vector; say whether that is so.

        It returns at once with False when the embedder fails, and after `seconds`.
        """
        with self._wake:
            done = self._wake.wait_for(lambda: not self._waiting and self._busy is None, seconds)
        return done and self.failure is None and not self._postponed

    def query(self, text: str) -> Rows | None:
        """Return the vector of a question; None while the embedder fails: use keywords."""
        if self._changed:
            return None
        row = self.embedder.query(text)
        postponed = next(iter(self._postponed), None)
        if row is not None and postponed is not None:  # it works again
            self.notify(postponed)
        return row

    def close(self, seconds: float = 10.0) -> None:
        """End the thread after its batch at hand; what still waits does so in the store."""
        with self._wake:
            self._closed = True
            self._waiting.clear()
            self._wake.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    # -- all of a namespace ------------------------------------------------------------

    def reindex(self, namespace: Namespace, progress: Progress | None = None) -> int:
        """Replace all vectors of `namespace` by this embedder's; return how many.

        The old ones are removed first, so two embedders are never mixed: until it is done,
        recall finds by vector what has one already, and everything by keyword. It can be
        broken off and goes on where it was. Raises PluginError when the embedder fails.
        `progress` is called with how many are done, and of how many.
        """
        state = self._backend.vector_state(namespace)
        ours = (self.embedder.name, self.embedder.dimension)
        self._changed = None
        self.embedder.try_again()
        if (state.embedder, state.dimension) == ours:
            return self.fill(namespace, progress)
        self._backend.write(Unembed(namespace))
        # Who still uses the embedder of before may just have been quicker: once more, and in
        # one write with the first of ours, after which it is refused.
        first = self._step(namespace, Unembed(namespace)) or 0
        return first + self.fill(namespace, progress, first)

    def fill(self, namespace: Namespace, progress: Progress | None = None, before: int = 0) -> int:
        """Give every record that waits its vector, in this thread; return how many.

        `before` counts in `progress` what was done already.
        """
        done, total = 0, before + self._backend.vector_state(namespace).pending
        while True:
            if progress is not None and before + done:
                progress(before + done, max(before + done, total))
            given = self._step(namespace)
            if given is None:
                return done
            done += given

    # -- the thread --------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                self._busy = None
                self._wake.notify_all()
                if not self._wake.wait_for(lambda: self._waiting or self._closed, IDLE_SECONDS):
                    self._thread = None
                    return
                if self._closed:
                    self._thread = None
                    return
                namespace = next(iter(self._waiting))
                del self._waiting[namespace]
                self._busy = namespace
            if self._more(namespace):
                self.notify(namespace)  # behind the others

    def _more(self, namespace: Namespace) -> bool:
        """Embed one batch; say whether there may be more to do now."""
        try:
            return self._step(namespace) is not None
        except PluginError as exc:
            with self._wake:
                self._postponed.add(namespace)
            log.warning("records wait for their vectors: %s", exc)
        except (ClosedError, ReadOnlyError):  # they wait in the store
            pass
        except EmbedderChangedError as exc:
            self._changed = str(exc)
            log.warning("no vectors: %s", exc)
        except Exception:  # the store failed, or was closed: whoever writes next is told by it
            log.exception("records wait for their vectors")
        return False

    def _step(self, namespace: Namespace, *first: Unembed) -> int | None:
        """Embed one batch; return how many records got a vector, None if none waited.

        `first` is done in the same write.
        """
        records = self._backend.unembedded(namespace, self._batch)
        if not records:
            return None
        rows = self._embed([self._text_of(record) for record in records])
        name = self.embedder.name
        given = self._backend.write(
            *first,
            *[
                Embed(namespace, record.id, name, row, record.content)
                for record, row in zip(records, rows, strict=True)
            ],
        )
        return sum(given[len(first) :])

    def _embed(self, texts: Sequence[str]) -> Rows:
        """Embed `texts`; if the embedder fails on a few alone, these get rows of zeros."""
        try:
            return self.embedder.embed(texts)
        except PluginError:
            if self.embedder.hung or not self._embeds_something():
                raise
            return self._one_by_one(texts)

    def _embeds_something(self) -> bool:
        self.embedder.try_again()
        try:
            self.embedder.embed(["probe"])
        except PluginError:
            return False
        return True

    def _one_by_one(self, texts: Sequence[str]) -> Rows:
        import numpy as np

        rows = np.zeros((len(texts), self.embedder.dimension), np.float32)
        for place, text in enumerate(texts):
            try:
                rows[place] = self.embedder.embed([text])[0]
            except PluginError as exc:
                if not self._embeds_something():
                    raise
                log.warning("a text of %d characters has no vector: %s", len(text), exc)
        return rows


_lock = threading.Lock()


def queue_of(
    backend: Backend, embedder: Embedder, *, text_of: TextOf = content_of
) -> EmbeddingQueue:
    """Return the queue that all users of `backend` with this embedder share."""
    with _lock:  # kept with the backend, so that it goes when the backend goes
        queues: dict[tuple[str, int], EmbeddingQueue]
        queues = vars(backend).setdefault("_embedding_queues", {})
        key = (str(embedder.name), int(embedder.dimension))
        if key not in queues:
            queues[key] = EmbeddingQueue(backend, embedder, text_of=text_of)
        return queues[key]
