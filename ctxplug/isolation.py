"""Call a plugin's hook so that its failure stays its own.

Guards (`redact`, `judge_memory`) fail closed: a raise, a hang or a result of the wrong
type refuses the write with GuardError. Observers (`on_event`) run on a thread of their
own behind a bounded queue: failures are logged, a hang holds up nobody, and when the
queue is full the oldest event is dropped and counted.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ctxplug.errors import GuardError
from ctxplug.events import Event
from ctxplug.implementation import Implementation

log = logging.getLogger("ctxplug")

GUARD_SECONDS = 1.0
BREAKER_FAILURES = 5
BREAKER_TIMEOUTS = 3
BREAKER_WINDOW = 60.0
BREAKER_PAUSE = 30.0
QUEUE_LENGTH = 10_000
IDLE_SECONDS = 5.0


class Guard:
    """One plugin's guard, called with a deadline; after repeated failures it pauses.

    A plugin cannot be killed inside the process: a hanging call is left on its daemon
    thread and refused. After 5 failures or 3 timeouts within 60 s, further calls are refused
    at once for 30 s. Then one call is let through: if it fails too, the next pause begins,
    so that a plugin that hangs for ever costs a thread every 30 s and no more.
    """

    def __init__(
        self,
        implementation: Implementation,
        *,
        seconds: float = GUARD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plugin = implementation.plugin
        self._implementation = implementation
        self._seconds = seconds
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=BREAKER_FAILURES)
        self._timeouts: deque[float] = deque(maxlen=BREAKER_TIMEOUTS)
        self._paused_until = 0.0
        self._on_trial = False
        self._state = threading.Lock()

    def __call__(self, **arguments: Any) -> Any:
        """Return the guard's answer, or raise GuardError."""
        self._enter()
        answer: list[Any] = []
        failure: list[BaseException] = []

        def run() -> None:
            try:
                answer.append(self._implementation(**arguments))
            except BaseException as exc:  # SystemExit included
                failure.append(exc)

        thread = threading.Thread(target=run, daemon=True, name=f"ctxplug-guard-{self.plugin}")
        thread.start()
        thread.join(self._seconds)
        if failure:
            self._note(self._failures)
            raise self._error(f"raised {type(failure[0]).__name__}") from failure[0]
        if not answer:
            self._note(self._timeouts)
            raise self._error(f"gave no answer within {self._seconds:g} s")
        self._recover()
        return answer[0]

    def reject(self, answer: object) -> GuardError:
        """Return the error for an answer of the wrong type, and count it as a failure."""
        self._note(self._failures)
        return self._error(f"answered with {type(answer).__name__}")

    def _enter(self) -> None:
        """Refuse a call while paused; after a pause, let one call try."""
        with self._state:
            now = self._clock()
            remaining = self._paused_until - now
            if remaining > 0:
                raise self._error(f"failed repeatedly and is paused for {remaining:.0f} s more")
            if self._on_trial:
                self._paused_until = now + BREAKER_PAUSE  # until this call answers

    def _note(self, events: deque[float]) -> None:
        with self._state:
            now = self._clock()
            events.append(now)
            if len(events) == events.maxlen and now - events[0] <= BREAKER_WINDOW:
                self._paused_until = now + BREAKER_PAUSE
                self._on_trial = True
                events.clear()

    def _recover(self) -> None:
        with self._state:
            if self._on_trial:
                self._on_trial = False
                self._paused_until = 0.0

    def _error(self, what: str) -> GuardError:
        hook = self._implementation.hook
        return GuardError(
            f"Plugin {self.plugin!r} guards writes with {hook}, and {what}; nothing was stored.",
            plugin=self.plugin,
        )


class Observer:
    """One plugin's `on_event`, fed from a bounded queue on its own daemon thread.

    `dropped` counts the events that a full queue pushed out, `failed` those on which the
    plugin raised. The thread ends after 5 s without an event and starts with the next.
    """

    def __init__(self, implementation: Implementation) -> None:
        self.plugin = implementation.plugin
        self.dropped = 0
        self.failed = 0
        self._implementation = implementation
        self._events: deque[Event] = deque(maxlen=QUEUE_LENGTH)
        self._wake = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def notify(self, event: Event) -> None:
        """Queue `event`; never blocks and never raises."""
        with self._wake:
            self.dropped += len(self._events) == QUEUE_LENGTH
            self._events.append(event)
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(
                    target=self._run, daemon=True, name=f"ctxplug-observer-{self.plugin}"
                )
                self._thread.start()
            self._wake.notify_all()

    def flush(self, seconds: float = 0.5) -> bool:
        """Wait until all queued events were seen; say whether they were."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._events and not self._busy, seconds)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._busy = False
                self._wake.notify_all()
                if not self._wake.wait_for(lambda: self._events, IDLE_SECONDS):
                    self._thread = None
                    return
                event = self._events.popleft()
                self._busy = True
            try:
                self._implementation(event=copy.deepcopy(event))  # its own: others see it too
            except BaseException:
                self.failed += 1
                log.exception("plugin %r failed to observe %r", self.plugin, event.kind)
