"""Recalls that ask the same again and again, and memories that nothing ever used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from ctxplug.records import MemoryRecord
from ctxplug.tracing.analysis.calls import Timeline
from ctxplug.tracing.analysis.finding import INFO, REPEATED_RECALL, UNUSED_MEMORY, WARNING, Finding
from ctxplug.tracing.analysis.values import squash
from ctxplug.tracing.step import RECALL, WINDOW, Step

LEAST = 3  # equal recalls that are told of
ENOUGH = 10  # recalls after a memory was made, none of which found it
SHOWN = 5
WAITED = timedelta(days=1)  # for which a memory may lie without being found


def recalls(timeline: Timeline) -> Iterator[Finding]:
    """Yield repeated recalls of the session, and unused memories of the namespace."""
    yield from _repeated(timeline.subject.steps)
    finding = _unused(timeline)
    if finding:
        yield finding


def _repeated(steps: Sequence[Step]) -> Iterator[Finding]:
    by_query: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        if step.kind == RECALL and step.data.get("query"):
            by_query[squash(str(step.data["query"]))].append(step)
    for some in by_query.values():
        found = {tuple(sorted(step.data.get("found", ()))) for step in some}
        if len(some) < LEAST or len(found) > 1:
            continue
        ids = next(iter(found))
        yield Finding(
            kind=REPEATED_RECALL,
            severity=INFO if ids else WARNING,
            summary=f"{some[0].data['query']!r:.80} was recalled {len(some)} times, with the same"
            f" {'memories' if ids else 'lack of any'} each time.",
            why=f"Steps {', '.join(step.id for step in some[:4])} have one query, and found"
            f" {len(ids)} memories each, in {sum(step.duration for step in some):.2f} s together.",
            suggestion="Recall once in a turn and keep what was found; memory.context(query=...)"
            " leaves out what the window already shows."
            if ids
            else "Let the model know that nothing is remembered of it, or remember it once it is"
            " known.",
            steps=tuple(step.id for step in some),
            data={"query": some[0].data["query"], "times": len(some), "found": list(ids)},
        )


def _unused(timeline: Timeline) -> Finding | None:
    """Return the memories that no recall and no window ever showed, if there are any."""
    subject = timeline.subject
    steps = [*subject.history, *subject.steps]
    looked = [step for step in steps if step.kind == RECALL]
    if not looked or not subject.memories:
        return None
    used: set[str] = set()
    for step in steps:
        if step.kind in (RECALL, WINDOW):
            used.update(map(str, step.data.get("found", ())))
            used.update(map(str, step.data.get("recalled", ())))
    now = max(step.ended_at for step in steps)
    unused = [
        memory
        for memory in subject.memories
        if not memory.access_count
        and memory.id not in used
        and (memory.valid_to is None or memory.valid_to > now)
        and _had_its_chance(memory, looked)
    ]
    if not unused:
        return None
    return Finding(
        kind=UNUSED_MEMORY,
        severity=INFO,
        summary=f"{len(unused)} of {len(subject.memories)} memories were never used, such as"
        f" {unused[0].content[:60]!r}.",
        why=f"They have no access, and {len(looked)} recalls and the windows found none of them.",
        suggestion="Forget them, give them a ttl, or raise what memory_policy asks of a memory"
        " before it is kept.",
        steps=tuple(step.id for step in looked[:SHOWN]),
        data={"ids": [memory.id for memory in unused[:100]], "count": len(unused)},
    )


def _had_its_chance(memory: MemoryRecord, looked: list[Step]) -> bool:
    """Say whether enough was recalled since, or it has lain there for long."""
    later = [step for step in looked if step.started_at > memory.created_at]
    if len(later) >= ENOUGH:
        return True
    return bool(later) and later[-1].started_at - memory.created_at >= WAITED
