"""What every route has in common, added to the OpenAPI document in one place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ctxplug import codec
from ctxplug_server.schemas.examples_in_full import complete_examples

__all__ = ["document"]

WRITING = ("post", "patch", "delete")
SECURITY = "key"


def document(app: FastAPI) -> None:
    """Let `app` document its common parameters, its keys, and its Idempotency-Key."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            _complete(made)
            app.openapi_schema = made
        return app.openapi_schema

    @cache
    def written() -> bytes:
        return codec.encode(app.openapi())

    def told(request: Request) -> Response:
        """Answer on a worker thread: to make the document takes a while."""
        return Response(written(), media_type="application/json")

    app.openapi = openapi  # type: ignore[method-assign]
    app.router.routes.append(Route("/openapi.json", told, methods=["GET"]))


def _complete(made: dict[str, Any]) -> None:
    components = made.setdefault("components", {})
    complete_examples(components.get("schemas", {}))
    components["securitySchemes"] = {
        SECURITY: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key that `ctxplug keys make` made. Without any keys, and on this"
            " machine alone, none is needed.",
        }
    }
    for path, method, operation in _operations(made):
        if path.startswith("/v1") or path == "/metrics":
            operation["security"] = [{SECURITY: []}, {}]
        if not path.startswith("/v1"):
            continue
        parameters = operation.setdefault("parameters", [])
        known = {(one["name"], one["in"]) for one in parameters}
        more = [*COMMON, PURPOSE, ACTOR, *([REPEATED] if method in WRITING else [])]
        parameters += [one for one in more if (one["name"], one["in"]) not in known]


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in made["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _query(name: str, description: str, example: str, place: str = "query") -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


_header = partial(_query, place="header")
COMMON = (
    _query(
        "namespace", "Whose memory. Default: the namespace that the key is bound to.", "acme/alice"
    ),
    _query("agent", "Which agent acts. Default: that of the key, or nobody.", "planner"),
    _query("model", "The model, which picks counter, prices and rules.", "claude-sonnet-4-5"),
    _query("policy", "How context windows are made.", "balanced"),
)
PURPOSE = _header(
    "Ctxplug-Purpose", "What it is done for, percent-encoded: the audit keeps it.", "support"
)
ACTOR = _header(
    "Ctxplug-Actor", "On whose behalf it is done, percent-encoded: the audit keeps it.", "ana"
)
REPEATED = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of your own, one for each request: sent again with it, a request is"
    " answered as it was the first time, and not done again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
