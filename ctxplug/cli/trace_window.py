"""How a window that was made again is shown."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from ctxplug.cli import screen
from ctxplug.cli.talk import printed


def window_data(window: Any) -> dict[str, Any]:
    """Return a window that was made again as JSON data."""
    return {
        "exact": window.exact,
        "hash": window.hash,
        "expected": window.expected,
        "notes": list(window.notes),
        "tokens": window.window.tokens,
        "messages": [message.to_dict() for message in window.window.messages],
        "report": window.window.report.to_dict(),
    }


def print_window(console: Console, window: Any, full: bool) -> None:
    """Print a window that was made again: whether it is exact, and what it says."""
    if window.exact:
        console.print("[green]This is what was sent[/]: the hash is the one that was recorded.")
    else:
        console.print("[bold red]This is not exactly what was sent[/]: the hash is another one.")
    for note in window.notes:
        console.print(f"[yellow]{screen.safe(note)}[/]")
    for message in window.window.messages:
        console.print(printed(message, full=full))
    console.rule("report", align="left", style="dim")
    console.print(screen.safe(str(window.window.report)))
