"""create_app: the routes, behind what guards them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.requests import HTTPConnection
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ctxplug.errors import CtxplugError, InvalidValueError, NotFoundError
from ctxplug.storage import Backend
from ctxplug_server import __version__
from ctxplug_server.documenting import document
from ctxplug_server.guarding import (
    Around,
    Arrivals,
    Authentication,
    Bodies,
    Hosts,
    Outermost,
    Places,
    Rates,
    Repeats,
    log_failure,
)
from ctxplug_server.health import router as health
from ctxplug_server.problems import Problem, to_problem
from ctxplug_server.routes import ROOT_ROUTERS, ROUTERS
from ctxplug_server.serving import Serving
from ctxplug_server.settings import ServerSettings
from ctxplug_server.static import Files

__all__ = ["create_app"]

VIEWER = Path(__file__).with_name("viewer")
LOGGED = (500, 507)  # what is busy, or took too long, is no failure
NOWHERE = {"type": "http", "method": "GET", "path": "/v1/-/-", "root_path": "", "headers": []}
DESCRIPTION = (
    "The memory of agents over HTTP: sessions and their messages, context windows, memories and"
    " recall, usage, traces, tools, access and audit.\n\nEverything is of one namespace, named by"
    " the query parameter `namespace`, or by the key. Errors are"
    ' `{"error": {"type", "message", "details"}}`.'
)


def create_app(
    target: str | os.PathLike[str] | Backend | Serving, settings: ServerSettings | None = None
) -> FastAPI:
    """Return the application that serves the store `target`; it closes it when it ends.

    `app.state.ctxplug` is its Serving.
    """
    serving = target if isinstance(target, Serving) else Serving(target, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        serving.sampler.start()
        yield
        await asyncio.to_thread(serving.close)

    app = FastAPI(
        title="ctxplug",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,  # see `document`
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.ctxplug = serving
    for failure in (CtxplugError, RequestValidationError, HTTPException):
        app.add_exception_handler(failure, _tell)
    app.router.routes.extend(_routes())
    document(app)
    if serving.settings.viewer:
        app.router.routes.append(Route("/{path:path}", Files(VIEWER).answer, methods=["GET"]))
    _guard(app, serving)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Return the routes, put together once for all applications: that takes a while."""
    whole = APIRouter()
    for router in ROUTERS:
        whole.include_router(router, prefix="/v1")
    for router in (health, *ROOT_ROUTERS):
        whole.include_router(router)
    for route in whole.routes:
        route.matches(NOWHERE)  # what FastAPI puts off until the first request
    return tuple(whole.routes)


def _guard(app: FastAPI, serving: Serving) -> None:
    """Put the layers around the routes; what is added last stands outermost."""
    settings, layer = serving.settings, cast(Any, app.add_middleware)
    layer(Around, serving=serving)
    layer(Repeats, serving=serving)
    layer(Places, serving=serving)
    layer(Arrivals, settings=settings)
    layer(Rates, limits=serving.limits)
    layer(Authentication, serving=serving)
    layer(Bodies, settings=settings)
    layer(Hosts, settings=settings)
    layer(Outermost, serving=serving)


async def _tell(connection: HTTPConnection, exc: Exception) -> Response:
    """Answer with what an error tells; every one has the same form."""
    if isinstance(exc, RequestValidationError):
        problem = to_problem(_invalid(exc))
    elif isinstance(exc, HTTPException):
        problem = _plain(exc)
    else:
        problem = to_problem(cast(CtxplugError, exc))
        if problem.status in LOGGED:
            log_failure(connection.scope, exc)
    headers = {"content-type": "application/json", **problem.headers}
    return Response(problem.body, problem.status, headers)


def _invalid(exc: RequestValidationError) -> InvalidValueError:
    """Say in a sentence what of a request is not as it should be, without repeating it."""
    first = exc.errors()[0] if exc.errors() else {"loc": ("body",), "msg": "is not valid"}
    parts = [str(part) for part in first["loc"]]  # with which of several forms it might have
    place = ".".join(part for part in parts if not part.endswith("]"))
    more = f" ({len(exc.errors()) - 1} more)" if len(exc.errors()) > 1 else ""
    said = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    return InvalidValueError(f"{place}: {said}{more}. /openapi.json shows the form.", path=place)


def _plain(exc: HTTPException) -> Problem:
    if exc.status_code == 404:
        return to_problem(NotFoundError("There is nothing at this address."))
    problem = to_problem(CtxplugError(f"{exc.detail}."))
    return Problem(exc.status_code, problem.body, dict(exc.headers or {}))
