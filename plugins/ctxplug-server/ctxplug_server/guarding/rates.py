"""Rates: refuses what comes oftener than the limit of its key allows."""

from __future__ import annotations

from ctxplug_server.caller import caller_of
from ctxplug_server.guarding.asgi import App, Receive, Scope, Send, refuse
from ctxplug_server.limiting import Limits
from ctxplug_server.problems import TooManyRequestsError

__all__ = ["Rates"]


class Rates:
    """Refuses what comes oftener than the rate of its key allows."""

    def __init__(self, app: App, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what is within the rate; the local user, who has no key, is not counted."""
        caller = caller_of(scope)
        wait = None if caller is None or caller.key is None else self._limits.passes(caller.id)
        if wait is None:
            await self._app(scope, receive, send)
            return
        await refuse(
            scope,
            send,
            TooManyRequestsError(
                f"This key has called too often; try again in {wait:.1f} s.", retry_after=wait
            ),
        )
