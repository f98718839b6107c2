"""Consolidation: memories that say the same become one, and nothing of them is lost.

The one that says most stays, under its id, and of equals the oldest. It takes over tags,
metadata, sources and accesses; its importance, tier and end are the highest of all. The
others are kept whole inside it (`originals`), so they go when it is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.memories.likeness import Text, Texts, normal, text_of
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.tiers import OWN, has_own_ttl, last_used, own, with_own
from ctxplug.records import TIERS, MemoryRecord

SUMMARY = "summary"


@dataclass(frozen=True)
class Merger:
    """`into`, as it is after the merger, and what it and the `absorbed` were."""

    before: MemoryRecord
    into: MemoryRecord
    absorbed: tuple[MemoryRecord, ...]


def mergers(records: Iterable[MemoryRecord], policy: MemoryPolicy) -> list[Merger]:
    """Return which of `records` become one.

    Only memories of one kind, trust and validity do, whose metadata do not contradict each
    other; summaries and what has a ttl of its own stay as they are.
    """
    alike: dict[tuple[Any, ...], list[tuple[MemoryRecord, Text]]] = {}
    for record in records:
        if record.kind != SUMMARY and not has_own_ttl(record):
            key = record.kind, record.trust, record.valid_to, record.metadata.get("key") is None
            alike.setdefault(key, []).append((record, text_of(record.content)))
    return [merger for group in alike.values() for merger in _mergers(group, policy)]


def originals(record: MemoryRecord) -> list[MemoryRecord]:
    """Return the memories that were merged into `record`, as they were."""
    space = {"namespace": list(record.namespace)}
    return [MemoryRecord.from_dict({**data, **space}) for data in own(record).get("merged", ())]


def _mergers(group: Sequence[tuple[MemoryRecord, Text]], policy: MemoryPolicy) -> Iterable[Merger]:
    # Whatever says all that another says comes before it.
    order = sorted(group, key=lambda p: (-len(p[1].tokens), p[0].created_at, p[0].id))
    roots: list[MemoryRecord] = []
    merged: list[MemoryRecord] = []
    absorbed: list[list[MemoryRecord]] = []
    texts, equal = Texts(), dict[tuple[str, tuple[str, ...]], list[int]]()
    for record, text in order:
        same = normal(record.content), text.tokens
        near = [*equal.get(same, ()), *texts.with_all_of(text, policy.similarity)]
        place = next((n for n in near if _fits(merged[n], record)), None)
        if place is not None:
            merged[place] = _taken_over(merged[place], record)
            absorbed[place].append(record)
            continue
        equal.setdefault(same, []).append(len(roots))
        texts.add(len(roots), text)
        roots.append(record)
        merged.append(record)
        absorbed.append([])
    for before, into, gone in zip(roots, merged, absorbed, strict=True):
        if gone:
            yield Merger(before, into, tuple(gone))


def _fits(into: MemoryRecord, record: MemoryRecord) -> bool:
    """Say whether the metadata of both can stand together."""
    ours = {key: value for key, value in record.metadata.items() if key != OWN}
    return all(key not in into.metadata or into.metadata[key] == ours[key] for key in ours)


def _taken_over(into: MemoryRecord, record: MemoryRecord) -> MemoryRecord:
    """Return `into` with all that `record` brings."""
    whole = record.to_dict()
    del whole["namespace"]
    held = {key: value for key, value in own(record).items() if key != "merged"}
    whole.get("metadata", {}).pop(OWN, None)
    if held:
        whole["metadata"] = {**whole.get("metadata", {}), OWN: held}
    kept = [*own(into).get("merged", ()), whole, *own(record).get("merged", ())]
    links = {
        name: list(dict.fromkeys([*own(into).get(name, ()), *own(record).get(name, ())]))
        for name in ("supersedes",)
        if own(into).get(name) or own(record).get(name)
    }
    changed = with_own(into, merged=kept, **links)
    extra = {key: value for key, value in record.metadata.items() if key != OWN}
    return changed.evolve(
        metadata={**extra, **changed.metadata},
        tags=tuple(dict.fromkeys((*into.tags, *record.tags))),
        sources=tuple(dict.fromkeys((*into.sources, record.id, *record.sources))),
        importance=max(into.importance, record.importance),
        tier=max(into.tier, record.tier, key=TIERS.index),
        access_count=into.access_count + record.access_count,
        last_accessed=_used(into, record),
        expires_at=_later(into.expires_at, record.expires_at),
        valid_from=_begin(into, record),
    )


def _used(into: MemoryRecord, record: MemoryRecord) -> datetime | None:
    """Return the last use of either; to be told again is a use."""
    if record.created_at <= into.created_at and record.last_accessed is None:
        return into.last_accessed
    return max(last_used(into), last_used(record))


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)


def _begin(one: MemoryRecord, other: MemoryRecord) -> datetime | None:
    if one.valid_from is None and other.valid_from is None:
        return None
    return min(record.valid_from or record.created_at for record in (one, other))
