"""Outermost: every answer has an id and safe headers, and no failure tells its inside.

It also gives back what a request was lent, and lets each be measured.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from time import perf_counter

from ctxplug.errors import CtxplugError
from ctxplug_server.caller import caller_of
from ctxplug_server.guarding.asgi import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    address_of,
    header,
    refuse,
)
from ctxplug_server.logs import fields_of, log, requests
from ctxplug_server.monitoring.meters import FAILED, METHODS, OTHER, UNMATCHED, template_of
from ctxplug_server.problems import ServerFaultError, failed_at, status_of
from ctxplug_server.serving import Serving

__all__ = ["CONTENT_SECURITY_POLICY", "REQUEST_ID", "Outermost", "log_failure"]

PROBES = ("/health", "/ready")
REQUEST_ID = "ctxplug.request_id"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
SAFE: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]
NO_STORE = (b"cache-control", b"no-store")
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")


class Outermost:
    """The layer around all others."""

    def __init__(self, app: App, serving: Serving) -> None:
        self._app = app
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and see that it is answered."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer, meters = _Answer(scope, send), self._serving.meters
        began = perf_counter()
        meters.begin(scope)
        try:
            await self._app(scope, receive, answer.send)
        except Exception as exc:
            await self._fail(scope, answer, exc)
        except asyncio.CancelledError:
            if not self._serving.closing.is_set():
                raise
            await self._cut_off(scope, answer)
        finally:
            caller = caller_of(scope)
            if caller is not None:
                caller.release()
            took = perf_counter() - began
            meters.request(scope, answer.status, took)
            if requests.isEnabledFor(logging.INFO):
                _log_request(scope, answer, took)

    async def _fail(self, scope: Scope, answer: _Answer, exc: Exception) -> None:
        log_failure(scope, exc)
        if answer.started:
            return  # half of an answer is out; the connection ends here
        if isinstance(exc, CtxplugError) and status_of(exc) < 500:
            await refuse(scope, answer.send, exc)
            return
        told = f"The server failed; its log tells more under the request id {answer.id}."
        await refuse(scope, answer.send, ServerFaultError(told, request_id=answer.id))

    async def _cut_off(self, scope: Scope, answer: _Answer) -> None:
        """Answer what did not end in time: the server does. To raise would have a trace logged."""
        more = fields_of("request_cut_off", request_id=answer.id)
        log.warning("request %s was cut off, as the server ended", answer.id, extra=more)
        if not answer.started:
            told = "The server ended before this was done; whether it was is not known."
            await refuse(scope, answer.send, ServerFaultError(told, request_id=answer.id))


class _Answer:
    """What is sent of one answer, with the headers that every answer has."""

    __slots__ = ("_api", "_send", "id", "started", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        given = header(scope, b"x-request-id")
        self.id = given.decode() if given and _GIVEN_ID.match(given) else secrets.token_hex(8)
        self._api = scope["path"].startswith(("/v1", "/metrics"))
        self.status = 0
        self.started = False
        scope[REQUEST_ID] = self.id

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.started, self.status = True, message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode()), *SAFE]
            if self._api and not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        elif message["type"] in ("websocket.accept", "websocket.close"):
            self.started = True
            self.status = 101 if message["type"] == "websocket.accept" else self.status or 403
        await self._send(message)


def log_failure(scope: Scope, exc: Exception) -> None:
    """Let the log tell more of a request that failed, under its id."""
    id, where = scope.get(REQUEST_ID), failed_at(exc)
    told = fields_of("request_failed", request_id=id, failed_at=where)
    log.error("request %s failed: %s", id, where, extra=told)


def _log_request(scope: Scope, answer: _Answer, seconds: float) -> None:
    """Write the line of a request that was answered; a look whether all is well has none."""
    if scope["path"] in PROBES and answer.status < 400:
        return
    caller = caller_of(scope)
    key = None if caller is None or caller.key is None else caller.key.id
    method = str(scope.get("method", "WEBSOCKET"))
    told = {
        "request_id": answer.id,
        "method": method if method in (*METHODS, "WEBSOCKET") else OTHER,
        "route": template_of(scope) or UNMATCHED,
        "status": answer.status or FAILED,
        "duration_ms": round(seconds * 1000, 1),
        "key": key,
        "client": address_of(scope),
    }
    requests.info(
        "%(method)s %(route)s %(status)d in %(duration_ms).1f ms (%(request_id)s)",
        told,
        extra=fields_of("request", **told),
    )
