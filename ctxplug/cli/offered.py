"""Commands that plugins offer: found by name, and loaded when they are asked for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import typer
from typer.main import get_command

from ctxplug.cli import screen
from ctxplug.errors import CtxplugError, PluginError, PluginWarning
from ctxplug.plugins import installed
from ctxplug.registry import Registry, distribution_of

KIND = "command"


def names() -> Sequence[str]:
    """Return the names of the commands that plugins offer, sorted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # `ctxplug plugins` tells what failed
        return Registry(installed()).names(KIND)


def command(name: str) -> Any:
    """Return the command `name` of a plugin, ready to run; None if no plugin offers it.

    One that cannot be loaded is a command that says why, so that the others still work; so is
    one of a plugin of ours that is not here.
    """
    if name not in names():
        return _absent(name)
    try:
        found = get_command(_app(name))
    except CtxplugError as exc:
        found = get_command(_broken(str(exc)))
    found.name = name
    return found


def _absent(name: str) -> Any:
    package = distribution_of(KIND, name)
    if package is None:
        return None
    found = get_command(
        _broken(
            f"The plugin {package} offers the command {name!r}, and it is not installed here or"
            f" not loaded: pip install {package}. `ctxplug plugins` lists those that are."
        )
    )
    found.name = name
    return found


def _app(name: str) -> typer.Typer:
    made = Registry(installed()).resolve(KIND, name)
    if isinstance(made, typer.Typer):
        return made
    if not callable(made):
        raise PluginError(
            f"The command {name!r} is a {type(made).__name__}; a plugin's factory returns an"
            " annotated function or a typer.Typer.",
            plugin=installed().components(KIND)[name].plugin,
        )
    app = typer.Typer(add_completion=False)
    app.command(name)(made)
    return app


def _broken(reason: str) -> typer.Typer:
    app = typer.Typer(add_completion=False)

    @app.command(
        help=f"Cannot be loaded: {screen.safe(reason)}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def tell(ctx: typer.Context) -> None:
        raise CtxplugError(reason)

    return app
