"""Authentication: whose key comes with a request; the same answer to all that is none."""

from __future__ import annotations

from ctxplug_server.caller import STATE, Caller
from ctxplug_server.guarding.asgi import (
    App,
    Receive,
    Scope,
    Send,
    address_of,
    header,
    is_public,
    refuse,
)
from ctxplug_server.problems import KeyRequiredError
from ctxplug_server.serving import Serving

__all__ = ["SUBPROTOCOL", "Authentication"]

SUBPROTOCOL = "ctxplug.key."  # by which a browser's WebSocket says its key
MAX_KEY = 200


class Authentication:
    """Finds the caller by the key; without keys on loopback it is the local user."""

    def __init__(self, app: App, serving: Serving) -> None:
        self._app = app
        self._serving = serving
        self._keys = serving.keys
        self._exposed = serving.settings.exposed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in who has a key, or needs none."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        caller = self.caller_of(scope)
        if caller is None:
            if (told := self._serving.limits.failed(address_of(scope))) is not None:
                await refuse(scope, send, told)
                return
            await refuse(scope, send, _no_key())
            return
        scope[STATE] = caller
        await self._app(scope, receive, send)

    def caller_of(self, scope: Scope) -> Caller | None:
        """Return who sends this, None if there is no knowing."""
        sent = _sent(scope)
        if sent is not None:
            key = self._keys.check(sent) if len(sent) <= MAX_KEY else None
            return None if key is None else Caller(self._serving, key)
        if self._exposed or self._keys.required:
            return None
        return Caller(self._serving, None)


def _sent(scope: Scope) -> str | None:
    """Return the key that was sent, "" for what cannot be one, None if there is none."""
    given = header(scope, b"authorization")
    if given is not None:
        scheme, _, key = given.decode("latin-1").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""
    if scope["type"] == "websocket":
        for one in scope.get("subprotocols", ()):
            if one.startswith(SUBPROTOCOL):
                return str(one.removeprefix(SUBPROTOCOL))
    return None


def _no_key() -> KeyRequiredError:
    return KeyRequiredError(
        "This takes a key that is valid, sent as `Authorization: Bearer ctxp_...`;"
        " `ctxplug keys make` makes one."
    )
