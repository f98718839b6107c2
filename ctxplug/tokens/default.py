"""The counter an agent gets when it names none."""

from __future__ import annotations

from typing import cast

from ctxplug.errors import PluginError
from ctxplug.registry import Registry
from ctxplug.tokens.counter import TokenCounter
from ctxplug.tokens.models import counter_spec


def default_counter(model: str | None, registry: Registry) -> TokenCounter:
    """Return the counter for `model`; without its encoding on this machine, the estimate.

    The estimate says so itself (`estimated`), and windows keep its margin free.
    """
    spec = counter_spec(model)
    try:
        return cast(TokenCounter, registry.resolve("token counter", spec))
    except PluginError:
        name, _, encoding = spec.partition(":")
        if name != "tiktoken":
            raise
        fallback = f"estimate:{encoding.removesuffix('_base')}"
        return cast(TokenCounter, registry.resolve("token counter", fallback))
