"""LiveVerbs: what changes in a namespace, as it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ctxplug import codec
from ctxplug_server.client.answers import is_passing, problem_of
from ctxplug_server.client.calls import nothing, query
from ctxplug_server.client.link import Link
from ctxplug_server.client.retrying import Attempts

SILENCE = 45.0  # seconds after which a stream that says nothing, not even that it lives, is dead
LAST = "end"


@dataclass(frozen=True, slots=True)
class LiveChange:
    """Something changed: `type` is "messages", "steps", "session", "memories", "sessions", ...

    "ready" is the first, and "behind" says that some were lost: read again what you show.
    `id` is where the stream can be taken up; `data` is all that the server told.
    """

    type: str
    namespace: str | None = None
    session: str | None = None
    head: int | None = None
    id: str | None = None
    data: Mapping[str, Any] | None = None


class LiveVerbs:
    """Follow changes; RemoteMemory brings the attributes below."""

    link: Link

    def live(self, session: str | None = None, *, after: str | None = None) -> Iterator[LiveChange]:
        """Yield what changes in the namespace, or in `session`, from now on or `after` an id.

        It says that something changed, not what: read it by the verbs. A connection that
        breaks is taken up where it ended. Ends when the server ends the stream; close the
        iterator to end it here.
        """
        self.link.check_open()
        following = _Following(self.link, session, after)
        while not following.ended:
            try:
                client = self.link.transport.clients.of_threads()
                with client.stream(**following.request()) as response:
                    if not response.is_success:
                        response.read()
                        time.sleep(following.refused(response))
                        continue
                    for line in response.iter_lines():
                        yield from following.read(line)
                    following.check_ended()
            except httpx.TransportError as exc:
                time.sleep(following.broken(exc))

    async def alive(
        self, session: str | None = None, *, after: str | None = None
    ) -> AsyncIterator[LiveChange]:
        """Async twin of `live`."""
        self.link.check_open()
        following = _Following(self.link, session, after)
        while not following.ended:
            try:
                client = await self.link.transport.clients.of_loop()
                async with client.stream(**following.request()) as response:
                    if not response.is_success:
                        await response.aread()
                        await asyncio.sleep(following.refused(response))
                        continue
                    async for line in response.aiter_lines():
                        for change in following.read(line):
                            yield change
                    following.check_ended()
            except httpx.TransportError as exc:
                await asyncio.sleep(following.broken(exc))


class _Following:
    """One stream, over all the connections that it takes."""

    def __init__(self, link: Link, session: str | None, after: str | None) -> None:
        self._link = link
        self._call = link.call("GET", "/live", nothing, params={"session": session})
        self._after = after
        self._data: list[str] = []
        self._id: str | None = None
        self.ended = False
        self._anew()

    def request(self) -> Mapping[str, Any]:
        """Return what httpx is to send, to go on behind what was seen last."""
        self._data = []
        headers = {**self._call.headers, "Accept": "text/event-stream"}
        if self._after is not None:
            headers["Last-Event-ID"] = self._after
        return {
            "method": "GET",
            "url": self._link.transport.address.url + self._call.path,
            "params": query(self._call.params),
            "headers": headers,
            "timeout": httpx.Timeout(self._link.transport.timeout, read=SILENCE),
        }

    def read(self, line: str) -> Iterable[LiveChange]:
        """Return the change that `line` completes, if it does."""
        self._link.check_open()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif not line and self._data:
            self._anew()
            told, self._data = codec.decode("\n".join(self._data)), []
            self._after = self._id or self._after
            self.ended = told["type"] == LAST
            fields = {name: told.get(name) for name in ("namespace", "session", "head")}
            yield LiveChange(told["type"], **fields, id=self._id, data=told)

    def check_ended(self) -> None:
        """Raise TransportError if the stream stopped without its last event, as proxies do."""
        if not self.ended:
            raise httpx.RemoteProtocolError("the stream stopped")

    def broken(self, exc: httpx.TransportError) -> float:
        """Return how long to wait after the connection broke, or raise."""
        self._link.check_open()
        return self._attempts.broken(exc)

    def refused(self, response: httpx.Response) -> float:
        """Return how long to wait after an answer that is no stream, or raise what it tells."""
        if is_passing(response):
            wait = self._attempts.refused(response.headers.get("Retry-After"))
            if wait is not None:
                return wait
        raise problem_of(response, self._link.transport.address.url)

    def _anew(self) -> None:
        """Count attempts anew: something came."""
        transport = self._link.transport
        self._attempts = Attempts(self._call, transport.retrying, transport.address.url)
