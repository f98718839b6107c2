"""Requests that are done once, however often they are sent.

What a request with an Idempotency-Key writes and the mark that tells of it are one atomic
write, so that no crash comes between them. Marks are records in a namespace of ctxplug's own,
one for each namespace, and hold no text of messages and memories: the answer is made again
from what was written.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from ctxplug.errors import ConflictError, ReadOnlyError
from ctxplug.records import MemoryRecord
from ctxplug.scope import PRIVATE, Namespace, namespace_key
from ctxplug.storage import Append, Backend, Delete, EraseReceipt, Expect, Op, Put, Where
from ctxplug.storage.passing import PassingBackend

__all__ = ["Answer", "Once", "RequestBackend", "current", "marks_of_namespace"]

OWN = (PRIVATE, "requests")
KIND, ANSWERED = "request", "answered"  # of a mark, and of one that holds the answer
TIDIED = 500  # marks that are removed in one write
MOST_STORED = 16_384  # bytes of an answer that is kept in the store
ADDING = re.compile(r"/v1/sessions/[^/]+/messages\Z")
REMEMBERING = "/v1/memories"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered."""

    status: int
    content_type: str
    body: bytes


@dataclass(slots=True)
class Once:
    """A request that is to be done once: what is written for it carries its mark."""

    namespace: Namespace
    id: str
    fingerprint: str
    method: str
    path: str
    wrote: bool = False
    contested: bool = False  # another server wrote it first
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def adds(self) -> bool:
        """Whether it is to add messages."""
        return self.method == "POST" and ADDING.match(self.path) is not None

    @property
    def remembers(self) -> bool:
        """Whether it is to store a memory."""
        return self.method == "POST" and self.path == REMEMBERING

    def is_done_by(self, ops: tuple[Op, ...]) -> bool:
        """Say whether `ops` do it, or begin to: what was buffered before may be written first."""
        ops = tuple(op for op in ops if _namespace_of(op) == self.namespace)
        if self.adds:
            return any(isinstance(op, Append) and "message" in op.body for op in ops)
        if self.remembers:
            return any(isinstance(op, Put) for op in ops)
        return bool(ops)


current: ContextVar[Once | None] = ContextVar("ctxplug_request", default=None)


def marks_of_namespace(namespace: Namespace) -> Namespace:
    """Return where the marks of requests to `namespace` are kept."""
    return (*OWN, blake2b(namespace_key(namespace).encode(), digest_size=16).hexdigest())


class RequestBackend(PassingBackend):
    """`store`, whose writes carry the mark of the request they are made for.

    `drop` is told of a namespace before anything of it is erased; marks are kept for `hours`.
    """

    def __init__(self, store: Backend, drop: Callable[[Namespace], None], hours: float) -> None:
        super().__init__(store)
        self.store = store
        self._drop = drop
        self._kept = timedelta(hours=hours)

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops`, and with the first ones of a request its mark."""
        done = self._written(ops)
        self._forget_answers(ops)
        return done

    def _written(self, ops: tuple[Op, ...]) -> list[int]:
        once = current.get()
        if once is None or once.wrote or not once.is_done_by(ops):
            return self.store.write(*ops)
        with once.lock:
            if once.wrote:
                return self.store.write(*ops)
            mark = self._mark(once, ops)
            expect = Expect(mark.namespace, mark.id, None)
            try:
                done = self.store.write(*ops, expect, Put(mark))
            except ConflictError:
                once.contested = self.told(once) is not None
                raise
            once.wrote = True
        return done[: len(ops)]

    def told(self, once: Once) -> MemoryRecord | None:
        """Return the mark of a request that was done already, or None."""
        found = self.store.get(marks_of_namespace(once.namespace), once.id)
        if found is None or found.created_at >= datetime.now(UTC) - self._kept:
            return found
        gone = Expect(found.namespace, found.id, found), Delete(found.namespace, found.id)
        with suppress(ConflictError, ReadOnlyError):  # another server was quicker, or none writes
            self.store.write(*gone)  # else it would be in the way of the new one
        return None

    def answered(self, once: Once, answer: Answer) -> None:
        """Keep the answer to a request, if it is short, beside its mark."""
        mark = self.told(once)
        if mark is not None and len(answer.body) <= MOST_STORED:
            told = {
                "status": answer.status,
                "content_type": answer.content_type,
                "body": answer.body.decode("utf-8", "surrogatepass"),
            }
            self.store.write(Put(replace(_with(mark, answer=told), kind=ANSWERED)))

    def forget_old(self, now: datetime | None = None) -> int:
        """Remove the marks that have had their time; return how many."""
        before, count = (now or datetime.now(UTC)) - self._kept, 0
        for namespace in self.store.namespaces(OWN):
            while found := self.store.find(Where(namespace, until=before), limit=TIDIED):
                self.store.write(*(Delete(namespace, mark.id) for mark in found))
                count += len(found)
        return count

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Erase `namespace`, and what is known of requests to it."""
        self._drop(namespace)
        own = marks_of_namespace(namespace)
        while found := self.store.find(Where(own), limit=TIDIED):
            self.store.write(*(Delete(own, mark.id) for mark in found))
        return self.store.erase(namespace)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Erase sessions, and the answers to requests to their namespace."""
        self._drop(namespace)
        own = marks_of_namespace(namespace)
        self._unsay(self.store.find(Where(own, kinds=[ANSWERED])))
        return self.store.erase_session(namespace, session, *others)

    def _forget_answers(self, ops: tuple[Op, ...]) -> None:
        """Keep no answer that tells of a memory that `ops` removed."""
        for namespace in {op.namespace for op in ops if isinstance(op, Delete)}:
            ids = {op.id for op in ops if isinstance(op, Delete) and op.namespace == namespace}
            if namespace[0] != PRIVATE:
                for mark in self.store.find(Where(marks_of_namespace(namespace), kinds=[ANSWERED])):
                    if any(id in mark.metadata["answer"]["body"] for id in ids):
                        self._unsay([mark])

    def _unsay(self, told: Sequence[MemoryRecord]) -> None:
        for start in range(0, len(told), TIDIED):
            marks = (_with(mark, answer=None) for mark in told[start : start + TIDIED])
            self.store.write(*(Put(replace(mark, kind=KIND)) for mark in marks))

    def _mark(self, once: Once, ops: tuple[Op, ...]) -> MemoryRecord:
        return MemoryRecord(
            namespace=marks_of_namespace(once.namespace),
            id=once.id,
            kind=KIND,
            content=f"{once.method} {once.path}",
            metadata={"fingerprint": once.fingerprint, "wrote": wrote(ops)},
            created_at=datetime.now(UTC),
        )


def wrote(ops: tuple[Op, ...]) -> dict[str, Any]:
    """Return the ids of what `ops` write, by which the answer can be made again."""
    messages = [
        [op.stream.session, op.body["message"]["id"]]
        for op in ops
        if isinstance(op, Append) and "message" in op.body
    ]
    records = [op.record.id for op in ops if isinstance(op, Put)]
    return {"messages": messages, "records": records}


def _namespace_of(op: Op) -> Namespace | None:
    for holder in (op, getattr(op, "stream", None), getattr(op, "record", None)):
        found: Namespace | None = getattr(holder, "namespace", None)
        if found is not None:
            return found
    return None


def _with(mark: MemoryRecord, **changes: Any) -> MemoryRecord:
    metadata: Mapping[str, Any] = {**mark.metadata, **changes}
    return replace(mark, metadata={n: v for n, v in metadata.items() if v is not None})
