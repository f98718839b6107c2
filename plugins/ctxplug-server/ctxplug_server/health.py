"""Whether the server is alive, and whether it takes requests; neither tells of content."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from ctxplug.errors import CtxplugError
from ctxplug.scope import PRIVATE
from ctxplug_server.serving import Serving

__all__ = ["router"]

router = APIRouter(tags=["health"])
NOWHERE = (PRIVATE, "ready")  # a namespace that holds nothing
# Whoever asks meanwhile waits for the same look: without a key, nobody is to keep workers busy.
_asked: WeakKeyDictionary[Serving, asyncio.Future[object]] = WeakKeyDictionary()


@router.get(
    "/health",
    responses={200: {"content": {"application/json": {"example": {"status": "alive"}}}}},
)
async def health() -> JSONResponse:
    """Tell that the server is alive."""
    return JSONResponse({"status": "alive"})


@router.get(
    "/ready",
    responses={
        200: {"content": {"application/json": {"example": {"status": "ready"}}}},
        503: {"description": "The server is ending, or its store does not answer."},
    },
)
async def ready(request: Request) -> JSONResponse:
    """Tell whether requests are taken: the store answers, and the server is not ending."""
    serving: Serving = request.app.state.ctxplug
    if serving.closing.is_set():
        return JSONResponse({"status": "ending"}, 503)
    asked = _asked.get(serving)
    if asked is None or asked.done():
        look = serving.run(lambda: serving.store.get(NOWHERE, "ready"))
        asked = _asked[serving] = asyncio.ensure_future(look)
    try:
        await asyncio.shield(asked)
    except CtxplugError:
        return JSONResponse({"status": "store does not answer"}, 503)
    return JSONResponse({"status": "ready"})
