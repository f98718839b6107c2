"""RemoteStore: `memory.backend` of a remote memory, for what works on the backend itself."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from ctxplug.errors import NotFoundError, UnsupportedError
from ctxplug.messages import Logged
from ctxplug.records import MemoryRecord
from ctxplug.scope import RESERVED
from ctxplug.sessions.log import MESSAGE
from ctxplug.storage import Append, Delete, Entry, Op, Stream, Where
from ctxplug.storage.workers import Workers
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.link import Link, path, reads

T = TypeVar("T")


class NotHereError(UnsupportedError, AttributeError):
    """A backend has it, and the store of a remote memory has not."""


class RemoteStore:
    """The store behind a remote memory, as far as adapters need it.

    It runs units of work on threads of its own, knows how far a session has come, reads and
    finds messages, and removes records. All else that a backend can do is the server's alone
    and raises UnsupportedError.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._workers = Workers()

    @property
    def target(self) -> str:
        """Where it is."""
        return self._link.transport.address.url

    async def arun(self, unit: Callable[[], T]) -> T:
        """Run `unit` on a worker thread."""
        context = contextvars.copy_context()
        return await asyncio.wrap_future(self._workers.submit(context.run, unit))

    def head(self, stream: Stream) -> int:
        """Return the version of the newest entry of a session's log; 0 if it is empty."""
        if stream.session.startswith(RESERVED):
            head: int = self._link.send(self._journal("GET", stream))
        else:
            head = self._log(stream, "head", int, last=0)
        return head

    def read(
        self, stream: Stream, *, after: int = 0, kinds: Sequence[str] | None = None
    ) -> list[Entry]:
        """Return the messages of a session's log above version `after`, as entries."""
        if kinds is None or list(kinds) != [MESSAGE]:
            raise _unsupported("read, but for messages,")
        said: list[Logged] = self._log(stream, "log", list[Logged], after=after, kept=False)
        return [
            Entry(
                stream=stream,
                version=one.version,
                kind=MESSAGE,
                body={"message": one.message.to_dict()},
                created_at=one.message.created_at,
            )
            for one in said
        ]

    def find(self, where: Where, *, limit: int | None = None) -> list[MemoryRecord]:
        """Return the messages of a session as the records that recall finds, newest first."""
        if where.session is None or where.kinds is None or list(where.kinds) != [MESSAGE]:
            raise _unsupported("find, but for messages of a session,")
        stream = Stream(where.namespace, where.session)
        said: list[Logged] = self._log(stream, "log", list[Logged], last=limit)
        return [
            MemoryRecord(
                namespace=where.namespace,
                id=f"{where.session}@{one.version}",
                kind=MESSAGE,
                content=one.message.text,
                created_at=one.message.created_at,
                sources=(one.message.id,),
                session=where.session,
            )
            for one in reversed(said)
        ]

    def write(self, *ops: Op) -> None:
        """Remove records, or enter something in a journal of an adapter; each on its own."""
        for op in ops:
            if not isinstance(op, Delete) and not (isinstance(op, Append) and _is_journal(op)):
                raise _unsupported("write, but to delete,")
        for op in ops:
            if isinstance(op, Append):
                body = {"kind": op.kind, "body": dict(op.body)}
                self._link.send(self._journal("POST", op.stream, body))
            elif isinstance(op, Delete):
                params = {"namespace": "/".join(op.namespace)}
                call = self._link.call("DELETE", path("memories", op.id), nothing, params=params)
                with suppress(NotFoundError):
                    self._link.send(call)

    async def ahead(self, stream: Stream) -> int:
        """Async twin of `head`."""
        return await self.arun(lambda: self.head(stream))

    def close(self) -> None:
        """Let the threads end."""
        self._workers.dismiss()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise _unsupported(name)

    # -- inside --------------------------------------------------------------------------

    def _journal(self, method: str, stream: Stream, body: Any = None) -> Call[int]:
        at = path("journals", stream.session.removeprefix(RESERVED))
        params = {"namespace": "/".join(stream.namespace)}
        return self._link.call(method, at, reads(int, "head"), params=params, body=body)

    def _log(self, stream: Stream, what: str, kind: Any, **params: Any) -> Any:
        at = self._link.at("log", session=stream.session)
        params["namespace"] = "/".join(stream.namespace)
        return self._link.send(self._link.call("GET", at, reads(kind, what), params=params))


def _is_journal(op: Append) -> bool:
    return op.stream.session.startswith(RESERVED)


def _unsupported(what: str) -> NotHereError:
    return NotHereError(
        f"The store of a remote memory is the server's: {what} is not to be had from here. Use"
        " the verbs of the memory, or AgentMemory on the store itself.",
        capability=f"backend.{what.partition(',')[0]}",
    )
