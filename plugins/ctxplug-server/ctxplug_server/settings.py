"""ServerSettings: every limit and default of the server, on one page."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass

from ctxplug.errors import InvalidValueError

__all__ = ["LOOPBACK_NAMES", "ServerSettings", "is_loopback"]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MIB = 2**20
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#*]+/?", re.IGNORECASE)
_NAME = re.compile(r"[^/\s?#@:*\[\]]+|\[?[0-9a-f:.]*:[0-9a-f:.]*\]?", re.IGNORECASE)  # or IPv6
SPARE = 512  # connections that are kept open and idle


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server serves; the defaults are for one person's machine.

    `hosts` are further names it is called by (behind a proxy, on a network), `origins` other
    sites whose pages may call it; `keys` is the file of its keys, None: beside the store.
    `budget` to `embedder` are what memories are opened with where a request says nothing.
    Rates are "100/second", or a minute, hour or day; None: no limit.
    """

    host: str = "127.0.0.1"
    port: int = 8732
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    keys: str | None = None
    viewer: bool = True
    read_only: bool = False

    budget: int = 8_000
    model: str | None = None
    policy: str = "balanced"
    counter: str | None = None
    embedder: str | None = None

    max_body: int = 8 * MIB
    max_target: int = 16_384  # bytes of path and query
    rate: str | None = "6000/minute"  # of one key
    failures: str | None = "30/minute"  # wrong keys from one address
    concurrent: int = 32  # requests at work at once
    concurrent_per_key: int | None = None  # None: half of them
    queued: int = 512  # requests that wait for a place
    queue_seconds: float = 10.0
    streams: int = 512  # live connections
    streams_per_key: int = 64
    memories_open: int = 256
    memory_idle_seconds: float = 900.0
    idempotency_hours: float = 24.0
    metrics_namespaces: bool = False  # /metrics may name namespaces, to who owns the store
    poll_seconds: float = 0.3  # between looks for what other processes wrote
    shutdown_seconds: float = 20.0

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if (value := getattr(self, name)) is not None and value < 1:
                raise InvalidValueError(f"{name} is a number above zero, not {value!r}.", path=name)
        for name in _TIMES:
            if not 0 <= getattr(self, name) < math.inf:  # NaN is neither
                raise InvalidValueError(
                    f"{name} is a number that is not below zero, not {getattr(self, name)!r}.",
                    path=name,
                )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise InvalidValueError(
                    f"An origin is a site as browsers name it, such as https://app.example, not"
                    f" {origin!r}.",
                    path="origins",
                )
        for host in self.hosts:
            if not _NAME.fullmatch(host):
                raise InvalidValueError(
                    f"A host name is one such as memory.example, without scheme, port or path, not"
                    f" {host!r}.",
                    path="hosts",
                )
        if not 0 <= self.port <= 65_535:
            raise InvalidValueError(
                f"A port is between 0 (any that is free) and 65535, not {self.port!r}.", path="port"
            )

    @property
    def share(self) -> int:
        """How many requests of one key are at work at once."""
        return self.concurrent_per_key or max(1, self.concurrent // 2)

    @property
    def connections(self) -> int:
        """How many connections there may be: all that may be at work, live or waiting, and more."""
        return self.concurrent + self.queued + self.streams + SPARE

    @property
    def exposed(self) -> bool:
        """Whether others than this machine's users may reach it, so that keys are a must."""
        return not is_loopback(self.host) or not all(is_loopback(host) for host in self.hosts)


_COUNTS = (
    "budget",
    "max_body",
    "max_target",
    "concurrent",
    "concurrent_per_key",
    "queued",
    "streams",
    "streams_per_key",
    "memories_open",
)
_TIMES = (
    "queue_seconds",
    "memory_idle_seconds",
    "idempotency_hours",
    "poll_seconds",
    "shutdown_seconds",
)


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine's own, which nobody else can reach."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
