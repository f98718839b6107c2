"""Arrivals: a request goes on when its body is there, so that slow senders take no places."""

from __future__ import annotations

from collections import Counter

from ctxplug.errors import InvalidValueError
from ctxplug_server.caller import LOCAL, caller_of
from ctxplug_server.guarding.asgi import App, Receive, Scope, Send, giving, refuse
from ctxplug_server.problems import ServerBusyError
from ctxplug_server.settings import ServerSettings

__all__ = ["Arrivals"]


class Arrivals:
    """Takes bodies in: as much at once as all places could work on, of one key as its share."""

    def __init__(self, app: App, settings: ServerSettings) -> None:
        self._app = app
        self._most = settings.concurrent * settings.max_body
        self._most_of_one = settings.share * settings.max_body
        self._held = 0
        self._of: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its whole body."""
        caller = caller_of(scope)
        if caller is None or scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    await refuse(scope, send, _ended())
                    return
                part, more = message.get("body", b""), message.get("more_body", False)
                if not self._take(caller.id, len(part)):
                    await refuse(scope, send, _busy())
                    return
                parts.append(part)
            await self._app(scope, giving(b"".join(parts), receive), send)
        finally:
            self._give_back(caller.id, sum(map(len, parts)))

    def _take(self, key: str, size: int) -> bool:
        most = self._most if key == LOCAL else self._most_of_one
        if self._held + size > self._most or self._of[key] + size > most:
            return False
        self._held += size
        self._of[key] += size
        return True

    def _give_back(self, key: str, size: int) -> None:
        self._held -= size
        self._of[key] -= size
        if not self._of[key]:
            del self._of[key]


def _ended() -> InvalidValueError:
    return InvalidValueError("The request ended before it was whole.", path="body")


def _busy() -> ServerBusyError:
    return ServerBusyError(
        "The server holds as many requests as it takes; nothing was done. Try again in a moment."
    )
