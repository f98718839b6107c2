"""Steps: pages of what was traced of a session, as a tree in the order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.inspector.step_tree import Node, tree
from ctxplug.tracing.step import KINDS
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.telling import bounded

__all__ = ["places_of", "steps"]


def steps(
    held: Held, start: int, limit: int, kind: str | None, errors: bool, around: str | None
) -> dict[str, Any]:
    """Return steps, each behind its parent; the page with the step `around` where it is given."""
    if kind is not None and kind not in KINDS:
        raise InvalidValueError(
            f"kind is one of {', '.join(KINDS)}, not {kind!r:.60}.", path="kind"
        )
    found: Sequence[Node] = held.kept("tree", lambda: tree(held.steps, held.outline))
    if kind is not None or errors:
        found = [
            node
            for node in found
            if kind in (None, node.step.kind) and not (errors and node.step.ok)
        ]
    if around is not None:
        index = next((i for i, node in enumerate(found) if node.step.id == around), 0)
        start = index // limit * limit
    began = held.steps[0].started_at if held.steps else None
    items = []
    for node in found[start : start + limit]:
        data = bounded(node.step.to_dict())
        offset = (node.step.started_at - began).total_seconds() * 1000 if began else 0.0
        items.append({**data, "depth": node.depth, "offset_ms": offset, "call": node.turn})
    failed = sum(not step.ok for step in held.steps)
    return {
        "total": len(found),
        "start": start,
        "errors": failed,
        "kinds": _counted(held.steps),
        "items": items,
    }


def places_of(held: Held) -> Mapping[str, int]:
    """Return the call that each window step is of, by its id."""
    nodes: Sequence[Node] = held.kept("tree", lambda: tree(held.steps, held.outline))
    return {node.step.id: node.turn for node in nodes if node.turn is not None}


def _counted(steps: Sequence[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for step in steps:
        counts[step.kind] = counts.get(step.kind, 0) + 1
    return counts
