"""Reading a session's steps back from the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ctxplug.scope import Namespace
from ctxplug.storage import Append, Backend, Entry
from ctxplug.times import to_datetime
from ctxplug.tracing.recorder import PARTS, STEPS, trace_stream
from ctxplug.tracing.step import Step

PAGE = 256


def read_steps(
    backend: Backend,
    namespace: Namespace,
    session: str,
    *,
    trace: str | None = None,
    kind: str | None = None,
    last: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Step]:
    """Return the steps of a session that meet every condition, in the order they began.

    `since` <= started_at < `until`; `last` are how many of those that ended last.
    """
    found: list[Step] = []
    for step in newest_steps(backend, namespace, session):
        if last is not None and len(found) >= last:
            break
        if (
            (trace is None or step.trace == trace)
            and (kind is None or step.kind == kind)
            and (since is None or step.started_at >= since)
            and (until is None or step.started_at < until)
        ):
            found.append(step)
    found.reverse()
    # A step that holds others began before them and ended after.
    return sorted(found, key=lambda step: step.started_at)


def find_step(backend: Backend, namespace: Namespace, session: str, id: str) -> Step | None:
    """Return the step of that id, or None."""
    steps = newest_steps(backend, namespace, session)
    return next((step for step in steps if step.id == id), None)


def newest_steps(backend: Backend, namespace: Namespace, session: str) -> Iterator[Step]:
    """Yield all steps of a session, those that ended last first."""
    stream = trace_stream(namespace, session)
    before: int | None = None
    while True:
        entries = backend.read(stream, before=before, limit=PAGE, newest_first=True, kinds=[STEPS])
        for entry in entries:
            for data in reversed(entry.body["steps"]):
                yield step_of(data, session, entry)
        if len(entries) < PAGE:
            return
        before = entries[-1].version


def read_parts(
    backend: Backend, namespace: Namespace, session: str, keys: frozenset[str]
) -> dict[str, Any]:
    """Return what windows of a session carried besides the log, by digest, of `keys`."""
    found: dict[str, Any] = {}
    before: int | None = None
    while keys - found.keys():
        entries = backend.read(
            trace_stream(namespace, session),
            before=before,
            limit=PAGE,
            newest_first=True,
            kinds=[PARTS],
            pinned=True,
        )
        for entry in entries:
            parts = entry.body["parts"]
            found.update({key: parts[key] for key in keys & parts.keys()})
        if len(entries) < PAGE:
            break
        before = entries[-1].version
    return found


def step_of(data: Mapping[str, Any], session: str, entry: Entry | Append) -> Step:
    """Read a step as `Trace` stores it: what is usual is left out."""
    return Step(
        id=data["id"],
        trace=data["trace"],
        parent=data.get("parent"),
        kind=data["kind"],
        name=data.get("name", ""),
        started_at=to_datetime(data["started_at"]),
        duration=data["duration"],
        outcome=data.get("outcome", "ok"),
        session=session,
        agent=entry.agent,
        tokens=data.get("tokens"),
        cost=data.get("cost"),
        error=data.get("error"),
        data=data.get("data", {}),
    )
