"""Decay: what a memory is worth by now. Computed when it is needed, never written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.tiers import last_used
from ctxplug.records import MemoryRecord
from ctxplug.scoring import Combined, History


def effective_importance(record: MemoryRecord, now: datetime, policy: MemoryPolicy) -> float:
    """Return importance * 0.5 ** (time since the last use / half life).

    It does not fall below the policy's floor, unless the importance is below it itself.
    Kinds in `always_long` keep their importance, as all do where `half_life` is None.
    """
    half = policy.half_life
    if half is None or record.kind in policy.always_long:
        return float(record.importance)
    age = max(0.0, (now - last_used(record)).total_seconds())
    faded = record.importance * 0.5 ** min(age / float(half), 1_000.0)  # type: ignore[arg-type]
    return float(max(faded, min(policy.decay_floor, record.importance)))


def worth(
    records: Sequence[MemoryRecord],
    now: datetime,
    policy: MemoryPolicy,
    scorer: Combined | None,
    note: Callable[[str], None],
) -> list[float]:
    """Return what each of `records` is worth: its effective importance and what `scorer` says."""
    fading = [effective_importance(record, now, policy) for record in records]
    if scorer is None or not policy.scorer_share:
        return fading
    scores = scorer.scores(records, now, History())
    for text in scores.notes:
        note(text)
    share = policy.scorer_share
    return [
        (1 - share) * value + share * score
        for value, score in zip(fading, scores.values, strict=True)
    ]
