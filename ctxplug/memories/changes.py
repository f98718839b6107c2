"""Changes of one memory: what `update` and `promote` make of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.remember import to_content, to_kind, to_metadata, with_ttl
from ctxplug.memories.tiers import OWN, in_tier, routed, with_own
from ctxplug.records import TIERS, MemoryRecord, Tier


def updated(
    old: MemoryRecord,
    changes: Mapping[str, Any],
    policy: MemoryPolicy,
    now: datetime,
    *,
    tier: Tier | None = None,
    ttl: timedelta | float | None = None,
) -> MemoryRecord:
    """Return `old` with `changes`: moved up if it is worth more, or to `tier`, to stay there.

    Metadata is replaced but for what ctxplug keeps in it. Raises InvalidValueError.
    """
    to_content(changes.get("content", old.content))
    to_kind(changes.get("kind", old.kind))
    if "metadata" in changes:
        own = {key: value for key, value in old.metadata.items() if key == OWN}
        given = changes["metadata"]
        if isinstance(given, Mapping):  # a record's own metadata may be given back
            given = {key: value for key, value in given.items() if key != OWN}
        changes = {**changes, "metadata": {**to_metadata(given), **own}}
    new = old.evolve(**changes)
    if tier is not None:
        new = with_own(new, tier="fixed")
    higher: Tier = max(old.tier, routed(new.kind, new.importance, policy), key=TIERS.index)
    aim = tier or higher
    if aim != old.tier:
        new = in_tier(new, aim, policy, now)
    return new if ttl is None else with_ttl(new, ttl, now)


def promoted(
    old: MemoryRecord, tier: Tier | None, policy: MemoryPolicy, now: datetime
) -> MemoryRecord:
    """Return `old` in `tier`, or the next one up; raise InvalidValueError for one below."""
    at = TIERS.index(old.tier)
    aim: Any = tier or TIERS[min(at + 1, len(TIERS) - 1)]
    if aim not in TIERS or TIERS.index(aim) < at:
        raise InvalidValueError(
            f"The memory {old.id!r} is in the tier {old.tier!r}; promote it to one of"
            f" {', '.join(TIERS[at:])}, or move it down with update(tier=...).",
            path="tier",
        )
    return in_tier(old, aim, policy, now)
