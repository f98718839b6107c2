"""The policy of a remote memory, which the server goes by."""

from __future__ import annotations

from ctxplug.context.policy import ContextPolicy, to_policy
from ctxplug.tokens.prices import Prices
from ctxplug_server.wire.policies import policy_text


def policy_of(policy: str | ContextPolicy, model: str | None) -> ContextPolicy:
    """Return the policy; raise UnknownComponentError, or UnsupportedError if no text names it."""
    found = to_policy(policy, Prices().ratios_of(model))
    policy_text(found, model)
    return found
