"""Running: one server on one port, from its start to an end that loses nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from ctxplug.errors import CtxplugError
from ctxplug_server.app import create_app
from ctxplug_server.guarding.connections import Connection
from ctxplug_server.live.socket import LONGEST
from ctxplug_server.serving import Serving
from ctxplug_server.settings import is_loopback

__all__ = ["Running", "refuse_unguarded"]

BACKLOG = 1_024
KEEP_ALIVE_SECONDS = 30
START_SECONDS = 60.0
ARRIVING_SECONDS = 2.0  # at the end, for requests that have begun to come
GRACE_SECONDS = 0.5  # at the end, for what is left to be sent on connections that close
STALLED_TICKS = 50  # of a tenth of a second, between two looks for stalled connections


class Running(uvicorn.Server):
    """`serving` on its host and port; `run` serves until a signal comes or `stop` is called."""

    def __init__(self, serving: Serving) -> None:
        settings = serving.settings
        refuse_unguarded(serving)
        self.serving = serving
        self.thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._closing: set[Any] = set()  # connections that were closing at the last look
        self._tell: Callable[[], None] | None = None
        self._socket = _listening(settings.host, settings.port)
        super().__init__(
            uvicorn.Config(
                create_app(serving),
                loop="auto",
                http=Connection,
                ws="websockets-sansio",
                ws_max_size=4 * LONGEST,  # bytes: it is decided by characters what is too long
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                limit_concurrency=settings.connections,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
            )
        )

    def when_ready(self, tell: Callable[[], None]) -> None:
        """Call `tell` once it listens."""
        self._tell = tell

    @property
    def url(self) -> str:
        """The address it listens on, as a browser takes it."""
        host, port = self._socket.getsockname()[:2]
        shown = self.serving.settings.host if host in ("0.0.0.0", "::") else host
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"

    def run(self, sockets: Any = None) -> None:
        """Serve until it is told to end."""
        super().run(sockets=sockets or [self._socket])

    async def startup(self, sockets: Any = None) -> None:
        """Begin to listen."""
        try:
            await super().startup(sockets=sockets)
        finally:
            self._ready.set()
        if self._tell is not None:
            self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal; at the second, do not wait for connections."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Take nothing new, end live connections, let the rest finish, and close the store."""
        self.serving.drain()
        await self.serving.hub.drained()
        await self._cut_arriving()
        if self._abort_stalled():
            await asyncio.sleep(GRACE_SECONDS)
            self._abort_stalled()
        await super().shutdown(sockets=sockets)
        if self.force_exit:
            await self.lifespan.shutdown()  # uvicorn leaves it out then, and it is cancelled
        self.serving.close()

    async def on_tick(self, counter: int) -> bool:
        """Look after connections, now and then."""
        if counter % STALLED_TICKS == 0:
            self._abort_stalled()
        return await super().on_tick(counter)

    async def _cut_arriving(self) -> None:
        """Wait for bodies that are on their way, but not for those that never come."""
        last = time.monotonic() + ARRIVING_SECONDS
        while found := [c for c in self.server_state.connections if _is_arriving(c)]:
            if time.monotonic() > last:
                for connection in found:
                    connection.transport.close()
                return
            await asyncio.sleep(0.02)

    def _abort_stalled(self) -> bool:
        """Cut connections whose other side did not take what was left since the last look.

        Says whether any is still closing.
        """
        closing = {c for c in self.server_state.connections if c.transport.is_closing()}
        for connection in closing & self._closing:
            connection.transport.abort()
        self._closing = closing
        return bool(closing)

    def wait_until_ready(self) -> str:
        """Wait until it listens, and return its address."""
        if not self._ready.wait(START_SECONDS) or not self.started:
            raise CtxplugError(f"The server did not start within {START_SECONDS:g} s.")
        return self.url

    def stop(self) -> None:
        """End it as a signal would, and wait for `thread`, if it runs in one."""
        self.should_exit = True
        if self.thread is not None:
            self.thread.join()


def _is_arriving(connection: Any) -> bool:
    return isinstance(connection, Connection) and connection.is_arriving


def refuse_unguarded(serving: Serving) -> None:
    """Raise CtxplugError if others could reach the server and there is no key to keep them out."""
    settings = serving.settings
    if settings.exposed and not serving.keys.live():
        names = [name for name in (settings.host, *settings.hosts) if not is_loopback(name)]
        raise CtxplugError(
            f"Others could reach it by {names[0]!r}, and there is no key to keep them out. Make one"
            f" first: ctxplug keys make {serving.target or 'STORE'} NAME --namespace acme/alice"
            " --rights write. Nothing was started."
        )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host.strip("[]"), port))
        found.set_inheritable(True)
    except OSError as exc:
        found.close()
        raise CtxplugError(
            f"Cannot listen on {host!r} at port {port}: {exc.strerror or exc}. Choose another with"
            " --port, or --port 0 for any that is free."
        ) from exc
    return found
