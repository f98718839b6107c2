"""Link: what a remote memory and its rooms send their calls by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ctxplug.errors import ClosedError
from ctxplug.scope import Scope
from ctxplug_server.client.calls import SLOW, Call, nothing, segment
from ctxplug_server.client.transport import Transport
from ctxplug_server.wire import from_json
from ctxplug_server.wire.surroundings import session_header

T = TypeVar("T")
ROOT = "/v1"


class Link:
    """The way of one scope to its server; closed with its memory, or with the one above.

    `common` are the parameters by which the server finds or opens the memory of that scope.
    """

    def __init__(
        self,
        transport: Transport,
        scope: Scope,
        common: Mapping[str, Any],
        above: Link | None = None,
    ) -> None:
        self.transport = transport
        self.scope = scope
        self._common = {
            "namespace": "/".join(scope.namespace),
            "agent": scope.agent,
            **common,
        }
        self._headers = session_header(scope.session)
        self._above = above
        self._closed = False

    def call(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        writes: bool | None = None,
        slow: bool = False,
        raw: bool = False,
        blind: bool = False,
    ) -> Call[T]:
        """Return the call of `path` below the root; all but GET writes unless it says not."""
        return Call(
            method,
            ROOT + path,
            read,
            params={**self._common, **(params or {})},
            body=body,
            writes=method != "GET" if writes is None else writes,
            patience=SLOW if slow else 1.0,
            raw=raw,
            blind=blind or read is nothing,
            headers=self._headers,
        )

    def at(self, *rest: str, session: str | None = None) -> str:
        """Return the path of this session, or of `session`, and of what is `rest` in it."""
        return path("sessions", self.scope.session if session is None else session, *rest)

    def send(self, call: Call[T]) -> T:
        """Send `call` and return what came of it."""
        self.check_open()
        return self.transport.send(call)

    async def asend(self, call: Call[T]) -> T:
        """Async twin of `send`."""
        self.check_open()
        return await self.transport.asend(call)

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closed or (self._above is not None and self._above.closed)

    def close(self) -> None:
        """Let nothing be sent any more."""
        self._closed = True

    def check_open(self) -> None:
        """Raise ClosedError once it is closed."""
        if self.closed:
            name = "/".join(self.scope.namespace)
            raise ClosedError(
                f"The remote memory {name!r} session {self.scope.session!r} was closed; open it"
                " again with RemoteMemory.open."
            )


def path(*labels: str) -> str:
    """Return a path of segments that may hold anything."""
    return "".join(f"/{segment(label)}" for label in labels)


def reads(kind: Any, name: str | None = None) -> Callable[[Any], Any]:
    """Return what reads a value of `kind` in an answer, or in the field `name` of it."""

    def read(data: Any) -> Any:
        return from_json(kind, data if name is None else data[name])

    return read
