"""Look: what a request for the viewer's data looks at, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, Query
from starlette.responses import Response

from ctxplug import codec
from ctxplug.scope import Namespace, check_label
from ctxplug_server.caller import Caller, Calling
from ctxplug_server.routes.answers import JSON
from ctxplug_server.viewing import Viewing
from ctxplug_server.viewing.held import Held

__all__ = ["Language", "Limit", "Look", "Looking", "Start"]

Language = Annotated[Literal["en", "zh"], Query(description="The language of sentences.")]
Start = Annotated[int, Query(description="From which item on, counted from 0.", ge=0, le=10**9)]
Limit = Annotated[int, Query(description="How many at most.", ge=1, le=500)]


class Look:
    """What one request looks at: the caller's part of the store, on the viewer's threads."""

    def __init__(self, caller: Caller) -> None:
        caller.require("read")
        self.caller = caller
        self.viewing: Viewing = caller.serving.viewing

    @property
    def agent(self) -> str | None:
        """Whose access rules hold for what is told."""
        return self.caller.agent

    def namespaces(self) -> list[Namespace]:
        """Return the namespace that was asked for, or all that the caller sees; may block."""
        if self.caller.asked_namespace is not None:
            return [self.caller.namespace()]
        return self.caller.namespaces()

    async def answer(self, make: Callable[[], Any]) -> Response:
        """Answer what `make`, which may block, returns; 202 for what is not done yet."""

        def made() -> tuple[bytes, int]:
            told = make()
            pending = isinstance(told, dict) and told.get("pending") is True
            return codec.encode(told), 202 if pending else 200

        body, status = await self.viewing.run(made)
        return Response(body, status, media_type=JSON)

    async def at(self, session: str, make: Callable[[Held], Any]) -> Response:
        """Answer what `make` makes of a session of the caller's namespace."""
        namespace = self.caller.namespace()
        name = check_label(session, "session")

        def working() -> Any:
            with self.viewing.held(namespace, name, self.agent).working() as held:
                return make(held)

        return await self.answer(working)


def _looking(caller: Calling) -> Look:
    return Look(caller)


Looking = Annotated[Look, Depends(_looking)]
