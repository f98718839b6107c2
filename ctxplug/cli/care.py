"""Care for a store: check, backup, reindex."""

from __future__ import annotations

from typing import Annotated

import typer

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("check")(check)
    app.command("backup")(backup)
    app.command("reindex")(reindex)


def check(target: options.Target, json: options.Json = False) -> None:
    """Examine a store from end to end; the exit code is 1 if something is wrong with it.

    Example: ctxplug check agent.db
    """
    with stores.opened(target) as backend:
        report = backend.check()
    if json:
        data = {"ok": report.ok, "problems": list(report.problems), "counts": dict(report.counts)}
        screen.print_json(data)
    else:
        counts = ", ".join(f"{name} {n:,}" for name, n in report.counts.items())
        console = screen.out()
        verdict = "[green]sound[/]" if report.ok else "[bold red]damaged[/]"
        console.print(f"{screen.safe(target)} is {verdict}: {screen.safe(counts)}.")
        for problem in report.problems:
            console.print(f"  [red]{screen.safe(problem)}[/]")
        if not report.ok:
            console.print("Restore a backup, or export what is still readable: ctxplug export.")
    if not report.ok:
        raise typer.Exit(1)


def backup(
    source: options.Target,
    destination: Annotated[str, typer.Argument(metavar="DEST", help="A new file.")],
) -> None:
    """Copy a store while it is in use. The copy is checked, and never overwrites a file.

    Example: ctxplug backup agent.db agent-backup.db
    """
    with stores.opened(source) as backend:
        backend.backup(destination)
    names = screen.safe(source), screen.safe(destination)
    screen.out().print("Copied {} to {}, and checked the copy.".format(*names))


def reindex(
    target: options.Target,
    embedder: Annotated[
        str, typer.Option("--embedder", "-e", help="A registered one, such as wordllama.")
    ],
    namespace: options.Namespace = None,
) -> None:
    """Make the vectors of a namespace anew, by another embedder or for what has none yet.

    Example: ctxplug reindex agent.db --embedder wordllama
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        # Not closed, as it does not own the store.
        memory = AgentMemory.open(backend, namespace=chosen)
        with screen.progress() as bar:
            task = bar.add_task("vectors", total=None)
            made = memory.reindex(
                embedder, lambda done, total: bar.update(task, completed=done, total=total)
            )
    name = screen.safe(embedder)
    screen.out().print(f"Made {made:,} vectors by {name} for {screen.safe('/'.join(chosen))}.")
