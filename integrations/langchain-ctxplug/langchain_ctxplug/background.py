"""Writes that may happen beside the agent's own work, and whose failures are still told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

WORKERS = 8  # they wait for the store, which commits what comes together


class Background:
    """A few threads for what is written; an exit of the interpreter waits for them."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def run(self, task: Callable[[], Any]) -> Future[Any]:
        """Do `task` soon."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="langchain-ctxplug")
        return self._pool.submit(task)

    def close(self) -> None:
        """Wait for what is under way."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


class Pending:
    """What one thread of conversation has under way."""

    def __init__(self) -> None:
        self._futures: deque[Future[Any]] = deque()

    def add(self, future: Future[Any]) -> None:
        """Look after `future`."""
        self._futures.append(future)

    @property
    def count(self) -> int:
        """How many are still under way."""
        return sum(not future.done() for future in self._futures)

    def tell(self, *, wait: bool) -> None:
        """Raise what failed, once; with `wait`, after all of it is done."""
        while self._futures and (wait or self._futures[0].done()):
            self._futures.popleft().result()
