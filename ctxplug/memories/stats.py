"""What a memory holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ctxplug.records import TIERS, MemoryRecord
from ctxplug.scope import Scope, namespace_key
from ctxplug.storage import Backend, Stream, Where, conversations
from ctxplug.tokens import TokenCounter

MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class TierStats:
    """The memories of one tier: how many, their tokens, and their ages; times None: it is empty."""

    count: int = 0
    tokens: int = 0
    average_importance: float = 0.0
    oldest: datetime | None = None
    newest: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON data."""
        return {
            "count": self.count,
            "tokens": self.tokens,
            "average_importance": round(self.average_importance, 4),
            "oldest": self.oldest and self.oldest.isoformat(),
            "newest": self.newest and self.newest.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Counts: `messages` of this session, the rest of the namespace.

    `memories` is how many there are by tier, `tiers` more of each; what has expired does not
    count, and messages are no memories. `archived` is how many log entries and memories of
    the namespace are in the archive; the other numbers of memories leave those out.
    """

    namespace: str
    session: str
    messages: int
    sessions: int
    memories: Mapping[str, int]
    counter: str
    estimated: bool
    tiers: Mapping[str, TierStats] = field(default_factory=dict)
    archived: int = 0


def collect(backend: Backend, scope: Scope, counter: TokenCounter) -> MemoryStats:
    """Count what `scope` holds in `backend`; takes time in proportion to its memories."""
    namespace = scope.namespace
    tiers = {}
    for tier in TIERS:
        where = Where(namespace, tiers=[tier], not_kinds=[MESSAGE], now=datetime.now(UTC))
        tiers[tier] = tier_stats(backend.find(where), counter)
    return MemoryStats(
        namespace=namespace_key(namespace),
        session=scope.session,
        messages=_messages(backend, scope),
        sessions=len(conversations(backend, namespace)),
        memories={tier: stats.count for tier, stats in tiers.items()},
        counter=counter.name,
        estimated=counter.estimated,
        tiers=tiers,
        archived=_archived(backend, scope),
    )


def _messages(backend: Backend, scope: Scope) -> int:
    """Count the messages of the session that can be found, archived and before a fork too."""
    where = Where(scope.namespace, kinds=[MESSAGE], session=scope.session)
    archived = {i.session: i.archived for i in backend.sessions(scope.namespace)}
    *past, _ = backend.lineage(Stream(scope.namespace, scope.session))
    count = backend.count(where)
    count += len(backend.archived(where)) if archived.get(scope.session) else 0
    first = 1
    for session, last in past:
        ids = [f"{session}@{version}" for version in range(first, last + 1)]
        part = replace(where, session=session, ids=ids)
        count += backend.count(part)
        count += len(backend.archived(part)) if archived.get(session) else 0
        first = last + 1
    return count


def _archived(backend: Backend, scope: Scope) -> int:
    if "archive" not in backend.capabilities:
        return 0
    state = backend.archive_state(scope.namespace)
    return state.entries + state.records


def tier_stats(records: Sequence[MemoryRecord], counter: TokenCounter) -> TierStats:
    """Return the numbers of `records`."""
    if not records:
        return TierStats()
    return TierStats(
        count=len(records),
        tokens=sum(counter.count_text(record.content) for record in records),
        average_importance=sum(record.importance for record in records) / len(records),
        oldest=min(record.created_at for record in records),
        newest=max(record.created_at for record in records),
    )
