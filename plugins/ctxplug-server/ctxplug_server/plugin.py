"""The plugin's door: the commands `serve`, `keys`, `report` and `advise`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxplug import hookimpl

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register

__all__ = ["register_commands"]


@hookimpl
def register_commands(register: Register) -> None:
    """Offer the commands; what they need is imported when one of them runs."""
    register("serve", "ctxplug_server.cli.serve:command")
    register("keys", "ctxplug_server.cli.keys:commands")
    register("report", "ctxplug_server.cli.report:command")
    register("advise", "ctxplug_server.cli.advise:command")
