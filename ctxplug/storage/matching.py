"""What a Where means, in plain Python: for backends that have no query language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ctxplug import codec
from ctxplug.records import MemoryRecord
from ctxplug.storage.backend import Where
from ctxplug.times import to_datetime


def matches(record: MemoryRecord, where: Where) -> bool:
    """Say whether every condition of `where` but the namespace holds for `record`."""
    return (
        (where.ids is None or record.id in where.ids)
        and (where.kinds is None or record.kind in where.kinds)
        and (where.tiers is None or record.tier in where.tiers)
        and all(tag in record.tags for tag in where.tags)
        and (where.session is None or record.session == where.session)
        and (where.agent is None or record.agent == where.agent)
        and _in_time(record, where)
        and all(_equal(record.metadata, key, value) for key, value in where.metadata.items())
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
