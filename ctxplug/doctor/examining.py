"""examine: all that is looked at, in order, each by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from ctxplug.doctor import places, stores, surroundings, versions
from ctxplug.doctor.finding import Finding, ok, problem, warning
from ctxplug.doctor.plugins import ask, plugins
from ctxplug.doctor.stores import file_of
from ctxplug.errors import CtxplugError
from ctxplug.settings import MEMORY, find_file, parse, read

__all__ = ["AREAS", "PLUGIN_SECONDS", "examine"]

PLUGIN_SECONDS = 20.0
AREAS = (
    "python",
    "packages",
    "dependencies",
    "sqlite",
    "text",
    "encodings",
    "settings",
    "prices",
    "plugins",
    "server",
    "store",
    "permissions",
    "space",
    "keys",
    "backups",
)
SERVER_GROUPS = ("CTXPLUG_SERVER_", "CTXPLUG_LOG_")
SERVER_TABLES = frozenset({"server", "log"})
CLIENT_KEY = "CTXPLUG_SERVER_KEY"


def examine(
    target: str | None = None,
    *,
    backups: str | None = None,
    seconds: float = PLUGIN_SECONDS,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """Yield what was found, area by area; `target` is a store to look at, else the settings'.

    `backups` is a folder of backups, and `seconds` what a plugin may take to load. Nothing is
    changed, and a look that fails is a finding.
    """
    environ = os.environ if environ is None else environ
    looks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("python", versions.python),
        ("packages", versions.packages),
        ("dependencies", versions.dependencies),
        ("sqlite", versions.sqlite),
        ("text", surroundings.text),
        ("encodings", surroundings.encodings),
        ("settings", partial(surroundings.settings, environ)),
        ("prices", surroundings.prices),
        ("plugins", partial(plugins, seconds, environ)),
    ]
    for area, look in looks:
        yield from _looked(area, look)
    server: dict[str, str] = {}
    yield from _looked("server", partial(_server, seconds, environ, server))
    target = target or _configured(environ)
    if target is not None:
        yield from _of_store(target, server.get("server.keys", "none"))
    if backups is not None:
        yield from _looked("backups", partial(places.backups, backups))


def _of_store(target: str, keys: str) -> Iterator[Finding]:
    path = file_of(target)
    if path is not None and os.path.isfile(path):
        yield from _looked("permissions", partial(places.permissions, path))
        yield from _looked("space", partial(places.space, path))
    yield from _looked("store", partial(stores.store, target))
    file = keys if keys != "none" else f"{path}.keys.json" if path else None
    if file is not None:
        yield from _looked("keys", partial(places.keys, file))


def _looked(area: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except Exception as exc:
        said = f"The look at {area} failed: {type(exc).__name__}: {exc}."
        yield problem(area, said, "Please tell the authors of ctxplug.")


def _server(seconds: float, environ: Mapping[str, str], told: dict[str, str]) -> Iterator[Finding]:
    """Ask `ctxplug serve` what it thinks of its settings, if there are any."""
    own = [n for n in sorted(environ) if n.startswith(SERVER_GROUPS) and n != CLIENT_KEY]
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
    settings: dict[str, Any] = loaded.answer["settings"]
    told.update({name: one["value"] for name, one in settings.items()})
    given = [f"{n} ({one['where']})" for n, one in settings.items() if one["source"] != "default"]
    yield ok("server", f"Its settings are valid. Set: {', '.join(given) or 'none'}.")


def _has_server_tables(environ: Mapping[str, str]) -> bool:
    path = find_file(environ)
    try:
        return path is not None and not SERVER_TABLES.isdisjoint(parse(path).tables)
    except CtxplugError:  # the look at the settings has told it
        return False


def _configured(environ: Mapping[str, str]) -> str | None:
    try:
        store: str | None = read(MEMORY, environ=environ)["store"]
    except CtxplugError:  # the look at the settings has told it
        return None
    return store
