"""Subscriber: one reader of live events, with a queue that cannot grow."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress

from ctxplug.scope import Namespace
from ctxplug_server.live.event import BEHIND, END, LiveEvent

Waiting = OrderedDict[tuple[str, Namespace | None, str | None], LiveEvent]
FOREVER: Callable[[], bool] = lambda: True  # noqa: E731  # a default, not a function of ours


class Subscriber:
    """What one reader waits for; made in its event loop, offered to from any thread.

    Of several changes of one thing only the newest waits. When more than `most` things wait,
    all of them give way to one event that says so. `valid` is asked now and then whether it may
    still read, `lists` which namespaces there are for a reader of all that it may see.
    """

    def __init__(
        self,
        *,
        agent: str | None = None,
        session: str | None = None,
        most: int = 256,
        valid: Callable[[], bool] = FOREVER,
        lists: Callable[[], Iterable[Namespace]] | None = None,
    ) -> None:
        self.agent = agent
        self.session = session
        self.valid = valid
        self.lists = lists
        self.ended: str | None = None
        self._most = most
        self._waiting: Waiting = OrderedDict()
        self._behind = False
        self._newest = 0
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()

    def wants(self, event: LiveEvent) -> bool:
        """Say whether an event of a namespace it follows is for it."""
        return self.session is None or event.session is None or event.session == self.session

    def offer(self, event: LiveEvent) -> None:
        """Let an event wait to be read."""
        with self._lock:
            if self.ended is not None:
                return
            self._newest = max(self._newest, event.number)
            if event.type == BEHIND:
                self._fall_behind()
            elif not self._behind:
                self._waiting.pop(event.key, None)
                self._waiting[event.key] = event
                if len(self._waiting) > self._most:
                    self._fall_behind()
        self._notify()

    def end(self, reason: str) -> None:
        """Let nothing follow what waits but an event that says why."""
        with self._lock:
            if self.ended is None:
                self.ended = reason
        self._notify()

    async def next(self, seconds: float) -> list[LiveEvent]:
        """Return what waits, as soon as anything does; nothing after so many `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        with self._lock:
            self._wake.clear()
            taken = list(self._waiting.values())
            self._waiting.clear()
            if self._behind:
                self._behind = False
                taken.append(LiveEvent(BEHIND, number=self._newest))
            if self.ended is not None:
                taken.append(LiveEvent(END, change=self.ended, number=self._newest))
        return taken

    def _fall_behind(self) -> None:
        self._behind = True
        self._waiting.clear()

    def _notify(self) -> None:
        with suppress(RuntimeError):  # its loop is closed: nobody reads any more
            self._loop.call_soon_threadsafe(self._wake.set)
