"""Look into a store: show, context, recall, stats."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.markup import escape

from ctxplug.agent_memory import AgentMemory
from ctxplug.cli import options, screen, stores
from ctxplug.cli.found import print_found
from ctxplug.cli.memory_page import as_json
from ctxplug.cli.session_page import list_sessions
from ctxplug.cli.talk import printed
from ctxplug.context.window import ContextWindow
from ctxplug.messages import Message
from ctxplug.scope import Namespace, namespace_key
from ctxplug.storage import Backend, Stream, conversations


class Format(StrEnum):
    """How a window is printed."""

    TEXT = "text"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("show")(show)
    app.command("chat-log", help="The same as [bold]show[/].")(show)
    app.command("context")(context)
    app.command("recall")(recall)
    app.command("stats")(stats)


def show(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    last: Annotated[
        int, typer.Option("--last", "-l", min=0, help="How many messages, the newest; 0: all.")
    ] = 20,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """Show a conversation as it was recorded, or list the conversations if there are many.

    Example: ctxplug show agent.db -n acme/alice -s trip --last 5
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        if session is None and len(conversations(backend, chosen)) > 1:
            list_sessions(backend, [chosen], json)
            return
        name = stores.choose_session(backend, chosen, session)
        stream = Stream(chosen, name)
        entries = backend.read(stream, kinds=["message"], newest_first=True, limit=last or None)
        if json:
            data = [{"version": e.version, **e.body} for e in reversed(entries)]
            screen.print_json(data)
            return
        console = screen.out()
        if entries and entries[-1].version > 1:
            console.print("[dim]Earlier ones are not shown; --last 0 shows all.[/]")
        for entry in reversed(entries):
            message = Message.from_dict(entry.body["message"])
            console.print(printed(message, entry.version, full=full))


def context(
    target: options.Target,
    namespace: options.Namespace = None,
    session: options.Session = None,
    budget: options.Budget = 8_000,
    query: Annotated[
        str | None,
        typer.Option("--query", "-q", help="Recall for this, as data in the user's turn."),
    ] = None,
    model: options.Model = None,
    format: Annotated[
        Format, typer.Option("--format", "-f", help="Readable, or a provider's request fields.")
    ] = Format.TEXT,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """Show what a model would be sent now, and why.

    Example: ctxplug context agent.db --budget 4000 --format openai
    """
    with stores.memory_of(target, namespace, session, budget=budget, model=model) as memory:
        window = memory.context(query)
    if format is not Format.TEXT:
        screen.print_json(window.to_openai() if format is Format.OPENAI else window.to_anthropic())
    elif json:
        screen.print_json(
            {
                "tokens": window.tokens,
                "messages": [message.to_dict() for message in window.messages],
                "report": window.report.to_dict(),
            }
        )
    else:
        _print_window(window, full)


def recall(
    target: options.Target,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in any words.")],
    namespace: options.Namespace = None,
    k: options.Limit = 10,
    kind: options.Kinds = None,
    tag: options.Tags = None,
    since: options.Since = None,
    until: options.Until = None,
    as_of: options.AsOf = None,
    session: options.OneSession = None,
    embedder: options.Embedder = None,
    why: Annotated[bool, typer.Option("--why", help="Show the parts of each score.")] = False,
    full: options.Full = False,
    json: options.Json = False,
) -> None:
    """Find memories and messages, best first.

    Example: ctxplug recall agent.db "which seat does she like" --k 3 --why
    """
    with stores.opened(target) as backend:
        chosen = stores.choose_namespace(backend, namespace)
        # Not closed, as it does not own the store: closing would count what was recalled.
        found = AgentMemory.open(backend, namespace=chosen, embedder=embedder).recall(
            query,
            k=k,
            kinds=kind or None,
            tags=tag or None,
            since=since,
            until=until,
            valid_at=as_of,
            session=session,
        )
    if json:
        rows = ((one.score, dict(one.why), as_json(one.record)) for one in found)
        screen.print_json([dict(zip(("score", "why", "record"), r, strict=True)) for r in rows])
    elif found:
        print_found(found, full=full, why=why)
    else:
        screen.out().print(f"Nothing in {screen.safe(namespace_key(chosen))} matches.")


def stats(
    target: options.Target, namespace: options.Namespace = None, json: options.Json = False
) -> None:
    """Count what a store holds, namespace by namespace.

    Example: ctxplug stats agent.db --namespace acme/alice
    """
    with stores.opened(target) as backend:
        chosen = backend.namespaces()
        if namespace is not None:
            chosen = [stores.choose_namespace(backend, namespace)]
        counts = [_counts(backend, one) for one in chosen]
    if json:
        screen.print_json(counts)
        return
    columns = ["namespace", "#sessions", "#log entries", "last"]
    rows = [
        (
            screen.safe(c["namespace"]),
            c["sessions"],
            c["entries"],
            (c["last"] or "")[:16].replace("T", " "),
        )
        for c in counts
    ]
    size = f", {os.path.getsize(target):,} bytes" if os.path.isfile(target) else ""
    screen.out().print(screen.table("", columns, rows))
    _print_tiers(counts)
    screen.out().print(f"[dim]{screen.safe(target)}{size}.[/]")


def _print_tiers(counts: list[dict[str, Any]]) -> None:
    """Print a line for each tier that holds memories."""
    rows = [
        (
            screen.safe(one["namespace"]),
            name,
            tier["count"],
            tier["tokens"],
            f"{tier['average_importance']:.2f}",
            *((tier[end] or "")[:16].replace("T", " ") for end in ("oldest", "newest")),
        )
        for one in counts
        for name, tier in reversed(one["tiers"].items())
        if tier["count"]
    ]
    if not rows:
        screen.out().print("[dim]No memories yet.[/]")
        return
    columns = ["namespace", "tier", "#memories", "#tokens", "#importance", "oldest", "newest"]
    screen.out().print(screen.table("", columns, rows))


def _counts(backend: Backend, namespace: Namespace) -> dict[str, Any]:
    infos = conversations(backend, namespace)
    held = AgentMemory.open(backend, namespace=namespace).stats()
    return {
        "namespace": namespace_key(namespace),
        "sessions": len(infos),
        "entries": sum(info.version - info.forked for info in infos),
        "memories": dict(held.memories),
        "tiers": {tier: one.to_dict() for tier, one in held.tiers.items()},
        "last": max((info.updated_at.isoformat() for info in infos), default=None),
    }


def _print_window(window: ContextWindow, full: bool) -> None:
    console = screen.out()
    for message in window.messages:
        console.print(printed(message, full=full))
    console.rule("report", align="left", style="dim")
    console.print(escape(screen.visible(str(window.report))))
