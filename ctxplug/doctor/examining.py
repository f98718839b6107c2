"""examine: all that is looked at, in order, each by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from ctxplug.doctor import places, server, stores, surroundings, versions
from ctxplug.doctor.finding import Finding, problem
from ctxplug.doctor.plugins import plugins
from ctxplug.errors import CtxplugError
from ctxplug.settings import MEMORY, read
from ctxplug.storage.shared import path_of

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
    told: dict[str, str] = {}
    yield from _looked("server", partial(server.settings, seconds, environ, told))
    target = target or _configured(environ)
    if target is not None:
        yield from _of_store(target, told.get("server.keys", "none"))
    if backups is not None:
        path = None if target is None else path_of(target)
        yield from _looked("backups", partial(places.backups, backups, path))


def _of_store(target: str, keys: str) -> Iterator[Finding]:
    path = path_of(target)
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


def _configured(environ: Mapping[str, str]) -> str | None:
    try:
        store: str | None = read(MEMORY, environ=environ)["store"]
    except CtxplugError:  # the look at the settings has told it
        return None
    return store
