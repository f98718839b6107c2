"""`ctxplug doctor`: whether all that ctxplug runs on is well, and what to do where it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ctxplug.cli import options, screen
from ctxplug.doctor import Finding, Level, examine

_MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "problem": "[bold red]problem[/]"}
_WIDTHS = (12, 8)  # of the area and the mark: what is said has the rest


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("doctor")(doctor)


def doctor(
    store: Annotated[
        str | None,
        typer.Argument(metavar="STORE", help="A store to look at too. Default: the settings'."),
    ] = None,
    backups: Annotated[
        str | None, typer.Option("--backups", metavar="FOLDER", help="How old the newest one is.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds that a plugin may take to load.")
    ] = 20.0,
    tracebacks: Annotated[
        bool, typer.Option("--tracebacks", help="Show where a plugin failed.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Look at versions, plugins, encodings, settings and a store, and say what to do.

    Nothing is changed. The exit code is 1 if something does not work or endangers data.

    Example: ctxplug doctor agent.db --backups backups
    """
    found: list[Finding] = []
    with screen.progress() as bar:
        task = bar.add_task("looking", total=None)
        for finding in examine(store, backups=backups, seconds=timeout):
            bar.update(task, description=finding.area)
            found.append(finding)
    levels = Counter(finding.level for finding in found)
    if json:
        data = {"ok": not levels["problem"], "findings": [asdict(finding) for finding in found]}
        screen.print_json(data)
    else:
        _print(screen.out(), found, tracebacks)
        screen.out().print(f"{_verdict(levels)}.")
    if levels["problem"]:
        raise typer.Exit(1)


def _print(console: Console, found: list[Finding], tracebacks: bool) -> None:
    page = Table.grid(padding=(0, 2, 0, 0))
    for width in _WIDTHS:
        page.add_column(width=width, no_wrap=True)
    page.add_column(overflow="fold")
    last = ""
    for finding in found:
        area = "" if finding.area == last else finding.area
        last = finding.area
        page.add_row(area, _MARKS[finding.level], "\n".join(_lines(finding, tracebacks)))
    console.print(page)


def _lines(finding: Finding, tracebacks: bool) -> Iterator[str]:
    yield screen.safe(finding.said)
    if finding.advice:
        yield f"[bold]{screen.safe(finding.advice)}[/]"
    if finding.detail and tracebacks:
        yield f"[dim]{screen.safe(finding.detail.rstrip())}[/]"
    elif finding.detail:
        yield "[dim]--tracebacks shows where.[/]"


def _verdict(levels: Counter[Level]) -> str:
    if not levels["problem"] and not levels["warning"]:
        return "All is well"
    problems, warnings = levels["problem"], levels["warning"]
    return f"{screen.counted(problems, 'problem')}, {screen.counted(warnings, 'warning')}"
