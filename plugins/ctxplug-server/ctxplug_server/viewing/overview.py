"""Overview: what is known of one session, and how long it is."""

from __future__ import annotations

from itertools import islice
from typing import Any

from ctxplug.errors import NotFoundError
from ctxplug.inspector.outline import Mark, Said
from ctxplug.scope import namespace_key
from ctxplug.sessions.snapshots import snapshots_of
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.lines import outline_rest
from ctxplug_server.viewing.sessions import find_info, state_of
from ctxplug_server.viewing.telling import when
from ctxplug_server.viewing.titles import Titles

__all__ = ["overview", "size"]

SECONDS = 0.15  # for which a long log is read before what is known by then is told


def overview(held: Held, titles: Titles) -> dict[str, Any]:
    """Return what is known of a session; what is counted is complete where it is `whole`."""
    backend, stream = held.backend, held.stream
    info = find_info(backend, stream.namespace, stream.session)
    if info is None:
        raise NotFoundError(f"There is no session {stream.session!r}.")
    standing = state_of(backend, stream.namespace, info)
    whole = held.read(seconds=SECONDS)
    outline = held.outline
    windows = held.windows() if whole else None
    budget, policy = _settings(held) if whole else (None, None)
    return {
        "namespace": namespace_key(stream.namespace),
        "session": stream.session,
        "title": titles.of(backend, stream.namespace, info),
        "state": standing.state,
        "since": when(standing.since),
        "reason": standing.reason,
        "metadata": dict(standing.metadata),
        "created_at": when(info.created_at),
        "updated_at": when(info.updated_at),
        "version": info.version,
        "parent": info.parent,
        "forked": info.forked if info.parent else None,
        "archived": info.archived,
        "whole": whole,
        "rows": len(outline.rows) + (0 if whole else outline_rest(held)),
        "messages": outline.messages,
        "turns": outline.turns,
        "calls": outline.turns,
        "recorded": windows.recorded if windows else None,
        "steps": len(held.steps) if whole else None,
        "snapshots": [one.to_dict() for one in snapshots_of(backend, stream)],
        "counter": held.reading.counter(stream).name,
        "policy": policy,
        "budget": budget,
    }


def _settings(held: Held) -> tuple[int | None, str | None]:
    """Return the budget and the policy of the last call, as far as they are written down."""
    told = (step.data for step in reversed(held.steps) if "hash" in step.data)
    marks = (row.data for row in reversed(held.outline.rows) if isinstance(row, Mark))
    for data in (*islice(told, 1), *(data for data in marks if "budget" in data)):
        return data.get("budget"), data.get("policy")
    return None, None


def size(held: Held) -> dict[str, Any]:
    """Return how long a session is, as far as that is known quickly."""
    info = find_info(held.backend, held.stream.namespace, held.stream.session)
    whole = held.read(seconds=SECONDS)
    tokens = sum(row.tokens for row in held.outline.rows if isinstance(row, Said))
    standing = state_of(held.backend, held.stream.namespace, info) if info else None
    return {
        "state": standing.state if standing else None,
        "messages": held.outline.messages,
        "turns": held.outline.turns,
        "tokens": tokens,
        "whole": whole,
    }
