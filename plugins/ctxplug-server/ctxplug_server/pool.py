"""Pool: the memories that are open, one for each way a session is asked for.

A memory is lent to a request and given back at its end; only what nobody has is closed.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from ctxplug import AgentMemory, CtxplugError
from ctxplug.scope import Namespace

__all__ = ["Opening", "Pool"]


@dataclass(frozen=True, slots=True)
class Opening:
    """How a memory is opened: two requests that say the same share one."""

    namespace: Namespace
    session: str | None = None
    agent: str | None = None
    model: str | None = None
    policy: str | None = None


@dataclass(slots=True)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    memory: AgentMemory | None = None
    users: int = 0
    used_at: float = 0.0
    used: bool = False  # since its steps were stored
    dropped: bool = False

    def is_left(self, before: float) -> bool:
        """Say whether nobody has it, and it was last used at `before` or earlier."""
        return self.used and not self.users and self.used_at <= before


class Pool:
    """Memories made by `open`; of those that nobody has, `most` stay open."""

    def __init__(
        self, open: Callable[[Opening], AgentMemory], *, most: int, idle_seconds: float
    ) -> None:
        self._open = open
        self._most = most
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._places: OrderedDict[Opening, _Place] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def lend(self, opening: Opening) -> tuple[AgentMemory, Callable[[], None]]:
        """Return the memory for `opening`, and what gives it back."""
        with self._lock:
            place = self._places.setdefault(opening, _Place())
            place.users += 1
            self._places.move_to_end(opening)
            surplus = self._surplus() if len(self._places) > self._most else []
        _close(surplus)

        def give_back() -> None:
            self._give_back(opening, place)

        try:
            if place.memory is None:
                with place.lock:
                    if place.memory is None:
                        place.memory = self._open(opening)
            return place.memory, give_back
        except BaseException:
            give_back()
            raise

    def drop(self, namespace: Namespace) -> None:
        """Close what is open of `namespace`, or let it be closed when it is given back."""
        with self._lock:
            found = [o for o in self._places if o.namespace == namespace]
            places = [self._places.pop(opening) for opening in found]
            for place in places:
                place.dropped = True
            idle = [place for place in places if not place.users]
        _close(idle)

    def store_steps(self, idle_seconds: float = 1.0) -> None:
        """Store the steps that wait in memories that nobody has: no write may come to take them."""
        before = time.monotonic() - idle_seconds
        with self._lock:
            found = [o for o, place in self._places.items() if place.is_left(before)]
        for opening in found:
            with self._lock:
                place = self._places.get(opening)
                if place is None or place.memory is None:
                    continue
                place.users, place.used = place.users + 1, False  # nobody closes it meanwhile
            try:
                with suppress(CtxplugError):  # what cannot be stored now waits on
                    contextvars.Context().run(place.memory.trace.flush)
            finally:
                self._give_back(opening, place, used=False)

    def close_idle(self, now: float | None = None) -> None:
        """Close what nobody asked for in a while, so that what waits in it is written."""
        before = (time.monotonic() if now is None else now) - self._idle_seconds
        with self._lock:
            found = [o for o, p in self._places.items() if not p.users and p.used_at <= before]
            places = [self._places.pop(opening) for opening in found]
        _close(places)

    def close(self) -> None:
        """Close all, those that are still lent too."""
        with self._lock:
            places = list(self._places.values())
            self._places.clear()
        _close(places)

    def _give_back(self, opening: Opening, place: _Place, *, used: bool = True) -> None:
        with self._lock:
            place.users -= 1
            if used:
                place.used, place.used_at = True, time.monotonic()
            if place.users or not (place.dropped or place.memory is None):
                return
            if self._places.get(opening) is place:
                del self._places[opening]
        _close([place])

    def _surplus(self) -> list[_Place]:
        """Take out what was asked for longest ago, of that which nobody has."""
        excess = len(self._places) - self._most
        idle = [opening for opening, place in self._places.items() if not place.users]
        return [self._places.pop(opening) for opening in idle[:excess]]


def _close(places: Iterable[_Place]) -> None:
    """Close memories in a context of their own: what they write belongs to no request."""
    for place in places:
        if place.memory is not None:
            contextvars.Context().run(place.memory.close)
