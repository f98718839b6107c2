"""Places: how many tool calls run at once, in the process and for one user.

Whoever finds no place waits in a queue, in order; one who waits for a user's own limit does
not hold up others. Usable from any thread and event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(eq=False)
class Place:
    """A place that was taken, or is waited for."""

    user: str
    most: int | None
    per_user: int | None
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    free: asyncio.Future[None] | None = None  # None: nobody waits for it
    held: bool = False


class Places:
    """Places to run; `enter` takes one and `leave` gives it back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_user: Counter[str] = Counter()
        self._queue: deque[Place] = deque()
        self.taken = 0

    async def enter(
        self, user: str, *, most: int | None, per_user: int | None, seconds: float
    ) -> Place | None:
        """Take one place for `user`; None if none came free in `seconds`.

        There are `most` places in all and `per_user` for each user; None: no limit.
        """
        place = Place(user, most, per_user)
        with self._lock:
            self._queue.append(place)
            self._admit()
            if place.held:
                return place
            place.free = place.loop.create_future()
        try:
            await asyncio.wait_for(place.free, max(0.0, seconds))
        except TimeoutError:
            self.leave(place)
            return None
        except BaseException:
            self.leave(place)
            raise
        return place

    def leave(self, place: Place) -> None:
        """Give a place back, or stop waiting for it."""
        with self._lock:
            if place.held:
                place.held = False
                self.taken -= 1
                self._of_user[place.user] -= 1
                if not self._of_user[place.user]:
                    del self._of_user[place.user]
            else:
                with suppress(ValueError):
                    self._queue.remove(place)
            self._admit()

    def _admit(self) -> None:
        """Give free places to those who wait, in order."""
        passed: deque[Place] = deque()
        while self._queue:
            place = self._queue.popleft()
            if place.most is not None and self.taken >= place.most:
                passed.append(place)
                break  # the rest waits behind it
            if place.per_user is not None and self._of_user[place.user] >= place.per_user:
                passed.append(place)
            elif _told(place):
                place.held = True
                self.taken += 1
                self._of_user[place.user] += 1
        self._queue.extendleft(reversed(passed))


def _told(place: Place) -> bool:
    """Wake who waits for `place`; say whether there is still somebody."""
    free = place.free
    if free is None:
        return True
    try:
        place.loop.call_soon_threadsafe(lambda: None if free.done() else free.set_result(None))
    except RuntimeError:  # its loop is closed
        return False
    return True


PLACES = Places()  # of this process


def _renew() -> None:
    PLACES.__init__()  # type: ignore[misc]  # a forked child runs none of its parent's calls


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
