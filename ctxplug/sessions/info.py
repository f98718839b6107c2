"""SessionState: what is known of a session, and finding out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ctxplug.scope import Namespace
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.snapshots import SNAPSHOT
from ctxplug.sessions.states import CREATED, SESSION, Standing, last_said, state_at
from ctxplug.storage import Backend, SessionInfo, Stream


@dataclass(frozen=True, slots=True)
class SessionState:
    """What is known of a session.

    `state` is one of `ctxplug.sessions.states.STATES`, and holds `since` then: an active one
    since it was begun or last resumed. `version` is that of its log's newest entry, `snapshots`
    how many there are, and `messages` how many are in view (None in a list, where they are not
    counted). A fork has a `parent`, which it left at version `forked_at`.
    """

    id: str
    state: str
    since: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0
    reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    forked_at: int | None = None
    snapshots: int = 0
    messages: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        times = {"since": self.since, "created_at": self.created_at, "updated_at": self.updated_at}
        data = {
            "id": self.id,
            "state": self.state,
            **{name: time.isoformat() if time else None for name, time in times.items()},
            "version": self.version,
            "reason": self.reason,
            "metadata": dict(self.metadata),
            "parent": self.parent,
            "forked_at": self.forked_at,
            "snapshots": self.snapshots,
        }
        return data if self.messages is None else {**data, "messages": self.messages}


def info_of(
    backend: Backend, namespace: Namespace, info: SessionInfo, policy: SessionPolicy, now: datetime
) -> SessionState:
    """Return what is known of the session of `info`, at the time `now`."""
    stream = Stream(namespace, info.session)
    pinned = backend.read(stream, kinds=[SESSION, SNAPSHOT], pinned=True)
    newest = [Standing.of(entry) for entry in pinned if entry.kind == SESSION][-1:]
    standing = newest[0] if newest else Standing()
    state, since = state_at(standing, last_said(backend, stream), policy, now)
    return SessionState(
        id=info.session,
        state=state,
        since=since or info.created_at,
        created_at=info.created_at,
        updated_at=info.updated_at,
        version=info.version,
        reason=standing.reason,
        metadata=standing.metadata,
        parent=info.parent,
        forked_at=None if info.parent is None else info.forked,
        snapshots=sum(entry.kind == SNAPSHOT for entry in pinned),
    )


def unknown(session: str) -> SessionState:
    """Return what is known of a session in which nothing was ever written."""
    return SessionState(session, CREATED, messages=0)
