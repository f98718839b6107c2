"""What a Where and an Expect mean, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ctxplug import codec
from ctxplug.errors import ConflictError
from ctxplug.records import MemoryRecord
from ctxplug.storage.backend import Expect, Where
from ctxplug.times import to_datetime


def matches(record: MemoryRecord, where: Where) -> bool:
    """Say whether every condition of `where` but the namespace holds for `record`."""
    return (
        (where.ids is None or record.id in where.ids)
        and (where.kinds is None or record.kind in where.kinds)
        and record.kind not in where.not_kinds
        and (where.tiers is None or record.tier in where.tiers)
        and all(tag in record.tags for tag in where.tags)
        and (where.session is None or record.session == where.session)
        and (where.agent is None or record.agent == where.agent)
        and _in_time(record, where)
        and all(_equal(record.metadata, key, value) for key, value in where.metadata.items())
    )


def require_expected(op: Expect, stored: MemoryRecord | None, target: str = "") -> None:
    """Raise ConflictError unless `stored` is the record that `op` expects."""
    if stored != op.record:
        found = "is not there" if stored is None else "was changed"
        raise ConflictError(
            f"The record {op.id!r} {found}: someone else wrote first. Read it again and decide"
            " anew.",
            expected=int(op.record is not None),
            found=int(stored is not None),
            target=target,
        )


def _in_time(record: MemoryRecord, where: Where) -> bool:
    since, until, at, now = map(_utc, (where.since, where.until, where.valid_at, where.now))
    return (
        (since is None or record.created_at >= since)
        and (until is None or record.created_at < until)
        and (at is None or record.valid_from is None or record.valid_from <= at)
        and (at is None or record.valid_to is None or record.valid_to > at)
        and (now is None or record.expires_at is None or record.expires_at > now)
    )


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else to_datetime(time)


def _equal(metadata: Mapping[str, Any], key: str, value: Any) -> bool:
    # JSON equality: in Python True == 1, in JSON it is not.
    return key in metadata and codec.canonical(metadata[key]) == codec.canonical(value)
