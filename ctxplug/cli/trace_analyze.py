"""Find out why a conversation failed, and what it spends for nothing: trace analyze."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ctxplug.cli import options, screen, stores
from ctxplug.errors import InvalidValueError
from ctxplug.tracing.analysis import KINDS, Analysis, Finding

COLOURS = {"high": "red", "warning": "yellow", "info": "dim"}
STEPS = 5  # of one finding that are printed
MOST = 5  # findings of one kind that are printed unless everything is asked for


def analyze(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Only such as lost_value or tool_error; repeatable."),
    ] = None,
    causes: Annotated[
        bool, typer.Option("--causes", help="Only what may have made it fail.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if anything may have made it fail.")
    ] = False,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """Say what went wrong in a conversation and why, with the evidence and what to do.

    Values that a call needed and that were cut from its window, errors, loops, slow steps; what
    takes the tokens and the money, recalls and memories of no use, lost prompt caches.

    Example: ctxplug trace analyze agent.db -s trip --causes --check
    """
    unknown = sorted(set(kind or ()) - set(KINDS))
    if unknown:
        raise InvalidValueError(
            f"There are no findings of kind {unknown[0]!r}; the kinds are {', '.join(KINDS)}.",
            path="kind",
        )
    with stores.memory_of(target, namespace, session) as memory:
        analysis = memory.trace.analyze()
    found = analysis.causes if causes else analysis.findings
    found = tuple(finding for finding in found if not kind or finding.kind in kind)
    if json:
        screen.print_json(Analysis(analysis.session, found, analysis.notes).to_dict())
    else:
        _print(screen.out(), analysis, found, full)
    if check and analysis.causes:
        raise typer.Exit(1)


def _print(console: Console, analysis: Analysis, found: Sequence[Finding], full: bool) -> None:
    shown: dict[str, int] = {}
    left = 0
    for finding in found:
        shown[finding.kind] = shown.get(finding.kind, 0) + 1
        if shown[finding.kind] > MOST and not full:
            left += 1
            continue
        colour = COLOURS[finding.severity]
        console.print(f"[{colour}]{finding.severity}[/] [bold]{finding.kind}[/]")
        page = Table.grid(padding=(0, 1, 0, 0))
        page.add_row(" ", "", screen.safe(finding.summary))
        page.add_row("", "[dim]why[/]", screen.safe(finding.why))
        page.add_row("", "[dim]do[/]", screen.safe(finding.suggestion))
        if finding.steps:
            more = f" and {len(finding.steps) - STEPS} more" if len(finding.steps) > STEPS else ""
            page.add_row(
                "", "[dim]steps[/]", f"{' '.join(id[:8] for id in finding.steps[:STEPS])}{more}"
            )
        console.print(page)
    if not found:
        console.print(f"Nothing stands out in {screen.safe(analysis.session)}.")
    if any(finding.steps for finding in found):
        console.print("[dim]ctxplug trace show TARGET STEP shows one of the steps.[/]")
    if left:
        console.print(f"[dim]{left} more of kinds that are shown; --full shows all.[/]")
    for note in analysis.notes:
        console.print(f"[dim]{screen.safe(note)}[/]")
