"""Sampler: a light thread that looks at the process, and at how namespaces grow."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]

from ctxplug.errors import CtxplugError
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage import Backend, Where, conversations
from ctxplug_server.monitoring.history import History, per_day
from ctxplug_server.monitoring.trend import Trend, trend_of

log = logging.getLogger("ctxplug.server")

PROCESS_EVERY = 30.0  # seconds
GROWTH_EVERY = 120.0
SHARE = 0.02  # of a core that counting may take
MOST_NAMESPACES = 200  # that are followed; of the rest only the number is told
FRESH, QUICK = 10.0, 0.3  # seconds: since the last count, and that it may take while one waits
SHOWN = 120  # samples of one history in an answer
MESSAGE = "message"


class Sampler:
    """What is sampled of the process and of `backend`, whose file is `path` if it has one."""

    def __init__(
        self, backend: Backend, path: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.memory = History(PROCESS_EVERY)
        self.growth: dict[Namespace, History] = {}
        self.latest: dict[Namespace, tuple[float, ...]] = {}
        self.untold = 0  # namespaces that are not followed
        self._backend = backend
        self._path = path
        self._clock = clock
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._counting = threading.Lock()
        self._due = self._counted = self._took = 0.0

    def start(self) -> None:
        """Sample in the background until it is closed."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ctxplug-sampler", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop; may be called twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=10.0)

    def sample(self) -> None:
        """Look at the process now, and at the namespaces if it is time to."""
        now = self._clock()
        self.memory.add(now, float(self._process.memory_info().rss))
        if now >= self._due:
            self.sample_growth(now)
            self._due = now + max(GROWTH_EVERY, self._took / SHARE)

    def refresh(self) -> None:
        """Count again what namespaces hold, if that is quick and was not done just now."""
        now = self._clock()
        if now >= self._counted + FRESH and self._took <= QUICK:
            self.sample_growth(now)

    def sample_growth(self, now: float) -> None:
        """Count what each namespace holds."""
        began = time.perf_counter()
        with self._counting:
            self._count(now)
        self._counted, self._took = now, time.perf_counter() - began

    def _count(self, now: float) -> None:
        found = self._backend.namespaces()
        for gone in self.growth.keys() - set(found):
            del self.growth[gone]
            self.latest.pop(gone, None)
        room = MOST_NAMESPACES - len(self.growth)
        new = [one for one in found if one not in self.growth][:room]
        self.untold = max(0, len(found) - len(self.growth) - len(new))
        for namespace in [*self.growth, *new]:
            if self._ended.is_set():
                return
            history = self.growth.setdefault(namespace, History(GROWTH_EVERY))
            held = self._held(namespace)
            self.latest[namespace] = now, *held
            history.add(now, *held)

    def leak(self) -> Trend:
        """Say whether the process takes more and more; see `ctxplug_server.monitoring.trend`."""
        return trend_of(self.memory.of(0))

    def process(self) -> dict[str, Any]:
        """Return the figures of the process as JSON data."""
        with self._process.oneshot():
            memory, cpu = self._process.memory_info(), self._process.cpu_times()
            threads = self._process.num_threads()
        return {
            "resident_bytes": memory.rss,
            "cpu_seconds": round(cpu.user + cpu.system, 2),
            "threads": threads,
            "history": [[round(at), int(rss)] for at, rss in self.memory.thinned(SHOWN)],
            "trend": self.leak().to_dict(),
        }

    def namespaces(self, sees: Callable[[Namespace], bool]) -> list[dict[str, Any]]:
        """Return how the namespaces that `sees` lets through have grown, as JSON data."""
        return [
            _growth(namespace, self.latest[namespace], history)
            for namespace, history in sorted(list(self.growth.items()))
            if sees(namespace) and namespace in self.latest
        ]

    def store_bytes(self) -> int | None:
        """Return what the store's file takes, its log included; None if it is no file."""
        if self._path is None:
            return None
        sizes = []
        for path in (self._path, f"{self._path}-wal"):
            try:
                sizes.append(os.stat(path).st_size)
            except OSError:
                continue
        return sum(sizes) if sizes else None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.sample()
            except (CtxplugError, psutil.Error) as exc:
                log.warning("a sample was left out: %s", type(exc).__name__)
            self._ended.wait(self.memory.every if self.memory.samples else PROCESS_EVERY)

    def _held(self, namespace: Namespace) -> tuple[float, ...]:
        """Return its sessions, messages, memories, and bytes in its archive (-1: unknown)."""
        backend = self._backend
        messages = backend.count(Where(namespace, kinds=(MESSAGE,)))
        records = backend.count(Where(namespace, not_kinds=(MESSAGE,)))
        archived = -1
        if "archive" in backend.capabilities:
            state = backend.archive_state(namespace)
            messages, archived = messages + state.entries, state.nbytes
        return len(conversations(backend, namespace)), messages, records, archived


def _growth(namespace: Namespace, latest: tuple[float, ...], history: History) -> dict[str, Any]:
    _, sessions, messages, records, archived = latest
    return {
        "namespace": namespace_key(namespace),
        "sessions": int(sessions),
        "messages": int(messages),
        "records": int(records),
        "archived_bytes": None if archived < 0 else int(archived),
        "per_day": {
            name: _rounded(per_day(history.of(place)))
            for place, name in enumerate(("sessions", "messages", "records"))
        },
        "history": [
            [round(at), int(messages), int(records)]
            for at, _, messages, records, _ in history.thinned(SHOWN)
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
