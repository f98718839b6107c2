"""What tools an agent could have: those that plugins offer, and the memory tools."""

from __future__ import annotations

from typing import Any

import typer

from ctxplug import AgentMemory
from ctxplug.cli import options, screen
from ctxplug.errors import PluginError, ToolError
from ctxplug.tools import Tool, ToolRegistry


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("tools")(tools)


def tools(json: options.Json = False) -> None:
    """List the tools that an agent can be given by name, with what a model is told of them.

    Those that plugins offer are on in every memory; `memory.tools.add_memory_tools()` adds
    the memory tools.

    Example: ctxplug tools --json
    """
    with AgentMemory.open("memory:", namespace="ctxplug") as memory:
        found = [_facts(memory.tools, name) for name in memory.tools.names()]
    if json:
        screen.print_json(found)
        return
    rows = [(screen.safe(one["name"]), screen.safe(one["source"]), _what(one)) for one in found]
    screen.out().print(screen.table("", ["tool", "from", "what it does"], rows))


def _facts(registry: ToolRegistry, name: str) -> dict[str, Any]:
    try:
        tool = registry.get(name)
    except (PluginError, ToolError) as exc:
        return {"name": name, "source": "a plugin", "error": str(exc)}
    return _data(tool)


def _data(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "source": tool.source,
        "version": tool.version,
        "description": tool.description,
        "schema": tool.schema,
        "side_effects": tool.side_effects,
        "idempotent": tool.idempotent,
    }


def _what(one: dict[str, Any]) -> str:
    if "error" in one:
        return f"[red]{screen.safe(one['error'])}[/]"
    needed = one["schema"].get("required", ())
    taken = [
        key if key in needed else f"[dim]{screen.safe(key)}[/]"
        for key in one["schema"].get("properties", {})
    ]
    text = one["description"].partition("\n")[0]
    return f"{screen.safe(text)}\n({', '.join(taken)})"
