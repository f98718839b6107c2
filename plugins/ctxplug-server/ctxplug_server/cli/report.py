"""Write a report: the viewer and its data in one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from ctxplug.cli import options, screen, stores
from ctxplug_server.report.writing import LAST, SIZE, Report, write_report

__all__ = ["command", "report"]


def command() -> Callable[..., None]:
    """Return the command."""
    return report


def report(
    target: options.Target,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file that is written.")
    ] = Path("report.html"),
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Whose, such as acme/alice. Default: of all."),
    ] = None,
    session: Annotated[
        list[str] | None,
        typer.Option("--session", "-s", help="One session; repeatable. Default: the newest."),
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many sessions.")] = LAST,
    lang: Annotated[
        str | None, typer.Option("--lang", help="en or zh. Default: as the reader's browser.")
    ] = None,
    size: Annotated[
        int, typer.Option("--size", min=1, help="How many MiB of data it may hold.")
    ] = SIZE,
    json: options.Json = False,
) -> None:
    """Write one HTML file with what the viewer shows, to send to a colleague.

    It needs nothing else: no server and no network. It holds what was said, so send it only to
    who may read that. What it has no room for, it says.

    Example: ctxplug report agent.db -o report.html -n acme/alice --last 5
    """
    with stores.opened(target, mode="dry") as backend, screen.progress() as bar:
        chosen = None if namespace is None else [stores.choose_namespace(backend, namespace)]
        task = bar.add_task("reading", total=None)
        done = write_report(
            backend,
            output,
            namespaces=chosen,
            sessions=session or None,
            last=last,
            lang=cast(Literal["en", "zh"] | None, lang),
            title=os.path.basename(target) or "ctxplug",
            size=size,
            progress=lambda name: bar.update(task, description=screen.safe(screen.short(name, 40))),
        )
    if json:
        screen.print_json({**asdict(done), "path": str(done.path)})
    else:
        _print(done)


def _print(done: Report) -> None:
    console = screen.out()
    name = screen.safe(str(done.path))
    sessions = "1 session" if done.sessions == 1 else f"{done.sessions} sessions"
    size = f"{done.size / 2**20:.1f} MiB"
    console.print(f"Wrote {name}: {sessions}, {size}. Open it in a browser.", soft_wrap=True)
    for one in done.left_out:
        console.print(f"Left out: {screen.safe(_told(one))}", soft_wrap=True)


_SENTENCES = {
    "sessions": "older sessions: {count} (--last has more)",
    "no_room": "the session {session}, as there was no room (--size has more)",
    "unreadable": "the session {session}: {error}",
    "memories": "memories of {namespace} beyond the newest {most}",
    "no_room_for_memories": "the memories of {namespace}, as there was no room",
    "calls": "the windows of {session} before the last {most} calls",
    "texts": "the whole texts of {session} before the newest {most} rows",
    "steps": "steps of {session} before the newest {most}",
    "compare": "the comparison of policies for {session}, as it would take long",
}


def _told(one: dict[str, Any]) -> str:
    return _SENTENCES[one["what"]].format(**one)
