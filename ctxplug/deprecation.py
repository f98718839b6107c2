"""How a name goes: it works for two more minor versions, and says what to write instead.

A name of a module goes on as `__getattr__ = renamed(__name__, {...})`; a function or method
calls `warnings.warn(notice(...), stacklevel=2)`; a hook is marked
`@hookspec(warn_on_impl=notice(...))`. docs/stability.md tells authors what to expect.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


class CtxplugDeprecationWarning(DeprecationWarning):
    """What was used goes in a later version; the text says in which, and what to use."""


def notice(what: str, *, since: str, until: str, instead: str) -> CtxplugDeprecationWarning:
    """Return the warning for `what`, which is deprecated `since` a version and gone in `until`."""
    return CtxplugDeprecationWarning(
        f"{what} is deprecated since ctxplug {since} and will be gone in {until};"
        f" use {instead} instead."
    )


def renamed(
    module: str, names: Mapping[str, str], *, since: str, until: str
) -> Callable[[str], Any]:
    """Return the `__getattr__` of `module`, in which old `names` lead to "package.module:name".

    Whoever uses an old name gets what the new one names, and a warning.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, new = names[name].partition(":")
        what, instead = f"{module}.{name}", f"{place}.{new}"
        text = notice(what, since=since, until=until, instead=instead)
        warnings.warn(text, stacklevel=2)
        return getattr(importlib.import_module(place), new)

    return __getattr__
