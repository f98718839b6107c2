"""Working: routes that are plain functions run on the server's own worker threads.

FastAPI would run them on anyio's, which costs twice as much, and which the end of the server
does not wait for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from fastapi.routing import APIRoute

from ctxplug_server.caller import Caller

__all__ = ["WorkRoute", "busy"]

E = TypeVar("E", bound=Callable[..., Any])
_busy: set[Callable[..., Any]] = set()


def busy(endpoint: E) -> E:
    """Mark an endpoint that computes for most of its time: few of its like run at once."""
    _busy.add(endpoint)
    return endpoint


class WorkRoute(APIRoute):
    """A route whose plain function, which takes the `caller`, runs on a worker thread."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        plain = not inspect.iscoroutinefunction(endpoint)
        super().__init__(path, _working(endpoint) if plain else endpoint, **options)


def _working(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(endpoint)
    async def working(*, caller: Caller, **values: Any) -> Any:
        unit = partial(endpoint, caller=caller, **values)
        return await caller.run(unit, busy=endpoint in _busy)

    return working
