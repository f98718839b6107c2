"""Retention: sessions that ended long ago are removed, with their traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import ConflictError
from ctxplug.scope import Namespace, namespace_key
from ctxplug.sessions.info import SessionState, info_of
from ctxplug.sessions.life import TRACE
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.states import ENDED
from ctxplug.storage import Backend, EraseReceipt, SessionInfo, Stream, conversations

BATCH = 50  # sessions that are erased at once: what makes it thorough is paid once for all

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class RetireReport:
    """What `retire` removed, or in a dry run would: `sessions`, with so many entries and records.

    `kept` are those that are due as well, and stay because of the forks named.
    """

    namespace: Namespace
    before: datetime
    sessions: tuple[str, ...] = ()
    entries: int = 0
    records: int = 0
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "namespace": namespace_key(self.namespace),
            "before": self.before.isoformat(),
            "sessions": list(self.sessions),
            "entries": self.entries,
            "records": self.records,
            "kept": {name: list(forks) for name, forks in self.kept.items()},
            "dry_run": self.dry_run,
        }

    def __str__(self) -> str:
        done = "would be retired" if self.dry_run else "retired"
        count = len(self.sessions)
        nouns = "session" if count == 1 else "sessions", "entry" if self.entries == 1 else "entries"
        lines = [f"{count:,} {nouns[0]} {done}, {self.entries:,} log {nouns[1]}"]
        lines += [
            f"{name} stays, because of its forks: {', '.join(forks)}"
            for name, forks in self.kept.items()
        ]
        return "\n".join(lines)


@dataclass
class Retention:
    """The removal of sessions of `namespace` that ended before `before`."""

    backend: Backend
    namespace: Namespace
    policy: SessionPolicy
    before: datetime

    def report(
        self,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> RetireReport:
        """Remove what is due, forks before what they were forked from; return what was done."""
        due, kept = self.due()
        if dry_run:
            entries = sum(info.version - info.forked for info in due)
            return self._reported([info.session for info in due], kept, entries, dry_run=True)
        gone: list[str] = []
        receipts: list[EraseReceipt] = []
        for start in range(0, len(due), BATCH):
            if stopped():
                break
            # Somebody may have resumed one, or branched off from it, since they were listed.
            batch = [info.session for info in due[start : start + BATCH] if self._is_due(info)]
            for names in self._erased(batch, receipts):
                gone += names
            if progress is not None:
                progress(min(start + BATCH, len(due)), len(due))
        entries = sum(receipt.entries for receipt in receipts)
        records = sum(receipt.records for receipt in receipts)
        return self._reported(gone, kept, entries, records)

    def due(self) -> tuple[list[SessionInfo], dict[str, tuple[str, ...]]]:
        """Return what can be removed, the youngest first, and what only forks hold back."""
        infos = conversations(self.backend, self.namespace)
        due: dict[str, SessionInfo] = {}
        kept: dict[str, tuple[str, ...]] = {}
        for info in reversed(infos):  # a fork comes after what it was forked from
            if not self._is_due(info):
                continue
            forks = [one.session for one in infos if one.parent == info.session]
            staying = tuple(fork for fork in forks if fork not in due)
            if staying:
                kept[info.session] = staying
            else:
                due[info.session] = info
        return list(due.values()), kept

    def _is_due(self, info: SessionInfo) -> bool:
        found = info_of(self.backend, self.namespace, info, self.policy, datetime.now(UTC))
        return found.state in ENDED and (found.since is None or found.since <= self.before)

    def _erased(self, batch: Sequence[str], receipts: list[EraseReceipt]) -> list[Sequence[str]]:
        """Erase sessions with their traces; one by one if one of them cannot be."""
        if not batch:
            return []
        try:
            receipts.append(self._erase(batch))
            return [batch]
        except ConflictError:  # a fork of one was made just now
            if len(batch) == 1:
                return []
        return [names for one in batch for names in self._erased([one], receipts)]

    def _erase(self, names: Sequence[str]) -> EraseReceipt:
        traces = [TRACE + name for name in names]
        held = [name for name in traces if self.backend.head(Stream(self.namespace, name))]
        return self.backend.erase_session(self.namespace, *names, *held)

    def _reported(
        self,
        sessions: Sequence[str],
        kept: dict[str, tuple[str, ...]],
        entries: int,
        records: int = 0,
        dry_run: bool = False,
    ) -> RetireReport:
        return RetireReport(
            self.namespace, self.before, tuple(sessions), entries, records, kept, dry_run
        )


def listed(
    backend: Backend,
    namespace: Namespace,
    policy: SessionPolicy,
    *,
    states: Sequence[str] | None = None,
    parent: str | None = None,
    limit: int | None = None,
    by_creation: bool = False,
) -> list[SessionState]:
    """Return what is known of the sessions of `namespace`, those that last grew first.

    With `by_creation` they come in order of creation.
    """
    now = datetime.now(UTC)
    infos = conversations(backend, namespace)
    if not by_creation:
        infos.sort(key=lambda info: info.updated_at, reverse=True)
    found: list[SessionState] = []
    for info in infos:
        if limit is not None and len(found) >= limit:
            break
        if parent is None or info.parent == parent:
            one = info_of(backend, namespace, info, policy, now)
            found += [one] * (states is None or one.state in states)
    return found
