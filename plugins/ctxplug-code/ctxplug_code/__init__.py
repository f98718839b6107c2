"""The compression strategy "code" for ctxplug: signatures stay, bodies go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxplug import hookimpl

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register

__all__ = ["register_compression_strategies"]


@hookimpl
def register_compression_strategies(register: Register) -> None:
    """Offer "code"."""
    register("code", "ctxplug_code.strategy:Code")
