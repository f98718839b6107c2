"""Transport: sends calls, tries again what failed in passing, and raises what the server says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import sleep as pause
from typing import Any, TypeVar

import httpx

from ctxplug import codec
from ctxplug.scope import new_id
from ctxplug_server.client.address import Address
from ctxplug_server.client.answers import data_of, is_passing, problem_of
from ctxplug_server.client.calls import Call, query
from ctxplug_server.client.clients import Clients
from ctxplug_server.client.retrying import Attempts, Retrying
from ctxplug_server.problems import IdempotencyError
from ctxplug_server.wire.surroundings import Surroundings

T = TypeVar("T")


class Transport:
    """The way to one server, for any number of memories; usable from any thread and loop."""

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        retrying: Retrying,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.retrying = retrying
        self._clients = Clients(address, timeout)

    def send(self, call: Call[T]) -> T:
        """Send `call` and return what it reads of the answer, or raise the server's error."""
        request, attempts = self._request(call), self._attempts(call)
        while True:
            try:
                response = self._clients.of_threads().request(**request)
            except httpx.TransportError as exc:
                wait: float | None = attempts.broken(exc)
            else:
                wait = self._refused(attempts, response)
            if wait is None:
                return self._read(call, response)
            pause(wait)

    async def asend(self, call: Call[T]) -> T:
        """Async twin of `send`."""
        request, attempts = self._request(call), self._attempts(call)
        while True:
            try:
                client = await self._clients.of_loop()
                response = await client.request(**request)
            except httpx.TransportError as exc:
                wait: float | None = attempts.broken(exc)
            else:
                wait = self._refused(attempts, response)
            if wait is None:
                return self._read(call, response)
            await asyncio.sleep(wait)

    @property
    def clients(self) -> Clients:
        """The clients it sends by, for what is not one request and one answer."""
        return self._clients

    def close(self) -> None:
        """Close all connections."""
        self._clients.close()

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await self._clients.aclose()

    # -- inside ----------------------------------------------------------------------

    def _attempts(self, call: Call[Any]) -> Attempts:
        return Attempts(call, self.retrying, self.address.url)

    def _request(self, call: Call[Any]) -> Mapping[str, Any]:
        """Return what httpx is to send: the same bytes and the same key at each attempt."""
        headers = {**call.headers, **Surroundings.here().to_headers()}
        if call.writes:
            headers["Idempotency-Key"] = new_id()
        request: dict[str, Any] = {
            "method": call.method,
            "url": self.address.url + call.path,
            "params": query(call.params),
            "headers": headers,
            "timeout": self.timeout * call.patience,
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            request["content"] = codec.encode(call.body)
        return request

    def _refused(self, attempts: Attempts, response: httpx.Response) -> float | None:
        if response.is_success or not is_passing(response):
            return None
        return attempts.refused(response.headers.get("Retry-After"))

    def _read(self, call: Call[T], response: httpx.Response) -> T:
        if not response.is_success:
            error = problem_of(response, self.address.url)
            if call.blind and isinstance(error, IdempotencyError) and error.applied:
                return call.read(None)  # it was done, by an attempt whose answer was lost
            raise error
        return call.read(response.content if call.raw else data_of(response, self.address.url))
