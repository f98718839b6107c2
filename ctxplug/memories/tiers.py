"""The tiers: where a memory goes, how long it stays there, and when it moves up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ctxplug.memories.policy import MemoryPolicy
from ctxplug.records import TIERS, MemoryRecord, Tier

OWN = "ctxplug"
"""The metadata key under which ctxplug keeps what it knows of a memory's life:

- `ttl`: the explicit time to live (seconds, or "forever"), which no policy changes;
- `tier`: "fixed" where the caller chose it, so that maintenance leaves it;
- `merged`: the memories that were merged into this one, whole;
- `supersedes`, `superseded_by`: ids.
"""
PINNED = "pinned"
"""The metadata key that, if true, makes eviction take a memory last."""


def routed(kind: str, importance: float, policy: MemoryPolicy) -> Tier:
    """Return the tier a memory goes to, by its kind and importance."""
    if kind in policy.always_long or importance >= policy.long_from:
        return "long"
    return "medium" if importance >= policy.medium_from else "short"


def expiry(tier: str, policy: MemoryPolicy, now: datetime) -> datetime | None:
    """Return when a memory that is used `now` expires in `tier`; None: never."""
    return after(now, policy.rule(tier).duration)


def after(now: datetime, duration: timedelta | None) -> datetime | None:
    """Return `now` plus `duration`; None for no duration or a time beyond the calendar."""
    try:
        return None if duration is None else now + duration
    except OverflowError:
        return None


def own(record: MemoryRecord) -> Mapping[str, Any]:
    """Return what ctxplug keeps in the metadata of `record`; not to be changed."""
    held = record.metadata.get(OWN)
    return held if isinstance(held, Mapping) else {}


def with_own(record: MemoryRecord, **facts: Any) -> MemoryRecord:
    """Return `record` with `facts` among what ctxplug keeps in its metadata."""
    return record.evolve(metadata={**record.metadata, OWN: {**own(record), **facts}})


def has_own_ttl(record: MemoryRecord) -> bool:
    """Say whether the time to live was given by the caller, not by the tier."""
    return "ttl" in own(record)


def is_pinned(record: MemoryRecord) -> bool:
    """Say whether the caller pinned this memory (metadata `pinned`: true)."""
    return record.metadata.get(PINNED) is True


def is_protected(record: MemoryRecord, policy: MemoryPolicy) -> bool:
    """Say whether eviction takes this memory last."""
    return is_pinned(record) or record.kind in policy.always_long


def last_used(record: MemoryRecord) -> datetime:
    """Return when a memory was made or last accessed, whichever is later."""
    return max(record.created_at, record.last_accessed or record.created_at)


def in_tier(record: MemoryRecord, tier: Tier, policy: MemoryPolicy, now: datetime) -> MemoryRecord:
    """Return `record` in `tier`; unless it has a ttl of its own, its time begins anew."""
    if has_own_ttl(record):
        return record.evolve(tier=tier)
    return record.evolve(tier=tier, expires_at=expiry(tier, policy, now))


def earned(record: MemoryRecord, policy: MemoryPolicy) -> Tier:
    """Return the tier that `record` has by now come to deserve, never one below its own."""
    if own(record).get("tier") == "fixed":
        return record.tier
    tiers: list[Tier] = [record.tier, routed(record.kind, record.importance, policy)]
    if policy.medium_after is not None and record.access_count >= policy.medium_after:
        tiers.append("medium")
    if policy.long_after is not None and record.access_count >= policy.long_after:
        tiers.append("long")
    return max(tiers, key=TIERS.index)
