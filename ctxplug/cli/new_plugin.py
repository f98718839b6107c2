"""Begin a plugin: a distribution that installs and passes its tests at once."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Sequence
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctxplug.cli import screen
from ctxplug.errors import InvalidValueError, PluginWarning
from ctxplug.plugins import BUILTIN, GROUP, installed
from ctxplug.scaffold import KINDS, Names, names_of, write_plugin

if TYPE_CHECKING:
    ChosenKind = StrEnum
else:  # typer lists the choices of an enumeration in the help
    ChosenKind = StrEnum("ChosenKind", {kind: kind for kind in KINDS})


def register(app: typer.Typer) -> None:
    """Add this group's commands to `app`."""
    app.command("new-plugin")(new_plugin)


def new_plugin(
    name: Annotated[
        str, typer.Argument(help="What it does, such as support; it becomes ctxplug-support.")
    ],
    kind: Annotated[ChosenKind, typer.Option("--kind", help="What it adds.")],
    into: Annotated[
        Path, typer.Option("--into", help="The folder in which the new folder is made.")
    ] = Path("."),
    author: Annotated[
        str, typer.Option("--author", help="Who stands in its licence. Default: its authors.")
    ] = "",
) -> None:
    """Write a new plugin: one small component that works, its tests, and all that publishing needs.

    Example: ctxplug new-plugin support --kind importance-scorer
    """
    names = names_of(name)
    _refuse_taken(names, kind.value)
    if "\n" in author or not author.isprintable():
        raise InvalidValueError(
            f"An author is one line of text, not {author!r:.80}.", path="author"
        )
    folder = into / names.distribution
    written = write_plugin(names, kind.value, folder, author=author)
    screen.out().print("\n".join(_told(name, names, folder, written)), soft_wrap=True)


def _refuse_taken(names: Names, kind: str) -> None:
    """Raise InvalidValueError where a plugin, or a component of the kind, has the name already."""
    taken = {point.name: point.dist for point in entry_points(group=GROUP)}
    if names.name in taken or names.name == BUILTIN:
        owner = taken.get(names.name)
        raise InvalidValueError(
            f"A plugin named {names.name!r} is installed already"
            f"{f' ({owner.name} {owner.version})' if owner else ''}; choose another name.",
            path="name",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # a broken neighbour is not asked about
        extension = KINDS[kind].extension
        found = installed().components(extension) if extension else {}
    for name in {names.name, names.word} & set(found):
        raise InvalidValueError(
            f"The {extension} {name!r} exists already, in the plugin {found[name].plugin!r}; two of"
            " one name could not be told apart. Choose another name.",
            path="name",
        )


def _told(given: str, names: Names, folder: Path, written: Sequence[Path]) -> Sequence[str]:
    """Return what was written, what it is called, and what to type next."""
    shown = screen.safe(str(folder))
    files = [f"  {screen.safe(path.relative_to(folder).as_posix())}" for path in written]
    prefixed = "" if given == names.distribution else f" (from {screen.safe(given)!r})"
    return [
        f"Wrote {shown}{prefixed}:",
        *files,
        "",
        "Next:",
        f"  cd {screen.safe(shlex.quote(str(folder)))}",
        "  pip install -e . --group test",
        "  pytest",
        "  ctxplug plugins",
    ]
