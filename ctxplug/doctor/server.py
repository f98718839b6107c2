"""Server: the settings of `ctxplug serve`, which only the server itself can judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug.doctor.finding import Finding, ok, problem, warning
from ctxplug.doctor.plugins import ask
from ctxplug.errors import CtxplugError
from ctxplug.settings import find_file, parse

__all__ = ["settings"]

GROUPS = ("CTXPLUG_SERVER_", "CTXPLUG_LOG_")
TABLES = frozenset({"server", "log"})
CLIENT_KEY = "CTXPLUG_SERVER_KEY"


def settings(seconds: float, environ: Mapping[str, str], told: dict[str, str]) -> Iterator[Finding]:
    """Ask `ctxplug serve` what it thinks of its settings, if there are any.

    `told` is given their values by name.
    """
    own = [n for n in sorted(environ) if n.startswith(GROUPS) and n != CLIENT_KEY]
    if not own and not _has_server_tables(environ):
        return
    command = ["-m", "ctxplug.cli", "serve", "--show-config", "--json"]
    loaded = ask(command, seconds, {**environ, "TERM": "dumb"})
    if loaded.answer is None:
        _, error, said = loaded.detail.partition("Error: ")
        if error:
            said = " ".join(said.split())
            yield problem("server", said, "docs/configuration.md has the server's settings.")
        elif own:
            said = f"{own[0]} is set for a server, and `ctxplug serve` does not answer."
            yield warning("server", said, "Install ctxplug-server, or unset the variable.")
        return
    found: dict[str, Any] = loaded.answer["settings"]
    told.update({name: one["value"] for name, one in found.items()})
    given = [f"{n} ({one['where']})" for n, one in found.items() if one["source"] != "default"]
    yield ok("server", f"Its settings are valid. Set: {', '.join(given) or 'none'}.")


def _has_server_tables(environ: Mapping[str, str]) -> bool:
    path = find_file(environ)
    try:
        return path is not None and not TABLES.isdisjoint(parse(path).tables)
    except CtxplugError:  # the look at the settings has told it
        return False
