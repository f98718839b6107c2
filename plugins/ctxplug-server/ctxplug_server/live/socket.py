"""LiveSocket: live events over one WebSocket, of all the sessions and namespaces it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from ctxplug import codec
from ctxplug.errors import CtxplugError, InvalidValueError
from ctxplug_server.live.event import END, EventIds
from ctxplug_server.live.stream import HEARTBEAT, STALLED
from ctxplug_server.live.subscriber import Subscriber
from ctxplug_server.problems import to_problem

MOST = 64  # subscriptions of one socket
LONGEST = 4_096  # characters of one message
HELD_UP = 1.0  # seconds for which a message over the rate waits
GOING_AWAY, UNSUPPORTED, POLICY, TOO_BIG = 1001, 1003, 1008, 1009  # WebSocket close codes

Asked = tuple[str | None, str | None]  # namespace and session, as they were asked for
Subscribe = Callable[[str | None, str | None, str | None], Awaitable[Subscriber]]


class LiveSocket:
    """One open WebSocket; `subscribe(namespace, session, after)` makes its subscribers.

    `passes` counts a message, and says how long to wait where it is one too many.
    """

    def __init__(
        self,
        socket: WebSocket,
        ids: EventIds,
        subscribe: Subscribe,
        left: Callable[[Subscriber], None],
        passes: Callable[[], float | None],
    ) -> None:
        self._socket = socket
        self._ids = ids
        self._subscribe = subscribe
        self._left = left
        self._passes = passes
        self._told: dict[Asked, tuple[Subscriber, asyncio.Task[None]]] = {}
        self._sending = asyncio.Lock()
        self._stalled = asyncio.Event()

    async def begin(self, namespace: str | None, session: str | None) -> bool:
        """Tell of what the address names; close it, and say so, if that cannot be."""
        try:
            await self.subscribe(namespace, session, None)
        except CtxplugError as exc:
            await self._tell_error(exc)
            await self._socket.close(POLICY)
            return False
        return True

    async def serve(self) -> None:
        """Answer messages and pass events on, until either side ends it, or takes nothing."""
        reading = asyncio.ensure_future(self._read())
        stalled = asyncio.ensure_future(self._stalled.wait())
        try:
            await asyncio.wait({reading, stalled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for asked in list(self._told):
                self._drop(asked)
            for task in (reading, stalled):
                task.cancel()
            await asyncio.gather(reading, stalled, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while True:
                text = await self._socket.receive_text()
                if (wait := self._passes()) is not None:
                    await asyncio.sleep(min(wait, HELD_UP))
                if len(text) > LONGEST:
                    await self._socket.close(TOO_BIG)
                    return
                try:
                    await self._answer(_message(text))
                except CtxplugError as exc:
                    await self._tell_error(exc)
        except KeyError:
            await self._socket.close(UNSUPPORTED)  # it sent bytes
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            return  # it is closed, or takes nothing

    async def _tell_error(self, error: CtxplugError) -> None:
        await self._send({"type": "error", **codec.decode(to_problem(error).body)})

    async def subscribe(
        self, namespace: str | None, session: str | None, after: str | None
    ) -> None:
        """Begin to tell of a session or namespace, or begin again."""
        asked = namespace, session
        if asked not in self._told and len(self._told) >= MOST:
            raise InvalidValueError(
                f"One socket follows {MOST} sessions and namespaces at most; unsubscribe from one"
                " first.",
                path="subscribe",
            )
        subscriber = await self._subscribe(namespace, session, after)
        self._drop(asked)
        task = asyncio.ensure_future(self._tell(subscriber))
        self._told[asked] = subscriber, task

    async def _answer(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        asked = [message.get(name) for name in ("namespace", "session", "after")]
        if any(one is not None and not isinstance(one, str) for one in asked):
            raise InvalidValueError("namespace, session and after are texts.", path="message")
        namespace, session, after = asked
        named = {"namespace": namespace, "session": session}
        named = {name: one for name, one in named.items() if one is not None}
        if kind == "subscribe":
            await self.subscribe(namespace, session, after)
        elif kind == "unsubscribe":
            self._drop((namespace, session))
        elif kind != "ping":
            raise InvalidValueError(
                f"A message is of type subscribe, unsubscribe or ping, not {kind!r:.60}.",
                path="type",
            )
        await self._send({"type": "pong" if kind == "ping" else f"{kind}d", **named})

    async def _tell(self, subscriber: Subscriber) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            while True:
                events = await subscriber.next(HEARTBEAT)
                try:
                    for event in events:
                        await self._send({**event.to_dict(), "id": self._ids.of(event.number)})
                except TimeoutError:
                    self._stalled.set()
                    return
                if events and events[-1].type == END:
                    code = POLICY if subscriber.ended == "revoked" else GOING_AWAY
                    await self._socket.close(code)
                    return

    async def _send(self, told: Mapping[str, Any]) -> None:
        async with self._sending, asyncio.timeout(STALLED):
            await self._socket.send_text(codec.encode(dict(told)).decode())

    def _drop(self, asked: Asked) -> None:
        found = self._told.pop(asked, None)
        if found is not None:
            subscriber, task = found
            task.cancel()
            self._left(subscriber)


def _message(text: str) -> Mapping[str, Any]:
    try:
        found = codec.decode(text.encode())
    except (CtxplugError, ValueError) as exc:
        raise InvalidValueError("A message is one JSON object.", path="message") from exc
    if not isinstance(found, dict):
        raise InvalidValueError("A message is one JSON object.", path="message")
    return found
