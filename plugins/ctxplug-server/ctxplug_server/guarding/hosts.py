"""Hosts: who a request believes to talk to, and from which site's page it comes.

A page of another site can send requests to a server on this machine. Its Origin gives it away,
or, after DNS rebinding, the name by which it calls the server.
"""

from __future__ import annotations

import ipaddress

from ctxplug.errors import CtxplugError
from ctxplug_server.guarding.asgi import App, Message, Receive, Scope, Send, header, refuse
from ctxplug_server.settings import LOOPBACK_NAMES, ServerSettings, is_loopback

__all__ = ["Hosts"]

SITES = (b"same-origin", b"none")  # of Sec-Fetch-Site: our own page, or the user's own doing
ALLOWED = b"authorization, content-type, idempotency-key, last-event-id, x-request-id"
METHODS = b"GET, POST, PATCH, DELETE"


class Hosts:
    """Lets pass what calls the server by a name of its own, from no page but allowed ones."""

    def __init__(self, app: App, settings: ServerSettings) -> None:
        self._app = app
        self._names = {name.strip("[]").lower() for name in (*LOOPBACK_NAMES, *settings.hosts)}
        self._names.add(settings.host.strip("[]").lower())
        self._any_address = not is_loopback(settings.host)
        self._origins = {origin.rstrip("/").lower().encode() for origin in settings.origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request that came by a strange name or from a strange page."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            await refuse(scope, send, _strange("Host", "--host-name"), 421)
            return
        origin = header(scope, b"origin")
        if origin is None:
            if self._from_elsewhere(scope):
                await refuse(scope, send, _strange("Sec-Fetch-Site", "--origin"), 403)
                return
            await self._app(scope, receive, send)
        elif origin.lower() in self._origins:
            await self._across(scope, receive, send, origin)
        elif _is_same(scope, origin, hosts[0]):
            await self._app(scope, receive, send)
        else:
            await refuse(scope, send, _strange("Origin", "--origin"), 403)

    def _is_ours(self, host: bytes) -> bool:
        name = _name_of(host.decode("latin-1").lower())
        if name in self._names:
            return True
        return self._any_address and _is_address(name)  # an address cannot be rebound

    def _from_elsewhere(self, scope: Scope) -> bool:
        """Say whether a browser sends this for another site's page; a link may be followed."""
        site = header(scope, b"sec-fetch-site")
        if site is None or site in SITES:
            return False
        follows = header(scope, b"sec-fetch-mode") == b"navigate" and scope.get("method") == "GET"
        return not (follows and not scope["path"].startswith("/v1"))

    async def _across(self, scope: Scope, receive: Receive, send: Send, origin: bytes) -> None:
        """Answer a page of a site that the owner allows, as browsers want it (CORS)."""
        own = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            asked = [
                (b"access-control-allow-methods", METHODS),
                (b"access-control-allow-headers", ALLOWED),
                (b"access-control-max-age", b"600"),
            ]
            start = {"type": "http.response.start", "status": 204, "headers": [*own, *asked]}
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                shown = (b"access-control-expose-headers", b"x-request-id, idempotency-replayed")
                message = {**message, "headers": [*message.get("headers", ()), *own, shown]}
            await send(message)

        await self._app(scope, receive, sending)


def _name_of(host: str) -> str:
    """Return a Host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, _ = host.partition(":")
    return name.rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_same(scope: Scope, origin: bytes, host: bytes) -> bool:
    scheme, mark, rest = origin.lower().partition(b"://")
    return bool(mark) and scheme in (b"http", b"https") and rest == host.lower()


def _strange(what: str, option: str) -> CtxplugError:
    return CtxplugError(
        f"The {what} of this request is none that this server answers to;"
        f" `ctxplug serve` allows more with {option}."
    )
