"""The archive of a store: archive, restore, search in it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.errors import InvalidValueError
from ctxplug.scope import namespace_key
from ctxplug.storage import Backend

_AGE = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("archive")(archive)


def archive(
    target: options.Target,
    namespace: options.Namespace = None,
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="Only this conversation.")
    ] = None,
    older_than: Annotated[
        str, typer.Option("--older-than", help="What was not used for so long: 30d, 12h, 0s.")
    ] = "30d",
    restore: Annotated[
        bool, typer.Option("--restore", help="Bring back what is archived instead.")
    ] = False,
    search: Annotated[
        str | None, typer.Option("--search", help="Look for words in the archive instead.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Compress sessions and memories that were not used for long; they stay readable.

    Example: ctxplug archive agent.db --older-than 90d
    """
    to_age(older_than)
    if restore and search is not None:
        raise InvalidValueError("Give --search or --restore, not both.", path="restore")
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        if session is not None:
            session = stores.choose_session(backend, chosen, session)
        # Not closed, as it does not own the store.
        memory = AgentMemory.open(backend, namespace=chosen)
        if search is not None:
            _search(memory, search, session, json)
        elif restore:
            _restore(memory, session, json)
        else:
            _archive(memory, backend, older_than, session, json)


def to_age(text: str) -> timedelta:
    """Return the age that `text` tells, such as "30d"; raise InvalidValueError."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidValueError(
            f"{text!r} is no age; write a number and s, m, h, d or w, such as 30d.",
            path="older-than",
        )
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _archive(
    memory: AgentMemory, backend: Backend, older_than: str, session: str | None, json: bool
) -> None:
    report = memory.archive(to_age(older_than), sessions=session)
    held = backend.archive_state(memory.scope.namespace)
    if json:
        in_all = {"entries": held.entries, "records": held.records, "bytes": held.nbytes}
        screen.print_json(report.to_dict() | {"archive": in_all})
        return
    out = screen.out()
    if report.entries or report.records:
        out.print(
            f"Archived {report.entries:,} log entries of {len(report.sessions):,} sessions and"
            f" {report.records:,} memories: {report.bytes_before:,} bytes became"
            f" {report.bytes_after:,} ({report.ratio:.1f} to 1)."
        )
    else:
        unused = f"nothing that can be archived was unused for {screen.safe(older_than)}"
        out.print(f"Archived 0 log entries and 0 memories: {unused}.")
    if report.expired:
        out.print(f"{report.expired:,} archived memories had expired and are gone.")
    out.print(f"The archive holds {held.entries:,} entries and {held.records:,} memories.")


def _restore(memory: AgentMemory, session: str | None, json: bool) -> None:
    report = memory.unarchive(session)
    if json:
        screen.print_json({"entries": report.entries, "records": report.records})
        return
    screen.out().print(f"Restored {report.entries:,} log entries and {report.records:,} memories.")


def _search(memory: AgentMemory, query: str, session: str | None, json: bool) -> None:
    found = memory.search_archive(query, session=session)
    if json:
        rows = [{"score": one.score, "record": one.record.to_dict()} for one in found]
        screen.print_json(rows)
        return
    name = screen.safe(namespace_key(memory.scope.namespace))
    if not found:
        screen.out().print(f"Nothing in the archive of {name} matches.")
        return
    rows_shown = [
        (
            screen.when(one.record.created_at),
            screen.safe(one.record.kind),
            screen.safe(one.record.id),
            screen.safe(screen.short(one.record.content, 70)),
        )
        for one in found
    ]
    out = screen.out()
    out.print(screen.table("", ("when", "kind", "id", "text"), rows_shown))
    out.print(f"[dim]{len(found):,} found in the archive of {name}.[/]")
