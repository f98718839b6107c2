"""Which counter and which provider a model's name stands for."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Provider: TypeAlias = Literal["anthropic", "openai", "gemini"]
DEFAULT_COUNTER = "tiktoken:o200k_base"

# The name may follow a vendor or region: "openai/gpt-4o", "us.anthropic.claude-sonnet-4".
_START = r"(?:^|[/.:_-])"
_COUNTERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_START + r"claude"), "estimate:claude"),
    (re.compile(_START + r"gpt-4(?:o|\.\d)"), "tiktoken:o200k_base"),
    (re.compile(_START + r"(?:gpt-4|gpt-3\.?5|text-embedding-)"), "tiktoken:cl100k_base"),
)
_PROVIDERS: tuple[tuple[re.Pattern[str], Provider], ...] = (
    (re.compile(_START + r"claude"), "anthropic"),
    (re.compile(_START + r"gemini"), "gemini"),
    (re.compile(_START + r"(?:gpt-|chatgpt-|text-embedding-|o[1-9](?:$|-))"), "openai"),
)


def counter_spec(model: str | None) -> str:
    """Return the spec of the token counter that fits `model` best.

    Claude's tokenizer is not public, so it is estimated. Any other model, an unknown
    one and None get o200k_base, the encoding of OpenAI's models since gpt-4o.
    """
    name = (model or "").lower()
    return next((spec for pattern, spec in _COUNTERS if pattern.search(name)), DEFAULT_COUNTER)


def provider_of(model: str | None) -> Provider | None:
    """Return whose request rules `model` follows, or None if its name does not say."""
    name = (model or "").lower()
    return next((owner for pattern, owner in _PROVIDERS if pattern.search(name)), None)
