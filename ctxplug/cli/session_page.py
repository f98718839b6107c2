"""Sessions as they are printed: a list of them, and one."""

from __future__ import annotations

from typing import Any

from ctxplug import codec
from ctxplug.cli import screen
from ctxplug.scope import Namespace, namespace_key
from ctxplug.sessions.info import SessionState
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.retention import listed
from ctxplug.sessions.states import to_states
from ctxplug.storage import Backend


def list_sessions(
    backend: Backend, namespaces: list[Namespace], json: bool, states: list[str] | None = None
) -> None:
    """Print the sessions of `namespaces`, in order of creation."""
    wanted = to_states(states)
    found = [
        (namespace_key(namespace), one)
        for namespace in namespaces
        for one in listed(backend, namespace, SessionPolicy(), states=wanted, by_creation=True)
    ]
    if json:
        screen.print_json([_as_json(name, one) for name, one in found])
        return
    forks = any(one.parent for _, one in found)
    rows = [_row(name, one, forks) for name, one in found]
    columns = ["namespace", "session", "state", "#log entries", "#last"]
    columns += ["fork of"] if forks else ["#began"]
    hint = "ctxplug show TARGET -n NAMESPACE -s SESSION shows one." if rows else "There are none."
    screen.out().print(screen.table("", columns, rows, caption=f"[dim]{hint}[/]"))


def _as_json(namespace: str, one: SessionState) -> dict[str, Any]:
    """Return a session as JSON, under the names that `ctxplug sessions` gives."""
    data = one.to_dict()
    return {
        "namespace": namespace,
        "session": data.pop("id"),
        "entries": data.pop("version"),
        **data,
    }


def _row(namespace: str, one: SessionState, forks: bool) -> list[str | int]:
    row: list[str | int] = [
        screen.safe(namespace),
        screen.safe(one.id),
        one.state,
        one.version,
        screen.when(one.updated_at) if one.updated_at else "",
    ]
    if forks:  # there is no room for both on a line of 80
        return [*row, f"{screen.safe(one.parent)} @{one.forked_at}" if one.parent else ""]
    return [*row, screen.when(one.created_at) if one.created_at else ""]


def details(info: SessionState, forks: list[str]) -> list[tuple[str, str]]:
    """Return the rows of a table that shows all that is known of a session."""
    since = f" since {screen.when(info.since)}" if info.since else ""
    parent = f"{screen.safe(info.parent)} at version {info.forked_at}" if info.parent else ""
    rows = [
        ("session", screen.safe(info.id)),
        ("state", f"{info.state}{since}"),
        ("why", text(info.reason)),
        ("messages", f"{info.messages:,} in view, {info.version:,} log entries"),
        ("began", screen.when(info.created_at) if info.created_at else ""),
        ("last", screen.when(info.updated_at) if info.updated_at else ""),
        ("fork of", parent),
        ("forks", ", ".join(map(screen.safe, forks))),
    ]
    rows += [(screen.safe(key), text(value)) for key, value in info.metadata.items()]
    return [(name, value) for name, value in rows if value]


def text(value: object) -> str:
    """Return a JSON value on one line, as it may be printed; nothing for None."""
    if value is None:
        return ""
    line = value if isinstance(value, str) else codec.encode(value).decode("utf-8", "replace")
    return screen.safe(screen.short(line, 200))
