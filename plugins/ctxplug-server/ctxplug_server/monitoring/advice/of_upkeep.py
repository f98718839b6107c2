"""What should be done to a store: sessions to close, maintenance, the archive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ctxplug.sessions.states import OPEN
from ctxplug_server.monitoring.advice.evidence import Evidence
from ctxplug_server.monitoring.advice.tip import (
    COUNTED,
    INFO,
    NOT_ARCHIVED,
    NOT_MAINTAINED,
    OPEN_SESSIONS,
    WARNING,
    Saving,
    Tip,
)

FORGOTTEN = timedelta(days=7)  # since something was said in a session that is still open
LEAST_SESSIONS = 3
OVERDUE = timedelta(days=7)  # since the last maintenance
LEAST_RECORDS = 100
COLD = timedelta(days=30)
LEAST_COLD = 1_000  # log entries
DAY = 86_400


def open_sessions(evidence: Evidence) -> Iterator[Tip]:
    """Yield sessions that were left without an end."""
    before = evidence.now - FORGOTTEN
    left = [s for s in evidence.listed if s.state in OPEN and s.updated_at < before]
    if len(left) < LEAST_SESSIONS:
        return
    left.sort(key=lambda seen: seen.updated_at)
    days = (evidence.now - left[0].updated_at).days
    yield Tip(
        kind=OPEN_SESSIONS,
        severity=INFO,
        setting=f"SessionPolicy(expire_after={7 * DAY})",
        data={"open": len(left), "sessions": len(evidence.listed), "days": days},
        sessions=tuple(seen.session for seen in left),
    )


def not_maintained(evidence: Evidence) -> Iterator[Tip]:
    """Yield that memories were not maintained for long, and what waits for it."""
    last = evidence.maintained_at
    if last is not None and evidence.now - last < OVERDUE:
        return
    expired = [r for r in evidence.records if r.expires_at and r.expires_at <= evidence.now]
    oldest = min((record.created_at for record in evidence.records), default=evidence.now)
    if not expired and (len(evidence.records) < LEAST_RECORDS or evidence.now - oldest < OVERDUE):
        return
    yield Tip(
        kind=NOT_MAINTAINED,
        severity=WARNING if expired else INFO,
        setting="AgentMemory.open(maintain_every=3600)",
        data={
            "records": len(evidence.records),
            "expired": len(expired),
            "days": None if last is None else (evidence.now - last).days,
        },
        records=tuple(record.id for record in expired),
    )


def not_archived(evidence: Evidence) -> Iterator[Tip]:
    """Yield how much of the log lies there unused, and is not in the archive."""
    if evidence.archive is None:
        return  # the store has no archive
    before = evidence.now - COLD
    cold = [s for s in evidence.listed if s.updated_at < before and s.entries > s.archived]
    entries = sum(seen.entries - seen.archived for seen in cold)
    if entries < LEAST_COLD:
        return
    state = evidence.archive
    share = 1 - state.nbytes / state.size if state.size else None
    yield Tip(
        kind=NOT_ARCHIVED,
        severity=INFO,
        setting=f"MemoryPolicy(archive_after={30 * DAY})",
        data={"entries": entries, "cold": len(cold), "days": COLD.days},
        sessions=tuple(seen.session for seen in cold),
        saving=None if share is None else Saving(COUNTED, share=round(share, 3)),
    )
