"""Held: one session as the viewer needs it, read once and extended as its log grows."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ctxplug.errors import NotFoundError
from ctxplug.inspector.outline import Outline
from ctxplug.inspector.past import PastWindows
from ctxplug.inspector.reading import Reading
from ctxplug.scope import RESERVED
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.tracing.step import Step
from ctxplug_server.problems import ServerBusyError
from ctxplug_server.viewing.held_steps import HeldSteps

__all__ = ["Held", "HeldSessions"]

PIECE, LEAST = 1024, 64  # entries that are read at once
WINDOWS = 32  # windows of a session that are kept
WAIT = 15.0  # seconds for which a request waits for another about the same session
MOST, WEIGHT = 32, 60_000  # sessions that are kept, and rows and steps of them in all
OTHERS = 4  # windows under other settings that are kept of a session


class Held:
    """The outline, the steps and the windows of the session `stream`.

    One thread at a time works on it: what is asked of it is asked inside `working`, which
    brings it up to date. A log that grew is read on; one that is another by now is read anew.
    """

    def __init__(self, backend: Backend, reading: Reading, stream: Stream) -> None:
        self.backend, self.reading, self.stream = backend, reading, stream
        self._lock = threading.RLock()
        self._last: Entry | None = None
        self._begin()

    def _begin(self) -> None:
        self.begun = object()  # tells what was made of this log from that of an erased one
        self.outline = Outline(self.backend, self.stream, self.reading.counter(self.stream))
        self._steps = HeldSteps(self.backend, self.stream)
        self._steps_due = True
        self._windows: dict[Any, PastWindows] = {}
        self._built: tuple[int, int] = (-1, -1)
        self._kept: dict[str, Any] = {}

    @contextmanager
    def working(self) -> Iterator[Held]:
        """Hold it, up to date; raise NotFoundError if there is no such session."""
        if not self._lock.acquire(timeout=WAIT):
            raise ServerBusyError("This session is being read; try again.")
        try:
            self._renew()
            yield self
        finally:
            self._lock.release()

    @property
    def weight(self) -> int:
        """How much of it is kept: rows and steps."""
        return len(self.outline.rows) + len(self._steps.all)

    # -- reading -------------------------------------------------------------------------

    def read(self, rows: int | None = None, seconds: float | None = None) -> bool:
        """Read until there are `rows`, or all; say whether all is read. It may end in time."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self.outline.complete:
            if rows is not None and len(self.outline.rows) >= rows:
                break
            if until is not None and time.monotonic() > until:
                break
            missing = PIECE if rows is None else rows - len(self.outline.rows)
            self.outline.read(min(PIECE, max(LEAST, missing)))
        return self.outline.complete

    @property
    def steps(self) -> Sequence[Step]:
        """What was traced of it, in order of time; read when they are first asked for."""
        if self._steps_due:
            self._steps.renew()
            self._steps_due = False
        return self._steps.all

    def windows(self, budget: int | None = None, policy: str | None = None) -> PastWindows:
        """Return its windows; all of its outline is read for that."""
        self.read()
        self._outdate()
        key = budget, policy
        if key not in self._windows:
            while len(self._windows) >= OTHERS:
                oldest = next(one for one in self._windows if one != (None, None))
                del self._windows[oldest]
            self._windows[key] = self.reading.windows(
                self.outline, self.steps, budget=budget, policy=policy, remembered=WINDOWS
            )
        return self._windows[key]

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` makes of the whole session, made once until it grows."""
        self.read()
        self._outdate()
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    # -- inside --------------------------------------------------------------------------

    def _renew(self) -> None:
        newest = self.backend.read(self.stream, limit=1, newest_first=True)
        if not newest or self.stream.session.startswith(RESERVED):
            raise NotFoundError(
                f"There is no session {self.stream.session!r}; the list of sessions says which"
                " there are."
            )
        if newest[0] != self._last:
            if self._last is not None and self._entry(self._last.version) != self._last:
                self._begin()  # it was erased, and begun anew
            self._last = newest[0]
            self.outline.complete = False
        self._steps_due = True

    def _entry(self, version: int) -> Entry | None:
        found = self.backend.read(self.stream, after=version - 1, before=version + 1)
        return found[0] if found else None

    def _outdate(self) -> None:
        """Forget what was made of less than there is by now."""
        built = self.outline.head, len(self.steps)
        if built != self._built:
            self._built, self._windows, self._kept = built, {}, {}


class HeldSessions:
    """The sessions that were looked at last, as many as are bounded by `most` and `weight`."""

    def __init__(self, *, most: int = MOST, weight: int = WEIGHT) -> None:
        self._most, self._weight = most, weight
        self._held: OrderedDict[tuple[str | None, Stream], Held] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, agent: str | None, stream: Stream, make: Callable[[], Held]) -> Held:
        """Return the session of `stream` as `agent` may see it."""
        key = agent, stream
        with self._lock:
            held = self._held.get(key)
            if held is None:
                held = self._held[key] = make()
            self._held.move_to_end(key)
            self._trim()
            return held

    def __len__(self) -> int:
        return len(self._held)

    def _trim(self) -> None:
        whole = sum(held.weight for held in self._held.values())
        while len(self._held) > 1 and (len(self._held) > self._most or whole > self._weight):
            whole -= self._held.popitem(last=False)[1].weight
