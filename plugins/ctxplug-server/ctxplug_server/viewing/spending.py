"""Spending: tokens and cost of namespaces by hour or day, read from the ledger once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.tokens.book import PICO, USAGE, Cell
from ctxplug.tokens.prices import Prices
from ctxplug.tokens.usage_stream import SESSION

__all__ = ["By", "Spending"]

By: TypeAlias = Literal["hour", "day"]
PAGE = 1024
KEPT = 1_000  # namespaces
SECONDS = 3.0  # for which one request reads
_WIDTH = {"hour": 13, "day": 10}  # characters of a time as ISO text
_END = {"hour": ":00:00+00:00", "day": "T00:00:00+00:00"}
COUNTS = ("input", "output", "cached", "written", "calls", "unpriced")


@dataclass
class _Read:
    """What was read of one namespace: sums by hour, up to the entry `last`."""

    hours: dict[str, dict[str, float]] = field(default_factory=dict)
    last: Entry | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Spending:
    """What namespaces spend; each entry of a ledger is read once."""

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices or Prices()
        self._read: OrderedDict[Namespace, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self,
        backend: Backend,
        namespaces: Sequence[Namespace],
        by: By,
        since: datetime | None,
        until: datetime | None,
    ) -> dict[str, Any]:
        """Return sums by `by` in `since` <= time < `until`; ask again while not `whole`."""
        end = time.monotonic() + SECONDS
        whole = True
        sums: dict[str, dict[str, float]] = {}
        for namespace in namespaces:
            read = self._known(namespace)
            with read.lock:
                whole &= self._on(read, backend, namespace, end)
                hours = {at: dict(told) for at, told in read.hours.items()}
            for at, told in hours.items():
                if _within(at, since, until):
                    _add(sums.setdefault(at[: _WIDTH[by]], {}), told)
        buckets = [_bucket(at + _END[by], told) for at, told in sorted(sums.items())]
        return {"by": by, "whole": whole, "buckets": buckets}

    def _known(self, namespace: Namespace) -> _Read:
        with self._lock:
            read = self._read.setdefault(namespace, _Read())
            self._read.move_to_end(namespace)
            while len(self._read) > KEPT:
                self._read.popitem(last=False)
            return read

    def _on(self, read: _Read, backend: Backend, namespace: Namespace, end: float) -> bool:
        """Read on from where `read` is, until `end`; say whether all is read."""
        stream = Stream(namespace, SESSION)
        last = read.last
        if last is not None:
            known = backend.read(stream, after=last.version - 1, before=last.version + 1)
            if known != [last]:  # it was erased, and begun anew
                read.hours, read.last = {}, None
        while True:
            after = read.last.version if read.last else 0
            entries = backend.read(stream, after=after, limit=PAGE, kinds=[USAGE])
            self._enter(read, entries)
            if len(entries) < PAGE:
                return True
            if time.monotonic() > end:
                return False

    def _enter(self, read: _Read, entries: Iterable[Entry]) -> None:
        for entry in entries:
            cell = Cell.from_row(entry.body["cell"]).priced(self._prices)
            at = entry.created_at.astimezone(UTC).isoformat()[: _WIDTH["hour"]]
            _add(read.hours.setdefault(at, {}), _sums(cell))
            read.last = entry


def _sums(cell: Cell) -> Mapping[str, float]:
    usage = cell.usage
    return {
        "input": usage.total_input,
        "output": usage.output_tokens,
        "cached": usage.cache_read_tokens,
        "written": usage.cache_write_tokens,
        "calls": cell.calls,
        "cost": (cell.pico or 0) / PICO,
        "unpriced": cell.calls if cell.pico is None else 0,
    }


def _add(sums: dict[str, float], more: Mapping[str, float]) -> None:
    for name, count in more.items():
        sums[name] = sums.get(name, 0) + count


def _within(hour: str, since: datetime | None, until: datetime | None) -> bool:
    at = datetime.fromisoformat(hour + _END["hour"])
    return (since is None or at.timestamp() > since.timestamp() - 3600) and (
        until is None or at < until
    )


def _bucket(at: str, told: Mapping[str, float]) -> dict[str, Any]:
    counts = {name: int(told.get(name, 0)) for name in COUNTS}
    priced = counts["unpriced"] < counts["calls"] or not counts["calls"]
    return {"at": at, **counts, "cost": told.get("cost", 0.0) if priced else None}
