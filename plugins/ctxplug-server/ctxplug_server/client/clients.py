"""The httpx clients of a transport: one for threads, and one for each event loop."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import httpx

from ctxplug_server.client.address import Address

CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=20)


class Clients:
    """Makes clients when they are needed, and closes them.

    A connection of asyncio lives no longer than its event loop, so each loop has its own
    client, which is closed when the loop ends, as by asyncio.run. A process that was forked
    makes its own.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._options: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout),
            "limits": CONNECTIONS,
            "trust_env": not address.is_loopback,  # a proxy has no way to this machine
            "verify": _trusted(address),
            "headers": {"Accept": "application/json", "User-Agent": "ctxplug-client"},
        }
        if address.key is not None:
            self._options["headers"]["Authorization"] = f"Bearer {address.key}"
        self._lock = threading.Lock()
        self._sync: tuple[int, httpx.Client] | None = None
        self._of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Held]
        self._of_loops = weakref.WeakKeyDictionary()

    def of_threads(self) -> httpx.Client:
        """Return the client for sync calls."""
        held = self._sync
        if held is None or held[0] != os.getpid():
            with self._lock:
                held = self._sync
                if held is None or held[0] != os.getpid():
                    held = self._sync = os.getpid(), httpx.Client(**self._options)
        return held[1]

    async def of_loop(self) -> httpx.AsyncClient:
        """Return the client of the event loop that runs here."""
        loop = asyncio.get_running_loop()
        held = self._of_loops.get(loop)
        if held is None:
            lasting = _lasting(httpx.AsyncClient(**self._options))
            held = _Held(lasting, await anext(lasting))
            with self._lock:
                self._of_loops[loop] = held
        return held.client

    def close(self) -> None:
        """Close all of them; those of other loops when these get to it."""
        with self._lock:
            sync, self._sync = self._sync, None
            of_loops = list(self._of_loops.items())
            self._of_loops.clear()
        if sync is not None and sync[0] == os.getpid():
            sync[1].close()
        for loop, held in of_loops:
            with suppress(RuntimeError):  # it is closed, and its client with it
                loop.call_soon_threadsafe(_end, loop, held)

    async def aclose(self) -> None:
        """Close all of them, that of this loop before it returns."""
        with self._lock:
            held = self._of_loops.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held.lasting.aclose()
        await asyncio.to_thread(self.close)


class _Held:
    def __init__(self, lasting: AsyncGenerator[httpx.AsyncClient], client: httpx.AsyncClient):
        self.lasting = lasting
        self.client = client


async def _lasting(client: httpx.AsyncClient) -> AsyncGenerator[httpx.AsyncClient]:
    """Yield `client` and close it at the end, for which a loop that ends sees to."""
    try:
        yield client
    finally:
        await client.aclose()


_ending: set[asyncio.Task[None]] = set()  # a loop holds its tasks but weakly


def _end(loop: asyncio.AbstractEventLoop, held: _Held) -> None:
    task = loop.create_task(held.lasting.aclose())
    _ending.add(task)
    task.add_done_callback(_ending.discard)


def _trusted(address: Address) -> ssl.SSLContext:
    """Return whom connections trust: reading the certificates of the system takes its time."""
    if address.is_secure:
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # nobody: nothing goes by it
