"""Places: how many requests are at work at once, over all and of one key, and who waits.

A request without a place waits for one, in order of arrival, for a bounded time. One key that
fills its own share leaves those of others free. Live connections have places of their own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from ctxplug_server.caller import LOCAL, Caller, caller_of
from ctxplug_server.guarding.asgi import App, Receive, Scope, Send, refuse
from ctxplug_server.problems import ServerBusyError
from ctxplug_server.serving import Serving

__all__ = ["Places"]

LIVE = "/v1/live"


@dataclass(slots=True)
class _Waiting:
    key: str
    future: asyncio.Future[None]


class _Room:
    """`most` places, of which one key has `most_of_one`; the rest waits in a queue."""

    def __init__(self, most: int, most_of_one: int, queued: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._queued = queued
        self._taken = 0
        self._of: Counter[str] = Counter()
        self._waiting: deque[_Waiting] = deque()

    def take(self, key: str) -> bool:
        """Take a place, if there is one; the local user may have them all."""
        share = self._most if key == LOCAL else self._most_of_one
        if self._taken >= self._most or self._of[key] >= share:
            return False
        self._taken += 1
        self._of[key] += 1
        return True

    def leave(self, key: str) -> None:
        """Give a place back: to the first who may have it."""
        self._taken -= 1
        self._of[key] -= 1
        if not self._of[key]:
            del self._of[key]
        for waiting in self._waiting:
            if not waiting.future.done() and self.take(waiting.key):
                waiting.future.set_result(None)
                self._waiting.remove(waiting)
                return

    def waiting(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    async def wait(self, key: str, seconds: float) -> bool:
        """Wait for a place; say whether one came free in time."""
        own = sum(waiting.key == key for waiting in self._waiting)
        most = self._queued if key == LOCAL else (self._queued + 1) // 2
        if len(self._waiting) >= self._queued or own >= most:
            return False
        waiting = _Waiting(key, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await asyncio.wait_for(asyncio.shield(waiting.future), seconds)
            return True
        except TimeoutError:
            return self._left(waiting)
        except BaseException:
            if self._left(waiting):
                self.leave(key)
            raise

    def _left(self, waiting: _Waiting) -> bool:
        """Take one out of the queue; say whether it was given a place at the last moment."""
        if waiting.future.done():
            return True
        self._waiting.remove(waiting)
        waiting.future.cancel()
        return False


class Places:
    """Lets in as many requests as may be at work."""

    def __init__(self, app: App, serving: Serving) -> None:
        settings = serving.settings
        self._app = app
        self._serving = serving
        self._seconds = settings.queue_seconds
        self._room = _Room(settings.concurrent, settings.share, settings.queued)
        self._live = _Room(settings.streams, settings.streams_per_key, 1)

        serving.meters.waiting = self._room.waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a request a place, or let it wait for one; what reads no store needs none."""
        caller = caller_of(scope)
        if caller is None:
            await self._app(scope, receive, send)
            return
        live = scope["path"].startswith(LIVE)
        room = self._live if live else self._room
        if not await self._enter(room, caller, live):
            await refuse(scope, send, _busy(live))
            return
        try:
            await self._app(scope, receive, send)
        finally:
            room.leave(caller.id)

    async def _enter(self, room: _Room, caller: Caller, live: bool) -> bool:
        if self._serving.closing.is_set():
            return False
        if room.take(caller.id):
            return True
        return False if live else await room.wait(caller.id, self._seconds)


def _busy(live: bool) -> ServerBusyError:
    what = "live connections" if live else "requests"
    return ServerBusyError(
        f"The server has as many {what} as it takes; nothing was done. Try again in a moment.",
        retry_after=1.0,
    )
