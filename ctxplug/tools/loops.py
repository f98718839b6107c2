"""The event loop in which async tools run for sync callers: one for the process, on a thread.

It lives on between calls, so that what a tool keeps (an HTTP client, say) stays usable.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from ctxplug.errors import UnsupportedError

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_left: list[asyncio.AbstractEventLoop | None] = []  # by a fork: of the parent, not to be closed


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns; if the wait is interrupted, `work` is cancelled."""
    if threading.current_thread() is _thread:
        work.close()
        raise UnsupportedError(
            "An async tool runs in the event loop that this call would wait for; use the async"
            " twin there: await memory.tools.arun(...) or acall(...).",
            capability="sync calls from an async tool",
        )
    future: Future[T] = asyncio.run_coroutine_threadsafe(work, _running())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _running() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(
                target=_loop.run_forever, daemon=True, name="ctxplug-tools-loop"
            )
            _thread.start()
        return _loop


def _renew() -> None:
    global _lock, _loop, _thread
    _left.append(_loop)
    _lock, _loop, _thread = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)  # a forked child has none of its parent's threads
