"""From what the caller says to a memory record: tier, time to live, where it came from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.guards import Guards
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.tiers import OWN, after, expiry, has_own_ttl, in_tier, routed, with_own
from ctxplug.records import MemoryRecord, to_tags
from ctxplug.scope import Scope, new_id

DEFAULT = MemoryPolicy()
MESSAGE = "message"


def new_memory(
    content: str,
    scope: Scope,
    now: datetime,
    *,
    kind: str = "fact",
    importance: float = 0.5,
    tags: Iterable[str] | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    ttl: timedelta | float | None = None,
    valid_from: datetime | None = None,
    sources: Iterable[str] = (),
    origin: str = "user",
    made_by: str = "remember",
    policy: MemoryPolicy = DEFAULT,
) -> MemoryRecord:
    """Return the record for `content`, in the tier and for the time that `policy` says.

    `ttl` is a timedelta or seconds, `math.inf` for ever. Raises InvalidValueError.
    """
    record = MemoryRecord(
        namespace=scope.namespace,
        id=new_id(),
        kind=to_kind(kind),
        content=to_content(content),
        importance=importance,
        tags=to_tags(tags),
        metadata=to_metadata(metadata),
        created_at=now,
        valid_from=valid_from,
        sources=tuple(sources),
        origin=origin,
        session=scope.session,
        agent=scope.agent,
        made_by=made_by,
    )
    stored = max(now, datetime.now(UTC))  # it may be of an old message, but is kept from now on
    tier = routed(record.kind, record.importance, policy)
    record = record.evolve(tier=tier, expires_at=expiry(tier, policy, stored))
    return record if ttl is None else with_ttl(record, ttl, now)


def to_content(value: object) -> str:
    """Return `value` if it is a text that says something; raise InvalidValueError."""
    if isinstance(value, str) and value.strip():
        return value
    raise InvalidValueError(f"A memory is a non-empty text, not {value!r:.60}.", path="content")


def to_kind(value: str) -> str:
    """Return `value` if a memory can be of this kind; raise InvalidValueError."""
    if value == MESSAGE:
        raise InvalidValueError(
            f"The kind {MESSAGE!r} stands for a message of a log; give a memory another one,"
            " such as 'fact'.",
            path="kind",
        )
    return value


def to_metadata(value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return `value` if a caller may give it as metadata; raise InvalidValueError."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidValueError(f"metadata is a mapping, not {value!r:.60}.", path="metadata")
    if OWN in value:
        raise InvalidValueError(
            f"The metadata key {OWN!r} is where ctxplug keeps what it knows of a memory; leave it"
            " out, or choose another.",
            path="metadata",
        )
    return value


def with_ttl(record: MemoryRecord, ttl: timedelta | float, now: datetime) -> MemoryRecord:
    """Return `record` with a time to live of its own, which no policy changes."""
    if ttl == math.inf:
        return with_own(record.evolve(expires_at=None), ttl="forever")
    duration = _duration(ttl)
    ends = record.evolve(expires_at=after(now, duration))
    return with_own(ends, ttl=duration.total_seconds())


def admitted(
    record: MemoryRecord, guards: Guards, scope: Scope, policy: MemoryPolicy
) -> MemoryRecord:
    """Return `record` as the plugins that redact and judge leave it, in the tier it then has.

    Raises GuardError if one refuses it.
    """
    judged = guards.admit(record, scope)
    if judged.expires_at != record.expires_at and not has_own_ttl(judged):
        return with_own(judged, ttl="judged")
    was, now = (routed(r.kind, r.importance, policy) for r in (record, judged))
    if judged.tier == record.tier and was == record.tier != now:
        return in_tier(judged, now, policy, datetime.now(UTC))
    return judged


def _duration(ttl: timedelta | float) -> timedelta:
    try:
        duration = ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)
    except (TypeError, ValueError, OverflowError):
        duration = timedelta(0)
    if duration <= timedelta(0):
        raise InvalidValueError(
            f"ttl is {ttl!r}; give seconds or a timedelta above zero, math.inf to keep it for"
            " ever, or None to keep it as long as its tier does.",
            path="ttl",
        )
    return duration
