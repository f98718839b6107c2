"""Upkeep: maintenance in the background, for as long as somebody holds the memory."""

from __future__ import annotations

import logging
import math
import threading
import weakref
from typing import TYPE_CHECKING

from ctxplug.errors import ClosedError, InvalidValueError

if TYPE_CHECKING:
    from ctxplug.memories.maintenance_verbs import MaintenanceVerbs

log = logging.getLogger(__name__)
LONGEST_WAIT = 60.0  # seconds that closing waits for a write under way


class Upkeep:
    """A daemon thread that maintains `memory` every so many seconds.

    It holds the memory only while it works, ends with it, and never keeps the process. What
    fails is logged and told as the event "maintenance.failed", and tried again next time.
    """

    def __init__(self, memory: MaintenanceVerbs, every: float) -> None:
        if isinstance(every, bool) or not isinstance(every, int | float) or not every > 0:
            raise InvalidValueError(
                f"maintain_every is a number of seconds above zero, not {every!r}.",
                path="maintain_every",
            )
        self._stopped = threading.Event()
        stopped = self._stopped
        held = weakref.ref(memory, lambda _: stopped.set())
        self._thread = threading.Thread(
            target=_keep,
            args=(held, stopped, min(every, threading.TIMEOUT_MAX)),
            name="ctxplug-upkeep",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """End the work between two writes. May be called twice."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(LONGEST_WAIT)


def _keep(
    held: weakref.ReferenceType[MaintenanceVerbs], stopped: threading.Event, every: float
) -> None:
    while not stopped.wait(None if every == math.inf else every):
        memory = held()
        if memory is None:
            return
        try:
            memory.maintain(stopped=stopped.is_set)
        except ClosedError:
            return
        except Exception as exc:  # of a plugin or the disk: the next time it may go well
            log.warning("Maintenance in the background failed: %s", exc, exc_info=True)
            memory.tell_failed(exc)
        del memory  # or it would live for as long as this thread waits
