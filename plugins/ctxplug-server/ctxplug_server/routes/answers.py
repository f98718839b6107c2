"""How routes answer and document themselves.

Answers are encoded by `ctxplug.codec` straight from `wire`: what models there are only
document them.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug_server.schemas.care import Problem
from ctxplug_server.wire import to_json
from ctxplug_server.working import WorkRoute

JSON = "application/json"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "It was refused; the body says why."},
    "5XX": {"model": Problem, "description": "It failed, or no place came free."},
}


def router(tag: str) -> APIRouter:
    """Return a router for the routes of one resource."""
    return APIRouter(
        tags=[tag],
        responses=PROBLEMS,
        route_class=WorkRoute,
        generate_unique_id_function=_name_of,
    )


def gives(
    model: type[BaseModel] | None, status: int = 200, description: str = "Done."
) -> dict[str, Any]:
    """Return what documents a route that answers with `model`, or with nothing."""
    answer: dict[str, Any] = {"description": description}
    if model is not None:
        answer["model"] = model
    return {"status_code": status, "responses": {status: answer}, "response_model": None}


def answer(value: Any, status: int = 200) -> Response:
    """Return the answer that holds a value of ctxplug, or JSON data with such values in it."""
    return Response(codec.encode(to_json(value)), status, media_type=JSON)


def nothing() -> Response:
    """Return the answer that says: done."""
    return Response(status_code=204)


def free_names(data: dict[str, Any], verb: Callable[..., Any], place: str) -> dict[str, Any]:
    """Return `data` if a verb can take it as keywords; raise InvalidValueError for its own."""
    own = {"self", *signature(verb).parameters} & data.keys()
    if own:
        names = ", ".join(sorted(own))
        raise InvalidValueError(
            f"{place} cannot have keys of these names here: {names}; choose others.", path=place
        )
    return data


def _name_of(route: APIRoute) -> str:
    return route.name
