"""A group of commands of which `list` is meant where none is named."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class ListingGroup(TyperGroup):
    """`ctxplug memories TARGET` lists, as `ctxplug memories list TARGET` does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before arguments that name no command."""
        asks = not args or args[0] in ("-h", "--help") or args[0] in self.commands
        return super().parse_args(ctx, args if asks else ["list", *args])
