"""What a memory holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctxplug.records import TIERS
from ctxplug.scope import Scope, namespace_key
from ctxplug.storage import Backend, Where, conversations
from ctxplug.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Counts: `messages` of this session, the rest of the namespace; memories by tier."""

    namespace: str
    session: str
    messages: int
    sessions: int
    memories: Mapping[str, int]
    counter: str
    estimated: bool


def collect(backend: Backend, scope: Scope, counter: TokenCounter) -> MemoryStats:
    """Count what `scope` holds in `backend`."""
    namespace = scope.namespace
    tiers = {tier: backend.count(Where(namespace, tiers=[tier])) for tier in TIERS}
    # Messages are findable records of the short tier, but no memories.
    tiers["short"] -= backend.count(Where(namespace, kinds=["message"]))
    return MemoryStats(
        namespace=namespace_key(namespace),
        session=scope.session,
        messages=backend.count(Where(namespace, kinds=["message"], session=scope.session)),
        sessions=len(conversations(backend, namespace)),
        memories=tiers,
        counter=counter.name,
        estimated=counter.estimated,
    )
