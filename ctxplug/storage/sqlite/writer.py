"""One thread writes: it takes what has queued up, commits it together, and answers.

Each unit of work runs in a savepoint, so that one that fails takes nothing with it. A
unit is answered only after the commit that holds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import apsw

from ctxplug.errors import ClosedError
from ctxplug.storage.sqlite.connections import (
    Place,
    close_quietly,
    closing_on_failure,
    merge_on_close,
)
from ctxplug.storage.sqlite.errors import translate
from ctxplug.storage.sqlite.forks import GATE

T = TypeVar("T")
Unit: TypeAlias = Callable[[apsw.Connection], Any]
BATCH = 256
WAL_KEPT_BYTES = 64 * 2**20


class Writer:
    """The writing connection of one store and its thread."""

    def __init__(self, place: Place, synchronous: str) -> None:
        self._place = place
        self._synchronous = synchronous
        self._connection: apsw.Connection | None = None
        self._queue: SimpleQueue[tuple[Unit, bool, Future[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name="ctxplug-writer")
        self._thread.start()

    def run(self, unit: Callable[[apsw.Connection], T], *, alone: bool = False) -> T:
        """Run `unit` inside a transaction and return its result once it is committed.

        With `alone` it runs outside of any transaction and nothing runs beside it.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise ClosedError(f"The store {self._place.path!r} was closed; open it again.")
            self._queue.put((unit, alone, future))
        return future.result()

    def let_go(self) -> None:
        """Close the connection while no unit runs; the next unit opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            close_quietly(connection)

    def close(self) -> None:
        """Finish what is queued, then close the connection. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch, alone, last = self._take()
            with GATE:
                if batch:
                    self._commit(batch)
                if alone is not None:
                    self._run_alone(*alone)
                if last:
                    self.let_go()
                    return

    def _take(
        self,
    ) -> tuple[list[tuple[Unit, Future[Any]]], tuple[Unit, Future[Any]] | None, bool]:
        """Wait for work; return units to commit together, one to run alone, and the end."""
        batch: list[tuple[Unit, Future[Any]]] = []
        item = self._queue.get()
        while True:
            if item is None:
                return batch, None, True
            unit, alone, future = item
            if alone:
                return batch, (unit, future), False
            batch.append((unit, future))
            if len(batch) == BATCH:
                return batch, None, False
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch, None, False

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            connection = self._place.connect()
            with closing_on_failure(connection):
                merge_on_close(connection)
                connection.pragma("journal_mode", "wal")
                connection.pragma("synchronous", self._synchronous)
                connection.pragma("journal_size_limit", WAL_KEPT_BYTES)
            self._connection = connection
        else:
            self._place.require_unmoved()
        return self._connection

    def _commit(self, batch: list[tuple[Unit, Future[Any]]]) -> None:
        answers: list[tuple[Any, BaseException | None]] = []
        try:
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            for unit, _ in batch:
                answers.append(_attempt(connection, unit))
                if not connection.in_transaction:  # SQLite undid it all: disk full, I/O error
                    raise answers[-1][1] or apsw.AbortError("the transaction was rolled back")
            connection.execute("COMMIT")
        except BaseException as exc:
            self._undo()
            self._fail(exc, [future for _, future in batch])
            return
        for (_, future), (result, error) in zip(batch, answers, strict=True):
            if error is None:
                future.set_result(result)
            else:
                self._fail(error, [future])

    def _undo(self) -> None:
        """End a transaction that failed, or give up its connection."""
        connection = self._connection
        try:
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")
        except apsw.Error:
            self.let_go()  # closing rolls back what is left; the first error is told

    def _run_alone(self, unit: Unit, future: Future[Any]) -> None:
        try:
            result = unit(self._connected())
        except BaseException as exc:
            self._undo()
            self._fail(exc, [future])
        else:
            future.set_result(result)

    def _fail(self, exc: BaseException, futures: list[Future[Any]]) -> None:
        for future in futures:
            if isinstance(exc, apsw.Error):
                error = translate(exc, self._place.path, waited=self._place.busy_seconds)
                error.__cause__ = exc
                future.set_exception(error)
            else:
                future.set_exception(exc)


def _attempt(connection: apsw.Connection, unit: Unit) -> tuple[Any, BaseException | None]:
    """Run `unit` in a savepoint; return its result, or the error that undid it."""
    connection.execute("SAVEPOINT unit")
    try:
        result = unit(connection)
    except BaseException as exc:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO unit")
            connection.execute("RELEASE unit")
        return None, exc
    connection.execute("RELEASE unit")
    return result, None
