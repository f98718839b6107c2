"""Token counters: what a message costs as model input, exactly or as an honest estimate."""

from __future__ import annotations

from ctxplug.tokens.counter import MessageCounter, TokenCounter, count_tools
from ctxplug.tokens.models import counter_spec, provider_of

__all__ = ["MessageCounter", "TokenCounter", "count_tools", "counter_spec", "provider_of"]
