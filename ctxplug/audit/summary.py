"""AuditSummary: who did how much of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.audit.entry import BEGUN, DENIED, AuditEntry
from ctxplug.scope import Namespace

NOBODY = "(none)"  # where no agent, or no purpose, is named


@dataclass(frozen=True)
class AuditSummary:
    """The audit log of a namespace in numbers, and the alerts and denials in it."""

    namespace: Namespace
    entries: int
    first: datetime | None
    last: datetime | None
    by_verb: Mapping[str, int]
    by_agent: Mapping[str, int]
    by_purpose: Mapping[str, int]
    by_sensitivity: Mapping[str, int]
    by_tag: Mapping[str, int]
    alerts: tuple[AuditEntry, ...]
    denied: tuple[AuditEntry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON data."""
        return {
            "namespace": list(self.namespace),
            "entries": self.entries,
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "by_verb": dict(self.by_verb),
            "by_agent": dict(self.by_agent),
            "by_purpose": dict(self.by_purpose),
            "by_sensitivity": dict(self.by_sensitivity),
            "by_tag": dict(self.by_tag),
            "alerts": [entry.to_dict() for entry in self.alerts],
            "denied": [entry.to_dict() for entry in self.denied],
        }


def summary_of(namespace: Namespace, found: Iterable[AuditEntry]) -> AuditSummary:
    """Count `found`, the entries of a namespace, oldest first."""
    entries = [entry for entry in found if entry.what != "chain" and entry.outcome != BEGUN]
    done = [entry for entry in entries if entry.what != "alert"]
    return AuditSummary(
        namespace=namespace,
        entries=len(entries),
        first=entries[0].at if entries else None,
        last=entries[-1].at if entries else None,
        by_verb=_counted(entry.what for entry in entries),
        by_agent=_counted(entry.agent or NOBODY for entry in done),
        by_purpose=_counted(entry.purpose or NOBODY for entry in done),
        by_sensitivity=_counted(entry.sensitivity for entry in done if entry.sensitivity),
        by_tag=_counted(tag for entry in done for tag in entry.tags),
        alerts=tuple(entry for entry in entries if entry.what == "alert"),
        denied=tuple(entry for entry in done if entry.outcome == DENIED),
    )


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    return {str(value): count for value, count in Counter(values).most_common()}
