"""Connection: one client's connection, which must say within bounds what it wants.

uvicorn bounds neither how long a client takes to send a request nor the size of its head.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["BODY_SECONDS", "HEAD_BYTES", "HEAD_SECONDS", "Connection"]

HEAD_BYTES = 64 * 2**10
HEAD_SECONDS = 20.0
BODY_SECONDS = 120.0


class Connection(HttpToolsProtocol):
    """A connection that is closed when a request's head is too long, or it does not come whole."""

    _head = 0
    _timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None

    @property
    def is_arriving(self) -> bool:
        """Whether a request has begun whose body is not there."""
        return self._body_timer is not None

    def connection_made(self, transport: Any) -> None:
        """Begin, and wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._waited()
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; too much of a head that has no end closes the connection."""
        super().data_received(data)
        if self._timer is not None:
            self._head += len(data)
            if self._head > HEAD_BYTES:
                self._waited()
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """Take a request whose head is whole."""
        self._waited()
        super().on_headers_complete()
        self._await_body()

    def on_message_complete(self) -> None:
        """Take a request that is whole."""
        self._arrived()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, or close if what came cannot begin one: it would wait for ever."""
        self._arrived()
        super().handle_websocket_upgrade()
        if not getattr(self.transport.get_protocol(), "handshake_initiated", True):
            self.transport.close()

    def _wait(self) -> None:
        self._head = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _waited(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await_body(self) -> None:
        self._arrived()
        self._body_timer = self.loop.call_later(BODY_SECONDS, self._too_late)

    def _arrived(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _too_late(self) -> None:
        """Close, unless it is us who do not read on: while the request before is at work."""
        if self.pipeline:
            self._await_body()
        else:
            self.transport.close()
