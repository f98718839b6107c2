"""Live events: by SSE at /v1/live, and by WebSocket at /v1/live/ws."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, WebSocket
from fastapi.responses import Response

from ctxplug.scope import Namespace, to_session
from ctxplug_server.caller import Caller, Calling
from ctxplug_server.keys import EVERYWHERE, Keys
from ctxplug_server.live import Hub, Subscriber
from ctxplug_server.live.socket import LiveSocket
from ctxplug_server.live.stream import EventStream

__all__ = ["router"]

router = APIRouter(tags=["live"])
PROTOCOL = "ctxplug"
EXAMPLE = (
    "retry: 1000\n\n"
    'id: 5f0c...\ndata: {"type":"ready"}\n\n'
    'id: 9ab1...\ndata: {"type":"messages","namespace":"acme/alice","session":"trip","head":7}\n\n'
)


@router.get(
    "/live",
    response_class=Response,
    responses={
        200: {
            "description": "Events, each with an id: that something changed, and where.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
        }
    },
    summary="Follow what changes",
)
async def follow(
    caller: Calling,
    session: Annotated[
        str | None, Query(description="Only this session.", examples=["trip"])
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event that was seen, to go on from.")
    ] = None,
) -> Response:
    """Send an event whenever something changes, in one session, a namespace, or all it may see.

    Types: `messages`, `session`, `steps`, `sessions`, `memories`, `usage`; `ready` when the stream
    begins, `behind` when events were lost (read again what is shown), `end` when nothing follows.
    """
    hub: Hub = caller.serving.hub
    subscriber = await _subscribed(caller, caller.asked_namespace, session, last_event_id)
    return EventStream(subscriber, hub.ids, partial(_leave, caller, subscriber))


@router.websocket("/live/ws")
async def follow_by_socket(socket: WebSocket, caller: Calling, session: str | None = None) -> None:
    """Send the same events; messages subscribe and unsubscribe."""
    hub: Hub = caller.serving.hub
    offered = PROTOCOL in socket.scope.get("subprotocols", ())
    await socket.accept(subprotocol=PROTOCOL if offered else None)
    live = LiveSocket(
        socket,
        hub.ids,
        partial(_subscribed, caller),
        partial(_leave, caller),
        partial(_passes, caller),
    )
    named = caller.asked_namespace is not None or session is not None
    if not named or await live.begin(caller.asked_namespace, session):
        await live.serve()


async def _subscribed(
    caller: Caller, namespace: str | None, session: str | None, after: str | None
) -> Subscriber:
    caller.require("read")
    lists = _all_of(caller) if namespace is None and session is None else None
    chosen: list[Namespace] = [] if lists else [caller.namespace(namespace)]
    subscriber = Subscriber(
        agent=caller.agent,
        session=None if session is None else to_session(session),
        valid=_validity(caller),
        lists=lists,
    )
    hub: Hub = caller.serving.hub

    def subscribe() -> None:
        hub.subscribe(subscriber, lists() if lists else chosen, after=after)

    try:
        await caller.run(subscribe)
    except BaseException:
        _leave(caller, subscriber)
        raise
    return subscriber


def _passes(caller: Caller) -> float | None:
    """Count a message as a request of its key; the local user, who has none, is not counted."""
    return None if caller.key is None else caller.serving.limits.passes(caller.id)


def _all_of(caller: Caller) -> Callable[[], list[Namespace]] | None:
    """Return what lists the namespaces of a caller who sees more than one."""
    key = caller.key
    if key is not None and key.namespace != EVERYWHERE and not key.subtree:
        return None
    return caller.namespaces


def _validity(caller: Caller) -> Callable[[], bool]:
    """Return what says whether the caller would still be let in."""
    keys: Keys = caller.serving.keys
    if caller.key is None:
        return lambda: not keys.required
    id = caller.key.id
    return lambda: any(key.id == id and key.is_live(datetime.now(UTC)) for key in keys.listed())


def _leave(caller: Caller, subscriber: Subscriber) -> None:
    """Let the hub forget a subscriber, off the event loop: the hub may be reading."""
    hub: Hub = caller.serving.hub
    subscriber.end("left")
    loop: Any = asyncio.get_running_loop()
    with suppress(RuntimeError):  # the loop is ending, and the hub with it
        loop.run_in_executor(None, hub.unsubscribe, subscriber)
