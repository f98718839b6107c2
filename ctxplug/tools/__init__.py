"""Tools: what an agent can do, who may let it, and what came of it.

The names are loaded at first use: an agent without tools does not pay for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxplug.tools.policy import ToolPolicy
    from ctxplug.tools.registry import ToolRegistry
    from ctxplug.tools.rules import Decision, PendingCall, ToolRule
    from ctxplug.tools.runs import ToolRun
    from ctxplug.tools.tool import Tool

__all__ = ["Decision", "PendingCall", "Tool", "ToolPolicy", "ToolRegistry", "ToolRule", "ToolRun"]

_PLACES = {
    "Decision": "rules",
    "PendingCall": "rules",
    "Tool": "tool",
    "ToolPolicy": "policy",
    "ToolRegistry": "registry",
    "ToolRule": "rules",
    "ToolRun": "runs",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
