"""StepWriter: stores the steps that wait, by themselves, and tells who listens."""

from __future__ import annotations

from ctxplug.storage import Backend
from ctxplug.tracing.listeners import Listeners
from ctxplug.tracing.recorder import Recorder


class StepWriter:
    """Writes what waits in `recorder` to `backend`."""

    def __init__(self, backend: Backend, recorder: Recorder, listeners: Listeners) -> None:
        self.recorder = recorder
        self._backend = backend
        self._listeners = listeners

    def store(self) -> None:
        """Store all that waits; it waits on where that cannot be done."""
        taken = self.recorder.take()
        if not taken[0]:
            return
        try:
            self._backend.write(*(ops := self.recorder.ops(taken)))
        except BaseException:
            self.recorder.put_back(taken)
            raise
        self.recorder.written(taken)
        self._listeners.tell(ops)
