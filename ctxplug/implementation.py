"""One plugin's implementation of one hook, and what makes it unfit to be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctxplug.errors import PluginError


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook, callable with the hook's keywords."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    argnames: tuple[str, ...]

    def __call__(self, **arguments: Any) -> Any:
        """Call the function with those of the hook's arguments that it names."""
        return self.function(*(arguments[name] for name in self.argnames))


def check_signature(implementation: Implementation, *, must_take: str | None = None) -> None:
    """Raise PluginError for what pluggy accepts and then calls wrongly or not at all."""
    function, hook = implementation.function, implementation.hook
    fault = ""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        fault = "is async; hooks are plain functions"
    elif inspect.isgeneratorfunction(function):
        fault = "is a generator; hooks are plain functions, not wrappers"
    else:
        for parameter in inspect.signature(function).parameters.values():
            if parameter.default is not parameter.empty:
                fault = f"gives {parameter.name!r} a default; pluggy would not pass it"
            elif parameter.kind is parameter.KEYWORD_ONLY:
                fault = f"makes {parameter.name!r} keyword-only; pluggy would not pass it"
            elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                fault = f"takes {str(parameter)!r}; name the parameters instead"
        if not fault and must_take and must_take not in implementation.argnames:
            fault = f"leaves out {must_take!r}, without which it can do nothing"
    if fault:
        raise PluginError(
            f"Plugin {implementation.plugin!r}: its {hook} {fault}.", plugin=implementation.plugin
        )
