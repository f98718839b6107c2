"""The memories of a namespace: list, show, export, import; changes are in `memory_changes`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import memory_changes, options, screen, stores
from ctxplug.cli.exchange import write_lines, write_new
from ctxplug.cli.listing_group import ListingGroup
from ctxplug.cli.memory_page import as_json, page
from ctxplug.exchange import examine_memories, import_memories, memory_lines
from ctxplug.plugins import installed
from ctxplug.recall.text import folded
from ctxplug.records import MemoryRecord
from ctxplug.scope import namespace_key, to_namespace

LISTED = 40  # characters at least before a text of the list is cut


class Tier(StrEnum):
    """A tier, as an option."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


class Trust(StrEnum):
    """A level of trust, as an option."""

    USER = "user"
    MODEL = "model"
    TOOL = "tool"
    DOCUMENT = "document"


class Sort(StrEnum):
    """By what a list is sorted."""

    NEWEST = "newest"
    OLDEST = "oldest"
    IMPORTANCE = "importance"
    USES = "uses"
    USED = "used"


_KEYS: dict[Sort, Callable[[MemoryRecord], Any]] = {
    Sort.NEWEST: lambda r: -r.created_at.timestamp(),
    Sort.OLDEST: lambda r: r.created_at.timestamp(),
    Sort.IMPORTANCE: lambda r: -r.importance,
    Sort.USES: lambda r: -r.access_count,
    Sort.USED: lambda r: -(r.last_accessed or r.created_at).timestamp(),
}


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    group = typer.Typer(
        cls=ListingGroup,
        name="memories",
        help="List memories, show, change, forget, export and import them.\n\n"
        "[bold]ctxplug memories TARGET[/] lists.\n\nExample: ctxplug memories agent.db --kind"
        " preference",
        no_args_is_help=True,
        rich_markup_mode="rich",
    )
    group.command("list")(list_)
    group.command("show")(show)
    memory_changes.register(group)
    group.command("export")(export)
    group.command("import")(import_)
    app.add_typer(group)


Tiers = Annotated[list[Tier] | None, typer.Option("--tier", help="Only this tier; repeatable.")]
Origins = Annotated[
    list[str] | None,
    typer.Option("--origin", help="Only from user, tool or tool:search, ...; repeatable."),
]
Trusts = Annotated[
    list[Trust] | None, typer.Option("--trust", help="Only of this trust; repeatable.")
]
Least = Annotated[
    float | None, typer.Option("--min-importance", min=0, max=1, help="At least this important.")
]
Most = Annotated[
    float | None, typer.Option("--max-importance", min=0, max=1, help="At most this important.")
]
Text = Annotated[
    str | None, typer.Option("--text", "-t", help="Only with this in it; case does not count.")
]
All = Annotated[bool, typer.Option("--all", help="With what was superseded.")]


def list_(
    target: options.Target,
    namespace: options.Namespace = None,
    kind: options.Kinds = None,
    tier: Tiers = None,
    tag: options.Tags = None,
    origin: Origins = None,
    trust: Trusts = None,
    session: options.OneSession = None,
    text: Text = None,
    least: Least = None,
    most: Most = None,
    since: options.Since = None,
    until: options.Until = None,
    as_of: options.AsOf = None,
    everything: All = False,
    sort: Annotated[Sort, typer.Option("--sort", help="What comes first.")] = Sort.NEWEST,
    k: options.Limit = 20,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """List memories, newest first; the same as [bold]ctxplug memories TARGET[/].

    Example: ctxplug memories agent.db --kind preference --sort importance
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        found = AgentMemory.open(backend, namespace=chosen).memories(
            kinds=kind or None,
            tiers=[one.value for one in tier] if tier else None,
            tags=tag or None,
            session=session,
            since=since,
            until=until,
            valid_at=as_of,
            include_superseded=everything,
        )
    found = [r for r in found if _fits(r, origin, trust, text, least, most)]
    found.sort(key=_KEYS[sort])
    if json:
        screen.print_json([as_json(record) for record in found[:k]])
    elif not found:
        screen.out().print(f"No memory of {screen.safe(namespace_key(chosen))} is like that.")
    else:
        _print_list(found, k, full)


def show(
    target: options.Target,
    id: memory_changes.Id,
    namespace: options.Namespace = None,
    json: options.Json = False,
) -> None:
    """Show one memory in full: where it came from, and what it was made of.

    Example: ctxplug memories show agent.db 3f2a
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        record = memory_changes.find(backend, chosen, id)
        if json:
            screen.print_json(as_json(record))
        else:
            screen.out().print(page(backend, record), soft_wrap=False)


def export(
    target: options.Target,
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="A new file; - is stdout.")] = "-",
    namespace: options.Namespace = None,
    kind: options.Kinds = None,
    tag: options.Tags = None,
    origin: Origins = None,
    text: Text = None,
) -> None:
    """Write memories as JSONL, one a line, superseded ones included; messages stay.

    Example: ctxplug memories export agent.db memories.jsonl --kind preference
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        memory = AgentMemory.open(backend, namespace=chosen)
        found = memory.memories(kinds=kind or None, tags=tag or None, include_superseded=True)
        kept = (r for r in reversed(found) if _fits(r, origin, None, text, None, None))
        if file == "-":
            write_lines(memory_lines(kept), sys.stdout.buffer)
            return
        count = write_new(memory_lines(kept), file)
    screen.out().print(f"Wrote {count:,} memories to {screen.safe(file)}.")


def import_(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A store's path or spec; made if it is new.")
    ],
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSONL, one memory a line.")],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Whose they become. Default: as the lines say."),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option("--origin", help="Whose word they are, instead of what the lines say."),
    ] = None,
    skip: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Import the rest when lines are damaged.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Read memories from JSONL; what is there already is left as it is.

    A line needs a "content"; it may say kind, importance, tags, origin and the rest.

    Example: ctxplug memories import agent.db memories.jsonl --namespace acme/alice
    """
    labels = None if namespace is None else to_namespace(namespace)
    plugins = installed()
    # Before a new store is made for it.
    examine_memories(file, plugins, namespace=labels, origin=origin, skip_faults=skip)
    with stores.opened(target, mode="create") as backend:
        done = import_memories(
            file, backend, plugins, namespace=labels, origin=origin, skip_faults=skip
        )
    if json:
        screen.print_json(asdict(done))
        return
    for one in done.faults:
        screen.warn(f"Line {one.line} was left out: {one.reason}")
    present = len(done.present)
    already = f" {present:,} were there already, and stay as they are." if present else ""
    screen.out().print(f"Imported {_count(done.imported)} into {screen.safe(target)}.{already}")


def _fits(
    record: MemoryRecord,
    origin: Iterable[str] | None,
    trust: Iterable[str] | None,
    text: str | None,
    least: float | None,
    most: float | None,
) -> bool:
    return (
        (not origin or bool({record.origin, record.origin.partition(":")[0]} & set(origin)))
        and (not trust or record.trust in set(trust))
        and (text is None or folded(text) in folded(record.content))
        and (0 if least is None else least) <= record.importance <= (1 if most is None else most)
    )


def _print_list(found: list[MemoryRecord], k: int, full: bool) -> None:
    console = screen.out()
    shown = found[:k]
    short = memory_changes.short_ids([record.id for record in found])
    width = max(LISTED, 3 * (console.width - 48))
    rows = [
        (
            f"{screen.safe(short[record.id])}\n[dim]{record.created_at:%Y-%m-%d}[/]",
            f"{screen.safe(record.kind)}\n[dim]{record.tier}[/]",
            f"{record.importance:.2f}",
            f"{screen.safe(record.origin)}\n[dim]{screen.safe(record.made_by.split(':')[0])}[/]",
            escape(screen.visible(record.content) if full else screen.short(record.content, width)),
        )
        for record in shown
    ]
    count = f"{len(shown):,} of {_count(len(found))}" if len(found) > k else _count(len(found))
    columns = ["id, made", "kind, tier", "#imp.", "from, by", "text"]
    console.print(screen.table("", columns, rows))
    console.print(f"[dim]{count}. ctxplug memories show TARGET ID shows one in full.[/]")


def _count(number: int) -> str:
    return "1 memory" if number == 1 else f"{number:,} memories"
