"""EventStream: live events as an answer of Server-Sent Events that ends when it should."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ctxplug import codec
from ctxplug_server.live.event import END, EventIds, LiveEvent
from ctxplug_server.live.subscriber import Subscriber

HEARTBEAT = 15.0  # seconds of silence after which a comment shows that the stream lives
STALLED = 30.0  # seconds for which a reader may take nothing
RETRY = 1_000  # milliseconds after which a browser comes back


class EventStream(Response):
    """What `subscriber` is told, until it ends, its reader goes, or its reader takes nothing."""

    media_type = "text/event-stream"

    def __init__(
        self,
        subscriber: Subscriber,
        ids: EventIds,
        left: Callable[[], None],
        *,
        heartbeat: float = HEARTBEAT,
        stalled: float = STALLED,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._subscriber = subscriber
        self._ids = ids
        self._left = left
        self._heartbeat = heartbeat
        self._stalled = stalled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until there is an end of it."""
        telling = asyncio.ensure_future(self._tell(send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                with suppress(TimeoutError, OSError):  # it took nothing, or is gone
                    telling.result()
        finally:
            self._left()
            for task in (telling, leaving):
                task.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await self._send(send, start)
        await self._body(send, f"retry: {RETRY}\n\n".encode())
        while True:
            events = await self._subscriber.next(self._heartbeat)
            await self._body(send, b"".join(map(self._text, events)) or b":\n\n")
            if any(event.type == END for event in events):
                await self._body(send, b"", more=False)
                return

    async def _body(self, send: Send, body: bytes, *, more: bool = True) -> None:
        await self._send(send, {"type": "http.response.body", "body": body, "more_body": more})

    async def _send(self, send: Send, message: dict[str, object]) -> None:
        async with asyncio.timeout(self._stalled):
            await send(message)

    def _text(self, event: LiveEvent) -> bytes:
        id = self._ids.of(event.number).encode()
        return b"id: " + id + b"\ndata: " + codec.encode(event.to_dict()) + b"\n\n"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
