"""Accesses: what recall found is used, and what is used lives on."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.tiers import expiry, has_own_ttl
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import Touch

WAITING = 100  # touches that wait for the next write; older ones are let go


class Accesses:
    """Touches that wait for the next write, so that recall need not write. Usable from any thread.

    A memory whose end is its tier's lives on from its last access; by `due` the next recall
    would miss it if its touch still waited.
    """

    def __init__(self, namespace: Namespace, policy: MemoryPolicy) -> None:
        self._namespace = namespace
        self._policy = policy
        self._lock = threading.Lock()
        self._waiting: list[tuple[Touch, datetime | None]] = []

    def note(self, records: Iterable[MemoryRecord], now: datetime) -> None:
        """Count an access `now` to each of `records`."""
        groups: dict[datetime | None, list[MemoryRecord]] = defaultdict(list)
        for record in records:
            renewed = record.expires_at is not None and not has_own_ttl(record)
            groups[expiry(record.tier, self._policy, now) if renewed else None].append(record)
        for until, group in groups.items():
            ends = [record.expires_at for record in group if record.expires_at is not None]
            touch = Touch(self._namespace, tuple(record.id for record in group), now, until)
            with self._lock:
                self._waiting.append((touch, min(ends) if until else None))
                del self._waiting[:-WAITING]

    def due(self, now: datetime) -> bool:
        """Say whether what waits must be written before the next reading."""
        with self._lock:
            full = len(self._waiting) == WAITING
            return full or any(ends is not None and ends <= now for _, ends in self._waiting)

    def take(self) -> list[tuple[Touch, datetime | None]]:
        """Return what waits; it waits no more."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def put_back(self, taken: list[tuple[Touch, datetime | None]]) -> None:
        """Let what was taken wait on: it could not be written."""
        with self._lock:
            self._waiting = [*taken, *self._waiting][-WAITING:]
