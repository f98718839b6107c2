"""What maintenance did: its changes, its report, and how both stand in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.storage import Entry

STREAM = "ctxplug:maintenance"  # the stream's name among the sessions of its namespace
CHANGES, RUN, SUMMARISED = "changes", "run", "summarised"
WHAT = (
    "expired", "superseded", "merged", "promoted", "summarised", "evicted", "retired", "archived",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One memory that was `expired`, `merged`, ...; `id` names it, `into` what it became.

    What was `retired` is a session, and what was `archived` may be one. `into` is the id of
    the memory that it was merged into or superseded by, the tier that it was promoted to, or
    of a session's summary the messages it is about, such as "trip@1-40".
    There is no text of a memory here: the log outlives what is forgotten.
    """

    what: str
    id: str
    into: str = ""

    def __str__(self) -> str:
        return f"{self.what} {self.id}" + (f" -> {self.into}" if self.into else "")


@dataclass(frozen=True)
class MaintenanceReport:
    """What one run of `maintain` or `consolidate` did, or, in a dry run, would do.

    `finished` is false where the log shows that a run was cut off: its changes stand, each
    whole. `notes` say what was left out and why.
    """

    run: str
    verb: str
    at: datetime
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    finished: bool = True

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each sort."""
        counted = Counter(change.what for change in self.changes)
        return {what: counted[what] for what in WHAT}

    def of(self, what: str) -> list[Change]:
        """Return the changes of one sort, such as "evicted"."""
        return [change for change in self.changes if change.what == what]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "run": self.run,
            "verb": self.verb,
            "at": self.at.isoformat(),
            "dry_run": self.dry_run,
            "finished": self.finished,
            "counts": self.counts,
            "changes": [[change.what, change.id, change.into] for change in self.changes],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        found = [f"{n:,} {what}" for what, n in self.counts.items() if n]
        head = f"{self.verb}{' (dry run)' if self.dry_run else ''}: "
        lines = [head + (", ".join(found) or "nothing to do"), *self.notes]
        return "\n".join(lines)


def body_of(report: MaintenanceReport) -> dict[str, Any]:
    """Return the body of the entry that closes a run; its changes have entries of their own."""
    data = report.to_dict()
    return {key: data[key] for key in ("run", "verb", "at", "counts", "notes")}


def reports_of(entries: Iterable[Entry], limit: int | None) -> list[MaintenanceReport]:
    """Return the runs that `entries` (newest first) tell of, newest first, `limit` at most."""
    ends: dict[str, Mapping[str, Any]] = {}
    changes: dict[str, list[Sequence[str]]] = {}
    began: dict[str, Entry] = {}
    for entry in entries:
        run = str(entry.body["run"])
        if run not in began and limit is not None and len(began) == limit:
            break
        began[run] = entry
        changes.setdefault(run, [])
        if entry.kind == RUN:
            ends[run] = entry.body
        else:
            changes[run] = [*entry.body["changes"], *changes[run]]
    return [
        MaintenanceReport(
            run,
            str(entry.body["verb"]),
            datetime.fromisoformat(ends[run]["at"]) if run in ends else entry.created_at,
            tuple(Change(*one) for one in changes[run]),
            tuple(ends.get(run, {}).get("notes", ())),
            finished=run in ends,
        )
        for run, entry in began.items()
    ]
