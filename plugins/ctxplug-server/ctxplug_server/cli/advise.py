"""Say what to change in how an agent uses its memory: advise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ctxplug.cli import options, screen, stores
from ctxplug_server.monitoring.advice import Evidence, Reader, Tip, said_of, to_dict
from ctxplug_server.monitoring.advice import advise as advised
from ctxplug_server.monitoring.advice.words import notes_of, words_of

COLOURS = {"high": "red", "warning": "yellow", "info": "dim"}
SHOWN = 4  # ids of a kind that are printed


__all__ = ["advise", "command"]


def command() -> Callable[..., None]:
    """Return the command."""
    return advise


def advise(
    target: options.Target,
    namespace: options.Namespace = None,
    lang: Annotated[str, typer.Option("--lang", help="The language: en or zh.")] = "en",
    reruns: Annotated[
        int,
        typer.Option("--reruns", min=0, max=20, help="Sessions to make again by other policies."),
    ] = 1,
    json: options.Json = False,
) -> None:
    """Say what to change, on which evidence, and what it would save.

    Looks at the newest sessions, the usage and the memories of a namespace; it writes nothing and
    calls no model.

    Example: ctxplug advise agent.db -n acme/alice
    """
    words_of(lang)
    with stores.opened(target, mode="dry") as backend:
        chosen = stores.choose_namespace(backend, namespace)
        evidence = Reader(backend, reruns=reruns).read(chosen)
    tips = advised(evidence)
    if json:
        screen.print_json(to_dict(tips, evidence, lang))
    else:
        _print(screen.out(), tips, evidence, lang)


def _print(console: Console, tips: Sequence[Tip], evidence: Evidence, lang: str) -> None:
    labels = words_of(lang).LABELS
    for tip in tips:
        said = said_of(tip, lang)
        console.print(
            f"[{COLOURS[tip.severity]}]{labels[tip.severity]}[/] [bold]{screen.safe(said.title)}[/]"
        )
        page = _grid()
        page.add_row(" ", "", screen.safe(said.seen))
        for name, text in (("why", said.why), ("change", said.change), ("saving", said.saving)):
            page.add_row("", f"[dim]{labels[name]}[/]", screen.safe(text))
        for name in ("sessions", "steps", "records"):
            ids: tuple[str, ...] = getattr(tip, name)
            if ids:
                left = len(ids) - SHOWN
                more = " " + labels["more"].format(count=left) if left > 0 else ""
                shown = " ".join(ids[:SHOWN])
                page.add_row("", f"[dim]{labels[name]}[/]", f"{screen.safe(shown)}{more}")
        console.print(page)
    if not tips:
        told = labels["nothing"].format(
            namespace=evidence.namespace,
            sessions=len(evidence.sessions),
            records=len(evidence.records),
        )
        console.print(screen.safe(told))
    for note in notes_of(evidence, lang):
        console.print(f"[dim]{screen.safe(note)}[/]")


def _grid() -> Table:
    """Return a grid whose last column is folded: Chinese has no spaces to break a line at."""
    page = Table.grid(padding=(0, 1, 0, 0))
    for overflow in ("ignore", "ignore", "fold"):
        page.add_column(overflow=overflow)
    return page
