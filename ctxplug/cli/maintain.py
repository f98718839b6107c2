"""Keep memories tidy: maintain."""

from __future__ import annotations

from typing import Annotated

import typer

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.errors import CtxplugError
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.report import WHAT, MaintenanceReport
from ctxplug.scope import Namespace, namespace_key


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("maintain")(maintain)


def maintain(
    target: options.Target,
    namespace: options.Namespace = None,
    every: Annotated[bool, typer.Option("--all", help="Every namespace of the store.")] = False,
    capacity: Annotated[
        int | None, typer.Option(min=0, help="Keep at most so many memories in a namespace.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Expire, merge, supersede, promote and sum up memories, and drop what there is no room for.

    Goes by the default policy; an agent with a policy of its own calls memory.maintain().

    Example: ctxplug maintain agent.db --all --dry-run
    """
    if every and namespace is not None:
        raise CtxplugError("Give --namespace or --all, not both.")
    policy = MemoryPolicy(capacity=capacity)
    found: list[tuple[Namespace, MaintenanceReport]] = []
    with stores.opened(target, mode="dry" if dry_run else "read") as backend:
        chosen = backend.namespaces() if every else [stores.choose_namespace(backend, namespace)]
        with screen.progress() as progress:
            for one in progress.track(chosen, description="maintaining"):
                memory = AgentMemory.open(
                    backend, namespace=one, counter="estimate", memory_policy=policy
                )
                found.append((one, memory.maintain(dry_run=dry_run)))
    if json:
        data = [{"namespace": namespace_key(n), **report.to_dict()} for n, report in found]
        screen.print_json(data)
    else:
        _print(found, dry_run)


def _print(found: list[tuple[Namespace, MaintenanceReport]], dry_run: bool) -> None:
    console = screen.out()
    if not found:
        console.print("This store is empty.")
        return
    used = [what for what in WHAT if any(report.counts[what] for _, report in found)]
    rows = [
        (screen.safe(namespace_key(name)), *(report.counts[what] for what in used))
        for name, report in found
    ]
    if used:
        columns = ["namespace", *(f"#{what}" for what in used)]
        console.print(screen.table("", columns, rows))
    else:
        console.print("Nothing to do: all is tidy.")
    for name, report in found:
        for note in report.notes:
            console.print(f"[yellow]{screen.safe(namespace_key(name))}: {screen.safe(note)}[/]")
    if dry_run and used:
        console.print("[dim]A dry run: nothing was changed.[/]")
