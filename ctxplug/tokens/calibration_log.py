"""Where calibrations are kept: a short log beside the sessions of a namespace."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from ctxplug.scope import RESERVED, Namespace
from ctxplug.storage import Append, Backend, Stream
from ctxplug.tokens.calibration import Calibration

KIND = "calibration"
NEWEST = 64  # how many models and counters of a namespace are looked through


class CalibrationLog:
    """The calibration of one model and counter in one namespace, read at first use."""

    def __init__(self, backend: Backend, namespace: Namespace, model: str, counter: str) -> None:
        self._backend = backend
        self._stream = Stream(namespace, f"{RESERVED}calibration")
        self._lock = threading.Lock()
        self._current: Calibration | None = None
        self._new = Calibration(model, counter)

    def current(self) -> Calibration:
        """Return what is known so far."""
        with self._lock:
            if self._current is None:
                self._current = self._read()
            return self._current

    def observe(self, counted: int, actual: int) -> Calibration:
        """Take one request into account, durably, and return the new calibration."""
        before = self.current()
        after = before.observe(counted, actual)
        entry = Append(
            stream=self._stream, kind=KIND, body=after.to_dict(), created_at=datetime.now(UTC)
        )
        self._backend.write(entry)
        with self._lock:
            self._current = after
        return after

    def _read(self) -> Calibration:
        entries = self._backend.read(self._stream, newest_first=True, limit=NEWEST)
        for entry in entries:
            found = Calibration.from_dict(entry.body)
            if (found.model, found.counter) == (self._new.model, self._new.counter):
                return found
        return self._new
