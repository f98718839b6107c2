"""What commands are told by CTXPLUG_* variables and ctxplug.toml, where their line says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ctxplug.settings import MEMORY, Configuration, read

# Parameters by the setting that says what they are when nobody says it.
PARAMETERS: Mapping[str, str] = {
    "target": "store",
    "namespace": "namespace",
    "budget": "budget",
    "model": "model",
    "embedder": "embedder",
}
# What is erased is always named; the others look into the settings themselves, or say what is
# wrong with them.
ASKED_ALONE = frozenset({"erase", "import", "serve", "doctor"})


def defaults_of(name: str, command: Any) -> dict[str, Any]:
    """Return click's `default_map` for a command that is about to run, and for those below it."""
    if name in ASKED_ALONE:
        return {}
    return _of(command, read(MEMORY))


def _of(command: Any, configuration: Configuration) -> dict[str, Any]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    found: dict[str, Any] = {}
    for parameter in command.params:
        setting = PARAMETERS.get(parameter.name)
        given = None if setting is None else configuration.given[setting]
        if given is None or given.source == "default" or given.value is None:
            continue
        # Where there are further arguments, what is said is taken for the first of them.
        if parameter in arguments and len(arguments) > 1:
            continue
        if not getattr(parameter, "multiple", False):
            found[parameter.name] = given.value
    for name, below in getattr(command, "commands", {}).items():
        if name not in ASKED_ALONE:
            found[name] = _of(below, configuration)
    return found
