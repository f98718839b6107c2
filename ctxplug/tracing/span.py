"""Span: a step while it lasts; what happens inside it has it for a parent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from os import urandom
from types import TracebackType
from typing import Any

from ctxplug import codec
from ctxplug.scope import Scope
from ctxplug.tracing.step import CANCELLED, FAILED, OK, Step

_current: ContextVar[Span | None] = ContextVar("ctxplug_span", default=None)

_GIVEN_UP = {"CancelledError", "GeneratorExit", "KeyboardInterrupt"}  # by name: no asyncio yet


def current_span() -> Span | None:
    """Return the innermost span that is open in this task or thread."""
    return _current.get()


def new_span_id() -> str:
    """Return a new id of 16 hexadecimal digits."""
    return urandom(8).hex()


class Span:
    """A step that is under way: a context manager, for `with` and `async with` alike.

    `id` and `trace` name it; `tokens`, `cost`, `outcome` and `error` may be set until it ends,
    `set` adds to its data. An error that leaves it is its outcome, and goes on its way.
    """

    __slots__ = (
        "_began",
        "_end",
        "_measured",
        "_token",
        "cost",
        "data",
        "duration",
        "error",
        "id",
        "kind",
        "name",
        "outcome",
        "own",
        "parent",
        "parts",
        "started",
        "tokens",
        "trace",
    )

    def __init__(
        self,
        end: Callable[[Span], None],
        kind: str,
        name: str,
        *,
        trace: str,
        parent: str | None,
        data: dict[str, Any],
    ) -> None:
        self.id = new_span_id()
        self.trace = trace
        self.parent = parent
        self.kind = kind
        self.name = name
        self.data = data
        self.parts: Mapping[str, Callable[[], Any]] = {}  # what the data names by digest
        self.own = False  # an application's, whose words may stand anywhere in it
        self.tokens: int | None = None
        self.cost: float | None = None
        self.outcome = OK
        self.error: str | None = None
        self.started = time.time()
        self.duration = 0.0
        self._end = end
        self._began = time.perf_counter()
        self._measured = False
        self._token: Token[Span | None] | None = None

    def lasted(self, started_at: datetime, duration: float) -> Span:
        """Say when it began and how long it lasted, in seconds: that was measured elsewhere."""
        self.started, self.duration, self._measured = started_at.timestamp(), duration, True
        return self

    def around_task(self) -> Span:
        """Be the parent of all that the current task does from now on; nothing ends that."""
        _current.set(self)
        return self

    def set(self, **data: Any) -> None:
        """Add JSON values to what is kept of the step; InvalidValueError for what is none."""
        for key, value in data.items():
            self.data[key] = codec.plain(value, key)

    def step(self, scope: Scope) -> Step:
        """Return what has been until now as a step."""
        return Step(
            id=self.id,
            trace=self.trace,
            parent=self.parent,
            kind=self.kind,
            name=self.name,
            started_at=datetime.fromtimestamp(self.started, UTC),
            duration=self.duration,
            outcome=self.outcome,
            session=scope.session,
            agent=scope.agent,
            tokens=self.tokens,
            cost=self.cost,
            error=self.error,
            data=self.data,
        )

    def to_row(self) -> dict[str, Any]:
        """Return the step as it is stored; what is usual is left out."""
        row: dict[str, Any] = {
            "id": self.id,
            "trace": self.trace,
            "kind": self.kind,
            "name": self.name,
            "started_at": self.started,
            "duration": round(self.duration, 7),
        }
        if self.parent is not None:
            row["parent"] = self.parent
        if self.outcome != OK:
            row["outcome"] = self.outcome
        for name in ("tokens", "cost", "error"):
            value = getattr(self, name)
            if value is not None:
                row[name] = value
        if self.data:
            row["data"] = self.data
        return row

    def __enter__(self) -> Span:
        if not self._measured:
            self.started = time.time()
            self._began = time.perf_counter()
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._measured:
            self.duration = time.perf_counter() - self._began
        if self._token is not None:
            with suppress(ValueError):  # ended in another task than it began in
                _current.reset(self._token)
        if exc is not None and self.outcome == OK:
            self.failed(exc)
        self._end(self)

    def failed(self, exc: BaseException) -> None:
        """Let `exc` be its outcome."""
        self.outcome = CANCELLED if type(exc).__name__ in _GIVEN_UP else FAILED
        self.error = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, exc, trace)

    def __repr__(self) -> str:
        return f"<Span {self.kind} {self.name!r} {self.id}>"
