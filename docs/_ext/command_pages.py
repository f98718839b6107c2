"""The reference of the `ctxplug` command, from the help that it prints itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from ctxplug.cli.app import app

_MARKUP = re.compile(r"\[(bold|/|/bold)\]")
_KINDS = {"int": "number", "float": "number", "str": "text", "bool": "flag"}
_EXAMPLE = re.compile(r"\s*Examples?: (.*)", re.DOTALL)


def command_pages() -> str:
    """Return every command, its arguments and options, as Markdown."""
    root: Any = typer.main.get_command(app)
    context = typer.Context(root, info_name="ctxplug")
    lines = [_table(root)]
    for name in root.list_commands(context):
        lines += _command(root.get_command(context, name), f"ctxplug {name}", depth=2)
    return "\n\n".join(filter(None, lines))


def _command(command: Any, path: str, depth: int) -> Iterator[str]:
    yield f"({path.replace(' ', '-')})=\n{'#' * depth} {path}"
    yield f"```text\n{_usage(command, path)}\n```"
    yield from _help(command.help or "")
    yield _table(command)
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _command(inner, f"{path} {name}", depth + 1)


def _help(text: str) -> Iterator[str]:
    for paragraph in _MARKUP.sub("**", text).replace("\b", "").split("\n\n"):
        example = _EXAMPLE.fullmatch(paragraph)
        if example:
            yield f"```sh\n{' '.join(example[1].split())}\n```"
        elif paragraph.strip():
            yield paragraph.strip()


def _usage(command: Any, path: str) -> str:
    parts = [path, "[OPTIONS]"] if any(map(_is_option, command.params)) else [path]
    for parameter in command.params:
        if not _is_option(parameter):
            name = _metavar(parameter) + ("..." if parameter.nargs == -1 else "")
            parts.append(name if parameter.required else f"[{name}]")
    if getattr(command, "commands", None):
        parts += ["COMMAND", "[ARGUMENTS]"]
    return " ".join(parts)


def _table(command: Any) -> str:
    rows = [_row(p) for p in command.params if not p.hidden]
    if not rows:
        return ""
    return "\n".join(["| argument or option | value | what it does |", "|---|---|---|", *rows])


def _row(parameter: Any) -> str:
    if _is_option(parameter):
        named = [*parameter.opts, *parameter.secondary_opts]
        names = ", ".join(f"`{name}`" for name in sorted(named, key=lambda n: n.count("-"))[::-1])
    else:
        names = f"`{_metavar(parameter)}`"
    says = [parameter.help or ""]
    if parameter.required:
        says.append("Required.")
    elif isinstance(parameter.default, str | int | float) and parameter.default not in ("", False):
        says.append(f"Default: `{parameter.default}`.")
    if parameter.envvar:
        given = parameter.envvar if isinstance(parameter.envvar, list) else [parameter.envvar]
        says.append(f"Environment: {', '.join(f'`{name}`' for name in given)}.")
    text = " ".join(filter(None, says)).replace("|", "\\|").replace("\n", " ")
    return f"| {names} | {_kind(parameter)} | {_MARKUP.sub('**', text)} |"


def _kind(parameter: Any) -> str:
    """Return what a value is: a flag, a type or its choices."""
    if getattr(parameter, "is_flag", False):
        return "flag"
    shown = parameter.display_type(None).strip("<>").removesuffix(" range")
    repeatable = shown.startswith("list[")
    shown = shown.removeprefix("list[").removesuffix("]")
    choices = " \\| ".join(f"`{one}`" for one in shown.split("|"))
    kind = choices if "|" in shown else _KINDS.get(shown, shown)
    return f"{kind}, repeatable" if repeatable else kind


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper()).strip("{}[]")


def _is_option(parameter: Any) -> bool:
    return str(parameter.param_type_name) == "option"
