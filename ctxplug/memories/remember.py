"""From what the caller says to a memory record: tier, time to live, where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.records import MemoryRecord, Tier, to_tags
from ctxplug.scope import Scope, new_id

ALWAYS_LONG = frozenset({"schema", "config", "preference"})
LONG_FROM = 0.8
MEDIUM_FROM = 0.5


def tier_of(kind: str, importance: float) -> Tier:
    """Return the tier a new memory goes to, by its kind and importance."""
    if kind in ALWAYS_LONG or importance >= LONG_FROM:
        return "long"
    return "medium" if importance >= MEDIUM_FROM else "short"


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
    sources: Iterable[str] = (),
    origin: str = "user",
) -> MemoryRecord:
    """Return the record for `content`; `ttl` is a timedelta or seconds.

    Raises InvalidValueError for empty content, a wrong importance or a ttl of zero or less.
    """
    if not isinstance(content, str) or not content.strip():
        raise InvalidValueError(
            f"A memory is a non-empty text, not {content!r:.60}.", path="content"
        )
    record = MemoryRecord(
        namespace=scope.namespace,
        id=new_id(),
        kind=kind,
        content=content,
        importance=importance,
        tags=to_tags(tags),
        metadata=metadata or {},
        created_at=now,
        expires_at=None if ttl is None else now + _duration(ttl),
        sources=tuple(sources),
        origin=origin,
        session=scope.session,
        agent=scope.agent,
    )
    return record.evolve(tier=tier_of(record.kind, record.importance))


def _duration(ttl: timedelta | float) -> timedelta:
    duration = ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)
    if duration <= timedelta(0):
        raise InvalidValueError(
            f"ttl is {ttl!r}; give seconds or a timedelta above zero, or None to keep it.",
            path="ttl",
        )
    return duration
