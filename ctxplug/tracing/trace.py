"""Trace: what a memory did, step by step (`memory.trace`)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from ctxplug.errors import InvalidValueError, NotFoundError, StorageError
from ctxplug.scope import Scope, new_id, to_session
from ctxplug.storage import Append, Backend, Op, Stream
from ctxplug.times import to_datetime
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.analyzing import AnalysisVerbs
from ctxplug.tracing.checks import check_measured, check_place, to_count, to_kind
from ctxplug.tracing.listeners import Listener, Listeners
from ctxplug.tracing.policy import TracePolicy
from ctxplug.tracing.reading import find_step, read_parts, read_steps
from ctxplug.tracing.recorder import Recorder, Redact, Taken, trace_stream
from ctxplug.tracing.replaying import ReplayVerbs
from ctxplug.tracing.span import Span, current_span
from ctxplug.tracing.step import OK, SPAN, WINDOW, Step
from ctxplug.tracing.writer import StepWriter

FULL = 64  # steps that wait before they are written by themselves


class Replayed(Protocol):
    """A past window that was made again: see `ctxplug.context.recorded.Replayed`."""

    window: Any
    hash: str
    expected: str
    exact: bool
    notes: tuple[str, ...]


Rebuild = Callable[[Stream, Mapping[str, Any], Mapping[str, Any]], Any]


class Trace(ReplayVerbs, AnalysisVerbs):
    """The steps of a session: recorded while it goes on, and read back from the log.

    Without a span of the application, what serves one turn, from a user message to the next,
    is one trace. Steps are stored with the next write, so that tracing costs little; `flush`
    stores what waits, and so do reading and `close`. Where steps cannot be stored they are
    dropped: tracing never makes a verb fail.
    """

    def __init__(
        self,
        backend: Backend,
        scope: Scope,
        policy: TracePolicy,
        *,
        redact: Redact | None = None,
        rebuild: Rebuild,
        rerun: Callable[..., Any],
        counter: TokenCounter,
        check_open: Callable[[], None] = lambda: None,
    ) -> None:
        self.policy = policy
        self._backend = backend
        self._scope = scope
        self._rebuild = rebuild
        self._rerun, self._counter = rerun, counter
        self._check_open = check_open
        stream = trace_stream(scope.namespace, scope.session)
        self._recorder = Recorder(stream, scope.agent, policy, redact)
        self._turn = new_id()
        self.enabled = policy.sample > 0
        self._listeners = Listeners(scope)
        self._writer = StepWriter(backend, self._recorder, self._listeners)
        self._beside: list[tuple[weakref.ref[Trace], StepWriter]] = []

    # -- recording -----------------------------------------------------------------------

    def span(
        self, name: str, *, kind: str = SPAN, parent: Span | str | None = None, **data: Any
    ) -> Span:
        """Return a step of the application's own, for `with` or `async with`.

        What happens inside, in the same task or thread and in tasks begun there, has it for a
        parent; a thread that was begun otherwise is given it as `parent`. `kind` is one of
        those of `Step`. Raises InvalidValueError for data that is not JSON.
        """
        span = self._own(kind, name, parent, None)
        span.set(**data)
        return span

    def record(
        self,
        kind: str,
        name: str = "",
        *,
        started_at: datetime | str | float,
        duration: float,
        outcome: str = OK,
        tokens: int | None = None,
        cost: float | None = None,
        error: str | None = None,
        parent: Span | str | None = None,
        trace: str | None = None,
        **data: Any,
    ) -> Step:
        """Enter a step that was measured elsewhere, and return it; `duration` in seconds."""
        self._check_open()
        check_measured(duration, outcome, tokens, cost, error)
        span = self._own(kind, name, parent, trace)
        span.set(**data)
        span.started = to_datetime(started_at).timestamp()
        span.duration, span.tokens, span.cost = float(duration), tokens, cost
        span.outcome, span.error = outcome, error
        self.ended(span)
        return span.step(self._scope)

    def opened(
        self,
        kind: str,
        name: str,
        *,
        parent: Span | str | None = None,
        trace: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> Span:
        """Return a span; `data` is taken as it is."""
        around = parent or current_span()
        inside = around.trace if isinstance(around, Span) else self._turn
        above = around.id if isinstance(around, Span) else around
        data = {} if data is None else data
        return Span(self.ended, kind, name, trace=trace or inside, parent=above, data=data)

    def ended(self, span: Span) -> None:
        """Enter a span that has ended."""
        if not self.enabled or (span.outcome == OK and not self.policy.keeps(span.trace)):
            return
        self._recorder.add(span)
        if self._recorder.waiting >= FULL:
            self._writer.try_to_store()

    def keeps(self, span: Span) -> bool:
        """Say whether `span` is kept if it ends well."""
        return self.enabled and self.policy.keeps(span.trace)

    def begin_turn(self) -> None:
        """Let a new trace begin: a user has spoken."""
        self._turn = new_id()

    # -- what waits ----------------------------------------------------------------------

    def flush(self) -> None:
        """Store the steps that wait, here and in memories beside this one; await listeners."""
        self._check_open()
        self._store()
        self._listeners.wait()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of each list of steps once it is stored, as it is stored.

        It is called on a thread of its own; what it raises is logged. Calling what is returned
        ends it. `ctxplug.tracing.otel.Exporting` is such a listener.
        """
        return self._listeners.add(listener)

    def close(self) -> None:
        """Wait for who listens, the memory is closed."""
        self._listeners.wait()

    def take(self) -> Taken:
        """Return the steps that are to go along with a write; see `Recorder`."""
        return self._recorder.take(all_of_it=False)

    def ops(self, taken: Taken) -> list[Append]:
        """Return what stores steps that were taken."""
        return self._recorder.ops(taken)

    def stored(self, taken: Taken, ops: Iterable[Op], versions: Sequence[int]) -> None:
        """Note that steps that were taken are stored, by `ops`, in entries of `versions`."""
        self._recorder.written(taken, versions)
        self._listeners.tell(ops)

    def put_back(self, taken: Taken) -> None:
        """Let steps that were taken wait on."""
        self._recorder.put_back(taken)

    def join(self, other: Trace) -> None:
        """Let `other` store what waits here when it is flushed, even if this one is no more."""
        if len(other._beside) % 64 == 0:  # those that are gone, and left nothing, are let go
            other._beside[:] = [b for b in other._beside if b[0]() or b[1].recorder.waiting]
        other._beside.append((weakref.ref(self), self._writer))
        self._beside = other._beside

    def forget(self) -> None:
        """Drop what waits: the namespace was erased."""
        self._recorder.forget()

    # -- reading -------------------------------------------------------------------------

    def steps(
        self,
        *,
        session: str | None = None,
        trace: str | None = None,
        kind: str | None = None,
        last: int | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
    ) -> list[Step]:
        """Return the steps of this session, or of `session`, in the order they began.

        `trace` and `kind` choose; `since` <= started_at < `until`; `last` are so many of
        those that ended last.
        """
        self._flushed()
        return read_steps(
            self._backend,
            self._scope.namespace,
            self._session(session),
            trace=trace,
            kind=None if kind is None else to_kind(kind),
            last=to_count(last),
            since=None if since is None else to_datetime(since),
            until=None if until is None else to_datetime(until),
        )

    def get(self, step_id: str, *, session: str | None = None) -> Step:
        """Return one step of this session, or of `session`, or raise NotFoundError."""
        self._flushed()
        name = self._session(session)
        step = find_step(self._backend, self._scope.namespace, name, step_id)
        if step is None:
            raise NotFoundError(
                f"The session {name!r} has no step {step_id!r}; `memory.trace.steps()` lists them."
            )
        return step

    def window(self, step: Step | str, *, session: str | None = None) -> Replayed:
        """Make the window of a past call again from the log, and say whether it is the same.

        `step` is a step of kind "window", or its id. Raises NotFoundError for an unknown id,
        InvalidValueError for a step that made no window.
        """
        if not isinstance(step, Step):
            step = self.get(step, session=session)
        if step.kind != WINDOW or "hash" not in step.data:
            raise InvalidValueError(
                f"The step {step.id!r} is of kind {step.kind!r} and made no window; those of"
                " `memory.trace.steps(kind='window')` that ended well did.",
                path="step",
            )
        keys = frozenset([*step.data.get("system", {}).values(), step.data.get("tools", "")])
        parts = read_parts(self._backend, self._scope.namespace, step.session, keys - {""})
        stream = Stream(self._scope.namespace, step.session)
        replayed: Replayed = self._rebuild(stream, step.data, parts)
        return replayed

    # -- a-twins -------------------------------------------------------------------------

    async def aflush(self) -> None:
        """Async twin of `flush`."""
        await self._backend.arun(self.flush)

    async def asteps(self, **options: Any) -> list[Step]:
        """Async twin of `steps`."""
        return await self._backend.arun(partial(self.steps, **options))

    async def aget(self, step_id: str, **options: Any) -> Step:
        """Async twin of `get`."""
        return await self._backend.arun(partial(self.get, step_id, **options))

    async def awindow(self, step: Step | str, **options: Any) -> Replayed:
        """Async twin of `window`."""
        return await self._backend.arun(partial(self.window, step, **options))

    # -- inside --------------------------------------------------------------------------

    def _own(self, kind: str, name: str, parent: Span | str | None, trace: str | None) -> Span:
        """Return a span of the application's own."""
        check_place(name, parent, trace)
        span = self.opened(to_kind(kind), name, parent=parent, trace=trace)
        span.own = True
        return span

    def _flushed(self) -> None:
        """Store what waits before reading, where that is possible."""
        self._check_open()
        with suppress(StorageError):
            self._store()

    def _store(self) -> None:
        self._writer.store()
        for _, writer in tuple(self._beside):
            writer.store()

    def _session(self, session: str | None) -> str:
        return self._scope.session if session is None else to_session(session)
