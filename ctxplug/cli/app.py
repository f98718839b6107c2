"""The commands together, and the one place where an error becomes a sentence."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from inspect import getdoc
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import ctxplug
from ctxplug.cli import (
    access,
    archive,
    audit,
    care,
    compare,
    defaults,
    demo,
    doctor,
    erase,
    exchange,
    inspect,
    look,
    maintain,
    memories,
    new_plugin,
    offered,
    plugins,
    replay,
    screen,
    session,
    tools,
    trace,
    usage,
)
from ctxplug.errors import CtxplugError


class Commands(TyperGroup):
    """The commands, those of plugins too; errors of ours are one sentence and exit code 1."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of our commands, then those of plugins."""
        own = super().list_commands(ctx)
        return [*own, *(name for name in offered.names() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return our command of that name, or that of a plugin."""
        return super().get_command(ctx, cmd_name) or offered.command(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command of a line, and let it know what the settings say."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None and not {"-h", "--help"} & {*rest}:
            ctx.default_map = {name: defaults.defaults_of(name, command)}
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command, telling warnings and errors on stderr."""
        with warnings.catch_warnings():
            warnings.showwarning = _tell
            try:
                return super().invoke(ctx)
            except CtxplugError as exc:
                screen.complain(str(exc))
                raise typer.Exit(1) from exc


app = typer.Typer(
    cls=Commands,
    name="ctxplug",
    help="Look into an agent's memory, and see what a model would be sent.\n\n"
    "TARGET is the path of a store, such as agent.db, or a spec, such as sqlite:///agent.db.",
    epilog="Start with: ctxplug demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    demo,
    replay,
    compare,
    session,
    look,
    inspect,
    memories,
    care,
    maintain,
    archive,
    erase,
    access,
    audit,
    exchange,
    plugins,
    new_plugin,
    doctor,
    tools,
    usage,
    trace,
):
    group.register(app)


def _let_flow(commands: typer.Typer) -> None:
    """Take the line breaks out of the paragraphs of the help; a terminal has its own width."""
    for command in commands.registered_commands:
        text = command.help or getdoc(command.callback) or ""
        command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    for inner in commands.registered_groups:
        if inner.typer_instance is not None:
            _let_flow(inner.typer_instance)


_let_flow(app)


def run() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a terminal cannot show must not end us
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(message)s")  # warnings of the library, on stderr
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctxplug {ctxplug.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _tell(message: Warning | str, *_: object, **__: object) -> None:
    screen.warn(str(message))
