"""No SQLite connection crosses a fork.

SQLite counts its file locks per process. A child that inherits the count believes in
locks which only the parent holds, and what it commits can vanish when the parent closes
the file. So everything open is closed before a fork, and parent and child open it again
when they next need it.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What holds connections, or threads and locks that a child does not get."""

    def before_fork(self) -> None:
        """Close all connections; nobody is using one."""

    def after_fork_in_child(self) -> None:
        """Replace locks and threads that stayed behind in the parent."""


class Gate:
    """Any number of threads may be inside at once; `shut` waits until nobody is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False
        self._mine = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._mine, "depth", 0)
        if not depth:
            with self._changed:
                while self._shut:
                    self._changed.wait()
                self._inside += 1
        self._mine.depth = depth + 1

    def __exit__(self, *exc_info: object) -> None:
        self._mine.depth -= 1
        if not self._mine.depth:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    self._changed.notify_all()

    def shut(self) -> None:
        """Keep everyone out, once everyone but this thread has left."""
        with self._changed:
            while self._shut:
                self._changed.wait()
            self._shut = True
            own = 1 if getattr(self._mine, "depth", 0) else 0  # a signal handler that forks
            while self._inside > own:
                self._changed.wait()

    def open(self) -> None:
        """Let everyone in again."""
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    def renew(self) -> None:
        """Begin anew in a child, where only the forking thread lives."""
        self._changed = threading.Condition()
        self._inside = 1 if getattr(self._mine, "depth", 0) else 0
        self._shut = False


GATE = Gate()
_known: weakref.WeakSet[Forkable] = weakref.WeakSet()


def look_after(store: Forkable) -> None:
    """Call `store`'s methods at every fork of this process."""
    _known.add(store)


def _before() -> None:
    GATE.shut()
    for store in list(_known):
        store.before_fork()


def _in_child() -> None:
    GATE.renew()
    for store in list(_known):
        store.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=GATE.open, after_in_child=_in_child)
