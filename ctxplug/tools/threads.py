"""Daemon threads that run one call each and wait a while for the next.

A pool that waits for its threads when the program ends would wait for every tool that hangs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeAlias

IDLE_SECONDS = 10.0

Call: TypeAlias = Callable[[], None]

_lock = threading.Lock()
_idle: list[SimpleQueue[Call]] = []  # each is what one waiting thread is given its calls by


def start(call: Call) -> None:
    """Run `call`, which must not raise, on a thread that nobody else uses meanwhile."""
    with _lock:
        calls = _idle.pop() if _idle else None
    if calls is not None:
        calls.put(call)
        return
    calls = SimpleQueue()
    calls.put(call)
    threading.Thread(target=_work, args=(calls,), daemon=True, name="ctxplug-tool").start()


def _work(calls: SimpleQueue[Call]) -> None:
    while True:
        try:
            call = calls.get(timeout=IDLE_SECONDS)
        except Empty:
            with _lock:
                if calls in _idle:
                    _idle.remove(calls)
                    return
            continue  # a call was given at the last moment
        call()
        del call  # what it holds is not kept while nothing is done
        with _lock:
            _idle.append(calls)


def _renew() -> None:
    global _lock
    _lock = threading.Lock()
    _idle.clear()  # a forked child has none of its parent's threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
