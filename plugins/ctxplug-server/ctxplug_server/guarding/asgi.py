"""What the layers share: reading headers, and answering with a problem."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from ctxplug.errors import CtxplugError
from ctxplug_server.problems import Problem, to_problem

__all__ = [
    "App",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "address_of",
    "giving",
    "header",
    "is_public",
    "refuse",
    "tell",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

REFUSED_SOCKET = 1008  # WebSocket close code: policy violation


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of that name, which is in lower case; None if there is none."""
    for found, value in scope["headers"]:
        if found == name:
            return bytes(value)
    return None


def is_public(path: str) -> bool:
    """Say whether a path needs no key: the viewer's files, and whether the server is well."""
    return not (path.startswith("/v1/") or path in ("/v1", "/metrics", "/openapi.json"))


def address_of(scope: Scope) -> str:
    """Return the address a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def giving(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read already, then what comes after it."""
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


async def refuse(scope: Scope, send: Send, error: CtxplugError, status: int | None = None) -> None:
    """Answer with what `error` tells; a WebSocket is closed before it is opened."""
    problem = to_problem(error)
    if status is not None:
        problem = Problem(status, problem.body, problem.headers)
    await tell(scope, send, problem)


async def tell(scope: Scope, send: Send, problem: Problem) -> None:
    """Send `problem` as the whole answer."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get(
        "extensions", {}
    ):
        await send({"type": "websocket.close", "code": REFUSED_SOCKET})
        return
    prefix = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    headers = _headers(problem)
    await send({"type": f"{prefix}.start", "status": problem.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": problem.body})


def _headers(problem: Problem) -> Iterable[tuple[bytes, bytes]]:
    own = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(problem.body)).encode()),
    ]
    return [*own, *((n.encode(), v.encode()) for n, v in problem.headers.items())]
