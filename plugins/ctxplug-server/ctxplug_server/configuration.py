"""The settings of `ctxplug serve`: arguments, CTXPLUG_* variables and ctxplug.toml.

Those of ServerSettings, what memories are opened with, and how it logs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from ctxplug.errors import InvalidValueError
from ctxplug.settings import MEMORY, VARIABLE, Configuration, Setting, read
from ctxplug_server.limiting import Limits
from ctxplug_server.logs import FORMATS, LEVELS, LogSettings
from ctxplug_server.settings import ServerSettings, is_loopback

__all__ = ["SETTINGS", "ServeConfiguration", "configured"]

# What each field of ServerSettings means, for the pages and the commands that list them.
_MEANINGS = {
    "host": "Where to listen; 0.0.0.0 is everywhere, and takes a key.",
    "port": "The port; 0 is any that is free.",
    "hosts": "Further names it is called by, as behind a proxy: memory.example.",
    "origins": "Sites whose pages may call it: https://app.example.",
    "keys": "The file of its keys; none: STORE.keys.json beside the store.",
    "viewer": "Whether the viewer is served at /.",
    "read_only": "Whether it writes nothing.",
    "max_body": "Bytes that a request's body may take.",
    "max_target": "Bytes that a request's path and query may take.",
    "rate": "How often one key may call: 100/second, or per minute, hour or day.",
    "failures": "How often one address may come with a wrong key.",
    "concurrent": "Requests that are at work at once.",
    "concurrent_per_key": "Of these, those of one key; none: half of them.",
    "queued": "Requests that may wait for a place.",
    "queue_seconds": "How long one waits for a place.",
    "streams": "Live connections.",
    "streams_per_key": "Of these, those of one key.",
    "memories_open": "Memories that are kept open though nobody uses them.",
    "memory_idle_seconds": "After which time without use a memory is closed.",
    "idempotency_hours": "How long an Idempotency-Key is known.",
    "metrics_namespaces": "Whether /metrics may name namespaces, to who owns the store.",
    "poll_seconds": "Between looks for what other processes wrote.",
    "shutdown_seconds": "How long what is at work may take to finish at the end.",
}
# What opens it to others: their keys, their pages, their network.
_REACHES: Mapping[str, Callable[[Any], bool]] = {
    "host": lambda host: not is_loopback(host),
    "keys": lambda keys: keys is not None,
    "origins": bool,
}
_LOG = (
    Setting("log.format", str, "text", f"How log lines are written: {' or '.join(FORMATS)}."),
    Setting("log.level", str, "warning", f"From which level on: {', '.join(LEVELS)}."),
    Setting("log.requests", bool, False, "Whether each request has a line."),
)


def _of_server() -> Iterator[Setting]:
    types = get_type_hints(ServerSettings)
    for field in fields(ServerSettings):
        if field.name in _MEANINGS:
            name = f"server.{field.name}"
            more = (field.default, _MEANINGS[field.name], _REACHES.get(field.name))
            yield Setting(name, types[field.name], *more)


# A request or its key says the namespace; that one is set for other commands is no mistake.
_READ = (*MEMORY, *_of_server(), *_LOG)
SETTINGS = tuple(setting for setting in _READ if setting.name != "namespace")
_PLACES = {s.name.rpartition(".")[2]: s.name for s in SETTINGS if s.group != "log"}
_FIELDS = frozenset(field.name for field in fields(ServerSettings))


@dataclass(frozen=True, slots=True)
class ServeConfiguration:
    """What a server is started with, and where each of its settings comes from."""

    target: str | None
    server: ServerSettings
    log: LogSettings
    read: Configuration


def configured(
    arguments: Mapping[str, tuple[str, Any]] | None = None,
    *,
    file: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> ServeConfiguration:
    """Return the configuration of a server, or raise InvalidValueError that names the place.

    `arguments` are by the setting's name; `file` is one to read in place of CTXPLUG_CONFIG's.
    """
    environ = os.environ if environ is None else environ
    if file is not None:
        environ = {**environ, VARIABLE: file}
    found = read(_READ, arguments, environ=environ)
    _refuse_key(found)
    values = {name: found[place] for name, place in _PLACES.items() if name in _FIELDS}
    try:
        server = ServerSettings(**values)
        Limits(server)  # a rate that is none is told now
    except InvalidValueError as exc:
        raise found.placed(_PLACES[exc.path], exc) from exc
    try:
        log = LogSettings(found["log.format"], found["log.level"], found["log.requests"])
    except InvalidValueError as exc:
        raise found.placed(exc.path, exc) from exc
    return ServeConfiguration(found["store"], server, log, found)


def _refuse_key(found: Configuration) -> None:
    """Refuse a key where the file of the keys is asked for, and do not print it."""
    keys = found.given["server.keys"]
    if keys.value is not None and str(keys.value).startswith("ctxp_"):
        raise InvalidValueError(
            f"{keys.where} is a key, and names the file that keys are in. A client's key is the"
            " variable CTXPLUG_SERVER_KEY; `ctxplug keys revoke` ends one that others saw.",
            path="server.keys",
        )
