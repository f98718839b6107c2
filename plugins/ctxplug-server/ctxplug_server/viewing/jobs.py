"""Jobs: what takes longer than a request may, done one after the other, and kept for the next."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from ctxplug.errors import ClosedError, CtxplugError
from ctxplug_server.problems import ServerBusyError, ServerFaultError

__all__ = ["Job", "Jobs"]

WAIT = 0.6  # seconds for which a request waits for what it asked for
KEPT, WAITING = 64, 32


@dataclass
class Job:
    """One piece of work: `done` of `of` steps; it is over when `ended` is set."""

    make: Callable[[Job], Any]
    of: int = 0
    done: int = 0
    result: Any = None
    error: CtxplugError | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    given_up: threading.Event = field(default_factory=threading.Event)

    def progress(self, steps: int = 1) -> None:
        """Say that it came on; raises ClosedError where nobody wants it any more."""
        if self.given_up.is_set():
            raise ClosedError("The server is ending.")
        self.done += steps


class Jobs:
    """A thread that works off jobs, the oldest first; it begins with the first one."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, key: Hashable, of: int, make: Callable[[Job], Any], wait: float = WAIT) -> Job:
        """Return the job of `key`, begun if there is none; it may end while it is waited for.

        Raises what it raised, and forgets it then, so that it can be asked for again.
        """
        with self._changed:
            job = self._jobs.get(key) or self._begin(key, Job(make, of))
            self._jobs.move_to_end(key)
        job.ended.wait(wait)
        if job.error is not None:
            with self._changed:
                self._jobs.pop(key, None)
            raise job.error
        return job

    def close(self) -> None:
        """Give up what is not done."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            for job in self._jobs.values():
                job.given_up.set()
            self._changed.notify_all()

    def _begin(self, key: Hashable, job: Job) -> Job:
        if self._closed or len(self._waiting) >= WAITING:
            raise ServerBusyError("Too much is being computed; try again.")
        self._jobs[key] = job
        for old in [key for key, job in self._jobs.items() if job.ended.is_set()]:
            if len(self._jobs) > KEPT:
                del self._jobs[old]
        self._waiting.append(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="ctxplug-viewing")
            self._thread.start()
        self._changed.notify_all()
        return job

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                job = self._waiting.popleft()
            try:
                job.result = job.make(job)
            except CtxplugError as exc:
                job.error = exc
            except Exception as exc:
                job.error = ServerFaultError("This could not be computed; the server's log has it.")
                job.error.__cause__ = exc
            job.ended.set()
