"""ctxplug over HTTP: a server, a viewer, a report, monitoring, and a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxplug_server.app import create_app as create_app
    from ctxplug_server.client import RemoteMemory as RemoteMemory
    from ctxplug_server.settings import ServerSettings as ServerSettings

__version__ = "0.1.0"
__all__ = ["RemoteMemory", "ServerSettings", "__version__", "create_app"]

_PLACES = {  # imported at first use: a client needs no server, and commands start quickly
    "RemoteMemory": "ctxplug_server.client",
    "ServerSettings": "ctxplug_server.settings",
    "create_app": "ctxplug_server.app",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
