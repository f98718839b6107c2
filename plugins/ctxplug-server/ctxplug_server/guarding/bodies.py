"""Bodies: no request is larger than it may be, whether it says so or not."""

from __future__ import annotations

from ctxplug_server.guarding.asgi import App, Message, Receive, Scope, Send, header, refuse
from ctxplug_server.problems import TooLargeError
from ctxplug_server.settings import ServerSettings

__all__ = ["Bodies"]


class Bodies:
    """Counts what comes in, and ends what comes to more than the limit."""

    def __init__(self, app: App, settings: ServerSettings) -> None:
        self._app = app
        self._limit = settings.max_body
        self._target = settings.max_target

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on whose body is counted as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._target:
            await refuse(scope, send, _too_large("path and query", self._target), 414)
            return
        said = header(scope, b"content-length")
        if said is not None and (not said.isdigit() or int(said) > self._limit):
            await refuse(scope, send, _too_large("body", self._limit))
            return
        if said is not None or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)  # what was said is what the server reads
            return
        await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, started = 0, False

        async def receiving() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                raise _too_large("body", self._limit)
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            if size <= self._limit or started:  # what else the application makes of it is not told
                started = True
                await send(message)

        try:
            await self._app(scope, receiving, sending)
        except TooLargeError:
            if started:
                raise
        if size > self._limit and not started:
            await refuse(scope, send, _too_large("body", self._limit))


def _too_large(what: str, limit: int) -> TooLargeError:
    return TooLargeError(
        f"The {what} of a request may take {limit:,} bytes here; send less at once.", limit=limit
    )
