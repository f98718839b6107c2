"""Working: routes that are plain functions run on the server's own worker threads.

FastAPI would run them on anyio's, which costs twice as much, and which the end of the server
does not wait for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from fastapi.routing import APIRoute

from ctxplug_server.caller import Caller

__all__ = ["WorkRoute"]


class WorkRoute(APIRoute):
    """A route whose plain function, which takes the `caller`, runs on a worker thread."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        plain = not inspect.iscoroutinefunction(endpoint)
        super().__init__(path, _working(endpoint) if plain else endpoint, **options)


def _working(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(endpoint)
    async def working(*, caller: Caller, **values: Any) -> Any:
        return await caller.run(partial(endpoint, caller=caller, **values))

    return working
