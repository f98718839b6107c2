"""Examples of answers, made of real values by `wire`: an example cannot differ from the form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from ctxplug.access.rule import AccessRule
from ctxplug.audit.checks import AuditReport
from ctxplug.audit.entry import AuditEntry
from ctxplug.audit.summary import AuditSummary
from ctxplug.memories.archive import ArchiveReport, UnarchiveReport
from ctxplug.memories.erasure import ErasureReport
from ctxplug.memories.report import Change, MaintenanceReport
from ctxplug.memories.stats import MemoryStats, TierStats
from ctxplug.messages import Logged, Message
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug.sessions.info import SessionState
from ctxplug.sessions.retention import RetireReport
from ctxplug.sessions.snapshots import Snapshot
from ctxplug.storage import CheckReport
from ctxplug.tokens.ledger import Recorded, Reservation
from ctxplug.tokens.usage import Usage
from ctxplug.tokens.usage_report import UsageLine, UsageReport
from ctxplug.tools.runs import ToolRun
from ctxplug.tracing.analysis import Analysis, Finding
from ctxplug_server.schemas.messages import EXAMPLE
from ctxplug_server.schemas.records import MEMORY
from ctxplug_server.wire import to_json

AT = datetime(2026, 5, 1, 10, 30, tzinfo=UTC)
HERE = ("acme", "alice")


def example_of(kind: type) -> Any:
    """Return an example of a type as JSON data; None if there is none."""
    value = _values().get(kind)
    return None if value is None else to_json(value)


def _usage() -> UsageReport:
    usage = Usage(1200, 300, 6000, 800, "claude-sonnet-4-5")
    line = UsageLine(3, usage, 0.0129)
    days = {"2026-05-01": line}
    by = {"trip": line}, {"planner": line}, {"claude-sonnet-4-5": line}
    return UsageReport(HERE, "2026-05-01", "2026-05-01", "2026-05-01", line, days, *by)


def _session() -> SessionState:
    return SessionState(
        "trip", "active", AT, AT, AT, 12, metadata={"customer": "C-1"}, snapshots=1, messages=9
    )


def _entry() -> AuditEntry:
    return AuditEntry("remember", AT, HERE, "trip", "planner", ids=("0c6f1de2",), seq=1)


def _finding() -> Finding:
    return Finding(
        kind="retry_loop",
        severity="warning",
        summary="The tool 'search' was called 5 times with the same arguments.",
        why="Steps 4 to 8 have the same arguments and the same answer.",
        suggestion="Let the tool say what would help.",
        steps=("9f3c5d7e1a2b4c60",),
        versions=(7, 9),
    )


def _run() -> ToolRun:
    return ToolRun(
        "5f0c", "call_1", "recall", "1", {"query": "seat"}, "ok", "@9.0", None, AT, 0.01, 1,
        "trip", "planner",
    )  # fmt: skip


@cache
def _values() -> Mapping[type, Any]:
    record = MemoryRecord.from_dict(MEMORY)
    tiers = {"short": TierStats(), "medium": TierStats(), "long": TierStats(1, 9, 0.9, AT, AT)}
    values = [
        Recalled(record, 3.2, {"words": 2.4, "importance": 0.8}),
        Logged(3, Message.from_dict(EXAMPLE), 28),
        _session(),
        Snapshot("before booking", 12, AT, "the user agreed", "planner"),
        RetireReport(HERE, AT, ("trip",), 12, 9),
        MaintenanceReport("7f3a", "maintain", AT, (Change("merged", "0c6f", "1d7e"),)),
        ArchiveReport(AT, 120, 14, 90_000, 21_000, ("trip",)),
        UnarchiveReport(120, 14),
        ErasureReport(HERE, AT, 0, (), 40),
        MemoryStats(
            "acme/alice", "trip", 9, 2, {"short": 0, "medium": 0, "long": 1}, "estimate", True,
            tiers,
        ),
        CheckReport((), {"entries": 120, "records": 14}),
        Usage(1200, 300, 6000, 800, "claude-sonnet-4-5"),
        Recorded(Usage(1200, 300, 6000, 800, "claude-sonnet-4-5"), 0.0129, "2026-05-01"),
        Reservation("9f3c", 9000, 0.05, "2026-05-01", AT, "claude-sonnet-4-5"),
        _usage(),
        _run(),
        Analysis("trip", (_finding(),)),
        _entry(),
        AuditReport((), 12, 1, 0, 1),
        AuditSummary(
            HERE, 1, AT, AT, {"remember": 1}, {"planner": 1}, {"(none)": 1}, {}, {}, (), ()
        ),
        AccessRule(
            action="allow", verbs=("read",), agent="planner", session="trip*", id="5e1f",
            created_at=AT,
        ),
    ]  # fmt: skip
    return {type(value): value for value in values}
