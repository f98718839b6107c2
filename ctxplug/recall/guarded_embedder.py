"""Call an embedder so that its failure stays its own: search then goes by keyword.

Calls run on a daemon thread with a deadline; one that hangs is left behind with its
thread. After a failure the embedder is not asked for PAUSE_SECONDS, and `failure` says why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ctxplug.errors import CtxplugError, PluginError
from ctxplug.recall.embedder import Embedder, checked, query_rows

if TYPE_CHECKING:
    from ctxplug.recall.embedder import Rows

QUERY_SECONDS = 5.0
BATCH_SECONDS = 120.0
PAUSE_SECONDS = 30.0
IDLE_SECONDS = 5.0

_Call = tuple[Callable[[], Any], "Future[Any]"]


class GuardedEmbedder:
    """An embedder with deadlines and checks; `failure` is None while it works.

    `hung` says that the last failure was a deadline.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        query_seconds: float = QUERY_SECONDS,
        batch_seconds: float = BATCH_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.embedder = embedder
        self.name = str(embedder.name)
        self.dimension = int(embedder.dimension)
        self.failure: str | None = None
        self.hung = False
        self._seconds = (query_seconds, batch_seconds)
        self._pause = pause_seconds
        self._clock = clock
        self._paused_until = 0.0
        # A question must not wait for a batch, so each has a thread of its own.
        self._questions, self._batches = _Caller(), _Caller()

    @property
    def paused(self) -> bool:
        """Whether it failed a short while ago and is not asked."""
        return self._clock() < self._paused_until

    def query(self, text: str) -> Rows | None:
        """Return the vector of a question, or None while the embedder fails."""
        if self.paused:
            return None
        try:
            rows: Rows = self._call(
                self._questions,
                lambda: checked(query_rows(self.embedder, text), 1, self.embedder),
                self._seconds[0],
            )
        except PluginError:
            return None
        row: Rows = rows[0]
        return row

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return the vectors of `texts`; raise PluginError when the embedder fails."""
        if self.paused:
            raise PluginError(
                f"The embedder {self.name!r} failed and is not asked again for a while:"
                f" {self.failure}",
                plugin=self.name,
            )
        return self._call(
            self._batches,
            lambda: checked(self.embedder.embed(list(texts)), len(texts), self.embedder),
            self._seconds[1],
        )

    def _call(self, caller: _Caller, call: Callable[[], Rows], seconds: float) -> Rows:
        future = caller.submit(call)
        try:
            rows: Rows = future.result(seconds)
        except TimeoutError as exc:
            if future.done():  # its own TimeoutError, not ours
                raise self._failed(f"raised {exc!r}") from exc
            caller.abandon()
            error = self._failed(f"gave no answer within {seconds:g} s")
            self.hung = True
            raise error from exc
        except CtxplugError as exc:
            raise self._failed(str(exc)) from exc
        except BaseException as exc:  # SystemExit included: it ends no host
            raise self._failed(f"raised {type(exc).__name__}: {exc}") from exc
        self.failure, self.hung = None, False
        return rows

    def _failed(self, why: str) -> PluginError:
        self.failure, self.hung = why, False
        self._paused_until = self._clock() + self._pause
        return PluginError(f"The embedder {self.name!r} failed: {why}", plugin=self.name)

    def try_again(self) -> None:
        """Ask it again at once, whatever happened before."""
        self._paused_until = 0.0


class _Caller:
    """Runs calls in order on one daemon thread, which ends when there is nothing to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Queue `call` and return the future of its result."""
        future: Future[Any] = Future()
        with self._lock:
            self._calls.put((call, future))
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(
                    target=self._run, args=(self._calls,), daemon=True, name="ctxplug-embedder"
                )
                self._thread.start()
        return future

    def abandon(self) -> None:
        """Leave a hanging call to its thread; the next call gets another."""
        with self._lock:
            self._thread, self._calls = None, SimpleQueue()

    def _run(self, calls: SimpleQueue[_Call]) -> None:
        while True:
            try:
                call, future = calls.get(timeout=IDLE_SECONDS)
            except Empty:
                with self._lock:
                    if calls.empty():
                        if calls is self._calls:
                            self._thread = None
                        return
                continue
            try:
                future.set_result(call())
            except BaseException as exc:
                future.set_exception(exc)
