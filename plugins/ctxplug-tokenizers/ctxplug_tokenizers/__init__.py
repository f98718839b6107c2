"""The token counter "tokenizers:FILE" for ctxplug: exact counts for open models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxplug import hookimpl

if TYPE_CHECKING:
    from ctxplug.hookspecs import Register

__all__ = ["register_token_counters"]


@hookimpl
def register_token_counters(register: Register) -> None:
    """Offer "tokenizers:FILE", with `?framing=NAME` or `?message=N&request=N` at need."""
    register("tokenizers", "ctxplug_tokenizers.counter:tokenizers_counter")
