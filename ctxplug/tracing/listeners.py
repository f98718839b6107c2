"""Listeners: who is told of steps once they are stored, as they were stored.

Each is called on a thread of its own behind a bounded queue (see `ctxplug.isolation`), so
that a slow one holds up nobody, and one that raises is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from ctxplug.errors import InvalidValueError
from ctxplug.events import Event
from ctxplug.implementation import Implementation
from ctxplug.isolation import Observer
from ctxplug.scope import Scope
from ctxplug.storage import Append, Op
from ctxplug.tracing.reading import step_of
from ctxplug.tracing.recorder import STEPS
from ctxplug.tracing.step import Step

Listener = Callable[[Sequence[Step]], object]
SECONDS = 5.0  # that `flush` waits for listeners at most


class Listeners:
    """The listeners of one session's trace; usable from any thread."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._heard: tuple[Observer, ...] = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of what is stored from now on, until what is returned is called."""
        if not callable(listener):
            raise InvalidValueError(
                f"A listener is a function of a list of steps, not {listener!r:.60}.",
                path="listener",
            )

        def hear(event: Event) -> None:
            listener(event.data["steps"])

        name = getattr(listener, "__name__", type(listener).__name__)
        observer = Observer(Implementation(f"listener {name}", "listen", hear, ("event",)))
        self._heard = (*self._heard, observer)

        def stop() -> None:
            self._heard = tuple(one for one in self._heard if one is not observer)
            observer.flush(SECONDS)

        return stop

    def tell(self, ops: Iterable[Op]) -> None:
        """Tell of the steps that `ops`, which are stored now, hold."""
        if not self._heard:
            return
        steps = [
            step_of(row, self._scope.session, op)
            for op in ops
            if isinstance(op, Append) and op.kind == STEPS
            for row in op.body["steps"]
        ]
        if steps:
            event = Event("trace.stored", self._scope, datetime.now(UTC), {"steps": steps})
            for observer in self._heard:
                observer.notify(event)

    def wait(self, seconds: float = SECONDS) -> None:
        """Wait until all have been told, but no longer than `seconds` for each."""
        for observer in self._heard:
            observer.flush(seconds)
