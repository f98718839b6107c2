"""StepWriter: stores the steps that wait, by themselves, and tells who listens."""

from __future__ import annotations

import logging
import time

from ctxplug.storage import Backend
from ctxplug.tracing.listeners import Listeners
from ctxplug.tracing.recorder import Recorder

log = logging.getLogger("ctxplug")

PAUSE = 1.0  # seconds before it is tried again what could not be stored


class StepWriter:
    """Writes what waits in `recorder` to `backend`."""

    def __init__(self, backend: Backend, recorder: Recorder, listeners: Listeners) -> None:
        self.recorder = recorder
        self._backend = backend
        self._listeners = listeners
        self._after = float("-inf")

    def store(self) -> None:
        """Store all that waits; it waits on where that cannot be done."""
        taken = self.recorder.take()
        ops = self.recorder.ops(taken)
        if not ops:
            return
        try:
            versions = self._backend.write(*ops)
        except BaseException:
            self.recorder.put_back(taken)
            raise
        self.recorder.written(taken, versions)
        self._listeners.tell(ops)

    def try_to_store(self) -> None:
        """Store what waits if that can be done: whoever has just done something is not stopped."""
        if time.monotonic() < self._after:
            return
        try:
            self.store()
        except Exception as exc:
            self._after = time.monotonic() + PAUSE
            log.warning("steps of a trace wait on, as they could not be stored: %s", exc)
