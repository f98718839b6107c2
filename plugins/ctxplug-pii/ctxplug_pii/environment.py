"""What the environment asks of the installed plugin.

CTXPLUG_PII          unset or "off": nothing is redacted; "on": every kind; or kinds, "email,card"
CTXPLUG_PII_REGIONS  regions of phone numbers without "+", such as "DE,CN"
CTXPLUG_PII_SECRET   makes pseudonyms of placeholders
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ctxplug import hookimpl
from ctxplug.errors import InvalidValueError

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register
    from ctxplug.records import MemoryRecord
    from ctxplug.scope import Scope
    from ctxplug_pii.redactor import Redactor

SWITCH, REGIONS, SECRET = "CTXPLUG_PII", "CTXPLUG_PII_REGIONS", "CTXPLUG_PII_SECRET"
OFF, ON = ("", "off", "0", "false", "no"), ("on", "1", "true", "yes")


class Commands:
    """The plugin while it is off: the command alone, so that no write pays for a guard."""

    @hookimpl
    def register_commands(self, register: Register) -> None:
        """Offer `ctxplug pii`."""
        register("pii", "ctxplug_pii.command:command")


class Guarding(Commands):
    """The plugin while it is on. A setting that makes no sense refuses every write."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._redactor: Redactor | None = None
        self._failure: Exception | None = None
        try:  # now, as the first write must not wait for imports
            self._redactor = redactor(environ)
        except (InvalidValueError, ImportError) as exc:
            self._failure = exc  # raised here, the plugin would be skipped, and nothing redacted

    @hookimpl
    def redact(self, text: str, scope: Scope) -> str | None:
        """Ask the redactor, or fail closed."""
        return self._ready().redact(text, scope)

    @hookimpl
    def classify(self, record: MemoryRecord) -> tuple[str, list[str]] | None:
        """Ask the redactor, or fail closed."""
        return self._ready().classify(record)

    def _ready(self) -> Redactor:
        if self._redactor is None:
            assert self._failure is not None
            raise self._failure
        return self._redactor


def plugin(environ: Mapping[str, str] | None = None) -> Commands:
    """Return the plugin as the environment wants it."""
    environ = os.environ if environ is None else environ
    return Guarding(environ) if is_on(environ) else Commands()


def is_on(environ: Mapping[str, str]) -> bool:
    """Say whether anything is to be redacted."""
    return environ.get(SWITCH, "").strip().lower() not in OFF


def redactor(environ: Mapping[str, str]) -> Redactor:
    """Return the redactor that the environment describes; "off" is as "on" here.

    Raises InvalidValueError, which names the variable.
    """
    from ctxplug_pii.finding import REGIONS as USUAL
    from ctxplug_pii.kinds import KINDS
    from ctxplug_pii.redactor import Redactor

    switch = environ.get(SWITCH, "").strip().lower()
    kinds = tuple(KINDS) if switch in (*OFF, *ON) else _names(switch)
    regions = _names(environ.get(REGIONS, "").upper()) or USUAL
    try:
        return Redactor(kinds=kinds, regions=regions, secret=environ.get(SECRET) or None)
    except InvalidValueError as exc:
        variable = {"kinds": SWITCH, "regions": REGIONS, "secret": SECRET}.get(exc.path or "", "")
        raise InvalidValueError(f"{variable}: {exc}", path=variable) from exc


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))
