"""What the commands print with: tables and JSON on stdout, errors and progress on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ctxplug.printable import is_harmful
from ctxplug.printable import short as short
from ctxplug.printable import visible as visible


def out() -> Console:
    """Return a console on stdout; made anew, so that it follows a redirection."""
    return Console(highlight=False, soft_wrap=False)


def err() -> Console:
    """Return a console on stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print an error: one red sentence on stderr."""
    err().print(f"[bold red]Error:[/] [red]{safe(text)}[/]")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    err().print(f"[yellow]Warning: {safe(text)}[/]")


def safe(text: str) -> str:
    """Return stored text as it may be printed: no control codes, and no markup."""
    return escape(visible(text))


def when(time: datetime) -> str:
    """Return `time` as it is shown: UTC, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M")


def print_json(value: Any) -> None:
    """Print JSON data; what may harm a terminal is printed as JSON's own escape."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if not text.isascii():
        text = "".join(json.dumps(c)[1:-1] if is_harmful(c) else c for c in text)
    typer.echo(text)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = ""
) -> Table:
    """Return a table; a column whose name begins with "#" holds numbers, flushed right."""
    made = Table(
        title=escape(title) or None,
        caption=caption or None,
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=any(columns),
    )
    for name in columns:
        number = name.startswith("#")
        made.add_column(
            name.removeprefix("#"),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=number,
        )
    for row in rows:
        made.add_row(*(cell if isinstance(cell, str | Text) else f"{cell:,}" for cell in row))
    return made


def one_line(markup: str) -> Text:
    """Return a cell of a table that is cut at its end where there is no room, not folded."""
    text = Text.from_markup(markup, overflow="ellipsis")
    text.no_wrap = True
    return text


def counted(count: int, one: str, more: str = "") -> str:
    """Return a number with what it counts: "1 entry", "1,200 entries"; one more has an s."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def progress() -> Progress:
    """Return a progress bar on stderr, which is silent where that is no terminal."""
    console = err()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
