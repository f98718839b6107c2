"""The threads that a backend's a-twins run on: made when first needed, gone when it closes.

A forked child has none of its parent's threads, so it makes its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
WORKERS = 8


class Workers:
    """A pool of threads that may be dismissed and used again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[..., T], *args: Any) -> Future[T]:
        """Run `call` on one of the threads."""
        if self._pid != os.getpid():
            Workers.__init__(self)
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="ctxplug")
            return self._pool.submit(call, *args)

    def dismiss(self) -> None:
        """Let the threads end when they have done what they were given."""
        if self._pid != os.getpid():
            return
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
