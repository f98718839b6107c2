"""Meters: what requests and memories take, by route template and by verb."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ctxplug import AgentMemory, ContextWindow, Message
from ctxplug.recall.recalled import Recalled
from ctxplug_server.monitoring.sketch import Durations

VERBS = ("context", "recall", "add")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"  # methods and routes that are not counted by themselves
UNMATCHED = "unmatched"  # requests that no route took
MOST_ROUTES = 400
FAILED = 500
API = "/v1"
STREAMS = "/v1/live"  # what lasts until its reader has enough is not measured


class RouteMeter:
    """What the requests of one method and route template took."""

    __slots__ = ("client_errors", "durations", "server_errors")

    def __init__(self) -> None:
        self.durations = Durations()
        self.client_errors = 0
        self.server_errors = 0

    @property
    def errors(self) -> int:
        """How many were answered with a status of 400 or more."""
        return self.client_errors + self.server_errors


class Meters:
    """The figures of one server since it began; usable from any thread."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.in_flight = 0
        self.waiting: Callable[[], int] = int  # how many wait for a place
        self.verbs = {name: Durations() for name in VERBS}
        self._routes: dict[tuple[str, str], RouteMeter] = {}
        self._lock = threading.Lock()

    def begin(self, scope: Mapping[str, Any]) -> None:
        """Count a request that is at work, or waits for a place."""
        if not _lasts(scope):
            with self._lock:
                self.in_flight += 1

    def request(self, scope: Mapping[str, Any], status: int, seconds: float) -> None:
        """Count a request that `begin` was told of and that was answered; 0: it was not."""
        if _lasts(scope):
            return
        method, route = str(scope["method"]), template_of(scope)
        key = method if method in METHODS else OTHER, UNMATCHED if route is None else route
        status = status or FAILED
        with self._lock:
            self.in_flight -= 1
            if key not in self._routes and len(self._routes) >= MOST_ROUTES:
                key = OTHER, OTHER
            meter = self._routes.setdefault(key, RouteMeter())
            meter.client_errors += 400 <= status < 500
            meter.server_errors += status >= 500
        meter.durations.add(seconds)

    def routes(self) -> list[tuple[str, str, RouteMeter]]:
        """Return the meters with their method and route template, in their order."""
        with self._lock:
            found = list(self._routes.items())
        return sorted(((*key, meter) for key, meter in found), key=lambda one: (one[1], one[0]))

    @contextmanager
    def timed(self, verb: str) -> Iterator[None]:
        """Measure a verb of a memory; one that fails is measured too."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.verbs[verb].add(time.perf_counter() - began)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON data; durations in seconds, of the last 15 minutes."""
        routes = [
            {
                "method": method,
                "route": route,
                "client_errors": meter.client_errors,
                "server_errors": meter.server_errors,
                **meter.durations.to_dict(),
            }
            for method, route, meter in self.routes()
        ]
        return {
            "requests": {
                "in_flight": self.in_flight,
                "waiting": self.waiting(),
                "routes": routes,
            },
            "verbs": {name: durations.to_dict() for name, durations in self.verbs.items()},
        }


def template_of(scope: Mapping[str, Any]) -> str | None:
    """Return the template of the route that took a request, such as "/v1/sessions/{session}"."""
    path = getattr(scope.get("route"), "path", None)
    if not isinstance(path, str):
        return None
    versioned = str(scope["path"]).startswith(f"{API}/") and not path.startswith(API)
    return f"{API}{path}" if versioned else path  # a router does not know its prefix


def _lasts(scope: Mapping[str, Any]) -> bool:
    return scope["type"] != "http" or str(scope["path"]).startswith(STREAMS)


def metered(meters: Meters) -> type[AgentMemory]:
    """Return AgentMemory with its context, recall and add measured, however they are called."""

    class MeteredMemory(AgentMemory):
        """AgentMemory, measured."""

        def context(self, *args: Any, **options: Any) -> ContextWindow:
            with meters.timed("context"):
                return super().context(*args, **options)

        def recall(self, *args: Any, **options: Any) -> list[Recalled]:
            with meters.timed("recall"):
                return super().recall(*args, **options)

        def extend(self, *args: Any, **options: Any) -> list[Message]:
            with meters.timed("add"):
                return super().extend(*args, **options)

    return MeteredMemory
