"""What is installed: plugins, their components, and why one failed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import typer

from ctxplug.cli import options, screen
from ctxplug.errors import PluginWarning
from ctxplug.plugins import PluginInfo, installed

_COLOURS = {"loaded": "green", "blocked": "yellow", "failed": "bold red"}


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("plugins")(plugins)


def plugins(json: options.Json = False) -> None:
    """List the plugins with what they add, and the reason where one failed.

    CTXPLUG_PLUGINS=a,b loads only these, CTXPLUG_PLUGINS="" none but the built-ins.

    Example: ctxplug plugins --json
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the table says it
        found = installed().list()
    if json:
        screen.print_json([_data(info) for info in found])
        return
    rows = [
        (_who(info), f"[{_COLOURS[info.status]}]{info.status}[/]", _what(info)) for info in found
    ]
    screen.out().print(screen.table("", ["plugin", "status", "components and hooks"], rows))


def _data(info: PluginInfo) -> dict[str, Any]:
    components = {kind: list(names) for kind, names in info.components.items()}
    return asdict(info) | {"components": components}


def _who(info: PluginInfo) -> str:
    origin = f"{info.distribution} {info.version}" if info.distribution else "built in"
    return f"{screen.safe(info.name)}\n[dim]{screen.safe(origin)}[/]"


def _what(info: PluginInfo) -> str:
    return "\n".join(_facts(info)) or "[dim]nothing[/]"


def _facts(info: PluginInfo) -> Iterator[str]:
    for kind, names in info.components.items():
        yield f"{kind}: {screen.safe(', '.join(names))}"
    others = [hook for hook in info.hooks if not hook.startswith("register_")]
    if others:
        yield f"hooks: {', '.join(others)}"
    for error in info.errors:
        yield f"[red]{screen.safe(error)}[/]"
