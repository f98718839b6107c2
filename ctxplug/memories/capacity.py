"""Capacity: where there is more than there is room for, what is worth least goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ctxplug.memories.decay import worth
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.tiers import is_protected
from ctxplug.records import TIERS, MemoryRecord
from ctxplug.scoring import Combined


def evicted(
    records: Sequence[MemoryRecord],
    now: datetime,
    policy: MemoryPolicy,
    scorer: Combined | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[MemoryRecord]:
    """Return what has to go so that each tier, and then the whole, fits.

    What was superseded goes first, then by worth, of equals the oldest; pinned memories and
    kinds in `always_long` go last.
    """
    if policy.capacity is None and all(policy.rule(t).capacity is None for t in TIERS):
        return []
    worths = worth(records, now, policy, scorer, note)
    values = {record.id: value for record, value in zip(records, worths, strict=True)}
    ranked = sorted(records, key=lambda record: _order(values[record.id], record, now, policy))
    gone: list[MemoryRecord] = []
    for tier in TIERS:
        gone += _over([r for r in ranked if r.tier == tier], policy.rule(tier).capacity)
    ids = {record.id for record in gone}
    return gone + _over([r for r in ranked if r.id not in ids], policy.capacity)


def _over(ranked: list[MemoryRecord], capacity: int | None) -> list[MemoryRecord]:
    return [] if capacity is None else ranked[: max(0, len(ranked) - capacity)]


def _order(
    value: float, record: MemoryRecord, now: datetime, policy: MemoryPolicy
) -> tuple[bool, bool, float, datetime, str]:
    holds = record.valid_to is None or record.valid_to > now
    return is_protected(record, policy), holds, value, record.created_at, record.id
