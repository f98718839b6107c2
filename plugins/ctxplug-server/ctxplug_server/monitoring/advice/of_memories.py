"""What memories and recalls bring: nothing found, never used, said twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ctxplug.memories.consolidation import mergers
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.records import MemoryRecord
from ctxplug.tracing.step import RECALL
from ctxplug_server.monitoring.advice.evidence import Evidence
from ctxplug_server.monitoring.advice.tip import (
    COUNTED,
    DUPLICATES,
    EMPTY_RECALLS,
    INFO,
    REPEATED_RECALLS,
    UNUSED_MEMORIES,
    WARNING,
    Saving,
    Tip,
)

LEAST_RECALLS = 10
EMPTY = 0.5  # of the recalls
LEAST_UNUSED, UNUSED = 10, 0.5  # memories, and of all
LEAST_DUPLICATES = 5
WEEK = timedelta(days=7)


def empty_recalls(evidence: Evidence) -> Iterator[Tip]:
    """Yield that most recalls find nothing."""
    asked = list(evidence.steps(RECALL))
    empty = [step for step in asked if step.ok and not step.data.get("found")]
    if len(asked) < LEAST_RECALLS or len(empty) < EMPTY * len(asked):
        return
    yield Tip(
        kind=EMPTY_RECALLS,
        severity=WARNING,
        setting='AgentMemory.open(embedder="wordllama")'
        if evidence.embedder is None
        else "memory.context()",
        data={
            "recalls": len(asked),
            "empty": len(empty),
            "share": round(len(empty) / len(asked), 3),
            "records": len(evidence.records),
            "by_meaning": evidence.embedder is not None,
        },
        sessions=tuple(dict.fromkeys(step.session for step in empty)),
        steps=tuple(step.id for step in empty),
        saving=Saving(COUNTED, seconds=round(sum(step.duration for step in empty), 2)),
    )


def repeated_recalls(evidence: Evidence) -> Iterator[Tip]:
    """Yield that the same was recalled again and again, with the same result."""
    found = list(evidence.findings("repeated_recall"))
    times = sum(int(one.data["times"]) for _, one in found)
    if not found:
        return
    yield Tip(
        kind=REPEATED_RECALLS,
        severity=INFO,
        setting="memory.context(query=...)",
        data={"queries": len(found), "times": times, "spare": times - len(found)},
        sessions=tuple(dict.fromkeys(session for session, _ in found)),
        steps=tuple(id for _, one in found for id in one.steps),
    )


def unused_memories(evidence: Evidence) -> Iterator[Tip]:
    """Yield that memories grow that nothing ever recalls."""
    ids: set[str] = set()
    for number, (_, one) in enumerate(evidence.findings("unused_memory")):
        here = set(map(str, one.data["ids"]))
        ids = here if not number else ids & here  # what one session saw unused another may use
    unused = [record for record in evidence.records if record.id in ids]
    if len(unused) < max(LEAST_UNUSED, UNUSED * len(evidence.records)):
        return
    new = [r for r in evidence.records if r.created_at >= evidence.now - WEEK]
    yield Tip(
        kind=UNUSED_MEMORIES,
        severity=WARNING,
        setting="MemoryPolicy(long_from=0.9, capacity=1000)",
        data={
            "unused": len(unused),
            "records": len(evidence.records),
            "share": round(len(unused) / len(evidence.records), 3),
            "new": len(new),
            "kinds": _kinds(unused),
        },
        records=tuple(record.id for record in unused),
    )


def duplicates(evidence: Evidence) -> Iterator[Tip]:
    """Yield how many memories say what another says."""
    living = [r for r in evidence.records if r.valid_to is None or r.valid_to > evidence.now]
    found = mergers(living, MemoryPolicy())
    gone = [record.id for merger in found for record in merger.absorbed]
    if len(gone) < LEAST_DUPLICATES:
        return
    yield Tip(
        kind=DUPLICATES,
        severity=WARNING if len(gone) >= len(living) / 5 else INFO,
        setting="AgentMemory.open(maintain_every=3600)",
        data={"duplicates": len(gone), "groups": len(found), "records": len(living)},
        records=tuple(id for merger in found for id in _ids(merger.before, merger.absorbed)),
    )


def _ids(first: MemoryRecord, others: tuple[MemoryRecord, ...]) -> list[str]:
    return [first.id, *(record.id for record in others)]


def _kinds(records: list[MemoryRecord]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for record in records:
        counts[record.kind] = counts.get(record.kind, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1])[:5])
