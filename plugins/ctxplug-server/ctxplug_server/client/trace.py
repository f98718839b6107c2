"""RemoteTrace: `memory.trace` of a remote memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any

from ctxplug.errors import CtxplugError, InvalidValueError, UnsupportedError
from ctxplug.scope import new_id
from ctxplug.times import to_datetime
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.checks import check_measured, check_place, to_count, to_kind
from ctxplug.tracing.span import Span, current_span
from ctxplug.tracing.step import CANCELLED, FAILED, OK, SPAN, Step
from ctxplug_server.client.arguments import time
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.replaying import ReplayVerbs

PATIENCE = 5.0  # seconds after which steps that could not be sent are tried again
FULL = 64  # steps that wait before they are sent by themselves
MOST = 4096  # steps that wait at most while the server cannot be reached; the oldest go


class RemoteTrace(ReplayVerbs):
    """The steps of a session; see `ctxplug.tracing.trace.Trace`.

    What the server does it records itself. Steps of the application wait here until the next
    write, `flush`, reading or `close` sends them; tracing never makes a verb fail.
    """

    def __init__(self, link: Link, counter: Callable[[], TokenCounter]) -> None:
        self.link = link
        self.counter = counter
        self._turn = new_id()
        self._lock = threading.Lock()
        self._waiting: deque[Step] = deque(maxlen=MOST)
        self._not_before = 0.0

    # -- recording -----------------------------------------------------------------------

    def span(
        self, name: str, *, kind: str = SPAN, parent: Span | str | None = None, **data: Any
    ) -> Span:
        """Return a step of the application's own, for `with` or `async with`."""
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
        self.link.check_open()
        check_measured(duration, outcome, tokens, cost, error)
        span = self._own(kind, name, parent, trace)
        span.set(**data)
        span.started = to_datetime(started_at).timestamp()
        span.duration, span.tokens, span.cost = float(duration), tokens, cost
        span.outcome, span.error = outcome, error
        self.ended(span)
        return span.step(self.link.scope)

    def ended(self, span: Span) -> None:
        """Enter a span that has ended."""
        with self._lock:
            self._waiting.append(span.step(self.link.scope))
        if len(self._waiting) >= FULL and not self.link.closed:
            self.try_to_store()

    def begin_turn(self) -> None:
        """Let a new trace begin: a user has spoken."""
        self._turn = new_id()

    def listen(self, listener: Any) -> Callable[[], None]:
        """Raise UnsupportedError: a remote memory's steps are stored by the server."""
        raise UnsupportedError(
            "Steps of a remote memory are stored by its server, which tells of them by"
            " `memory.live()`, or by GET /v1/live; there is nothing to listen to here.",
            capability="listen",
        )

    # -- what waits ----------------------------------------------------------------------

    def flush(self) -> None:
        """Send the steps that wait; of one that cannot be stored, that it was."""
        self.link.check_open()
        steps = self._taken()
        try:
            while steps:
                try:
                    self.link.send(self._stored(steps[:FULL]))
                    del steps[:FULL]
                except InvalidValueError:
                    for _ in steps[:FULL]:
                        try:
                            self.link.send(self._stored(steps[:1]))
                        except InvalidValueError as exc:
                            self.link.send(self._stored([_bare(steps[0], exc)]))
                        del steps[0]
        finally:
            self._put_back(steps)

    async def aflush(self) -> None:
        """Async twin of `flush`."""
        self.link.check_open()
        steps = self._taken()
        try:
            while steps:
                try:
                    await self.link.asend(self._stored(steps[:FULL]))
                    del steps[:FULL]
                except InvalidValueError:
                    for _ in steps[:FULL]:
                        try:
                            await self.link.asend(self._stored(steps[:1]))
                        except InvalidValueError as exc:
                            await self.link.asend(self._stored([_bare(steps[0], exc)]))
                        del steps[0]
        finally:
            self._put_back(steps)

    def try_to_store(self, *, now: bool = False) -> None:
        """Send what waits, if that is possible; if it was not lately, later, unless `now`."""
        if self._waiting and (now or monotonic() >= self._not_before):
            try:
                self.flush()
            except CtxplugError:
                self._not_before = monotonic() + PATIENCE

    async def atry_to_store(self, *, now: bool = False) -> None:
        """Async twin of `try_to_store`."""
        if self._waiting and (now or monotonic() >= self._not_before):
            try:
                await self.aflush()
            except CtxplugError:
                self._not_before = monotonic() + PATIENCE

    # -- reading -------------------------------------------------------------------------

    def _steps_call(
        self,
        *,
        session: str | None = None,
        trace: str | None = None,
        kind: str | None = None,
        last: int | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
    ) -> Call[list[Step]]:
        params = {
            "trace": trace,
            "kind": None if kind is None else to_kind(kind),
            "last": to_count(last),
            "since": time(since),
            "until": time(until),
        }
        at, read = self.link.at("steps", session=session), reads(list[Step], "steps")
        return self.link.call("GET", at, read, params=params, slow=last is None)

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
        """Return the steps of this session, or of `session`, in the order they began."""
        self.try_to_store(now=True)
        return self.link.send(
            self._steps_call(
                session=session, trace=trace, kind=kind, last=last, since=since, until=until
            )
        )

    async def asteps(self, **options: Any) -> list[Step]:
        """Async twin of `steps`."""
        await self.atry_to_store(now=True)
        return await self.link.asend(self._steps_call(**options))

    def get(self, step_id: str, *, session: str | None = None) -> Step:
        """Return one step of this session, or of `session`, or raise NotFoundError."""
        self.try_to_store(now=True)
        return self.link.send(self._get_call(step_id, session))

    async def aget(self, step_id: str, *, session: str | None = None) -> Step:
        """Async twin of `get`."""
        await self.atry_to_store(now=True)
        return await self.link.asend(self._get_call(step_id, session))

    # -- inside --------------------------------------------------------------------------

    def _get_call(self, step_id: str, session: str | None) -> Call[Step]:
        return self.link.call("GET", self.link.at("steps", step_id, session=session), reads(Step))

    def _own(self, kind: str, name: str, parent: Span | str | None, trace: str | None) -> Span:
        check_place(name, parent, trace)
        around = parent or current_span()
        inside = around.trace if isinstance(around, Span) else self._turn
        above = around.id if isinstance(around, Span) else around
        span = Span(self.ended, to_kind(kind), name, trace=trace or inside, parent=above, data={})
        span.own = True
        return span

    def _taken(self) -> list[Step]:
        with self._lock:
            steps = list(self._waiting)
            self._waiting.clear()
        return steps

    def _put_back(self, steps: list[Step]) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(steps))

    def _stored(self, steps: list[Step]) -> Call[None]:
        body = {"steps": [_told(step) for step in steps]}
        return self.link.call("POST", self.link.at("steps"), nothing, body=body)


def _bare(step: Step, why: Exception) -> Step:
    """Return what can be stored of a step that cannot."""
    return replace(
        step,
        name=step.name if isinstance(step.name, str) else "",
        outcome=step.outcome if step.outcome in (OK, CANCELLED) else FAILED,
        tokens=None,
        cost=None,
        error=None,
        data={"unstored": str(why)},
    )


def _told(step: Step) -> dict[str, Any]:
    """Return a step as it is entered; session and agent are those of the call."""
    told = step.to_dict()
    return {name: value for name, value in told.items() if name not in ("session", "agent")}
