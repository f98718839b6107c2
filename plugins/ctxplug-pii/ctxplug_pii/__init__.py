"""Personal data and secrets, taken out before ctxplug stores them.

What the entry point names is made of the environment whenever plugins are loaded: with
CTXPLUG_PII unset it offers the command `ctxplug pii` and guards nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctxplug_pii.redactor import Redactor

__all__ = ["Redactor"]


def __getattr__(name: str) -> Any:
    if name == "plugin":
        from ctxplug_pii.environment import plugin

        return plugin()
    if name == "Redactor":
        from ctxplug_pii.redactor import Redactor

        return Redactor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
