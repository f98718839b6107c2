"""Arguments checked before they are sent, by what a local memory checks them by.

The server checks them too, but what is no JSON would not come so far, and its sentences speak
of requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.memories.archive import cutoff_of
from ctxplug.memories.changes import updated
from ctxplug.memories.filters import where
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.remember import new_memory
from ctxplug.scope import Scope
from ctxplug.times import to_datetime

POLICY = MemoryPolicy()


def check_new(content: str, scope: Scope, *, valid_from: Any, **given: Any) -> None:
    """Raise InvalidValueError for what makes no memory."""
    at = None if valid_from is None else to_datetime(valid_from)
    new_memory(content, scope, datetime.now(UTC), valid_from=at, policy=POLICY, **given)


def check_change(scope: Scope, changes: Mapping[str, Any], *, tier: Any, ttl: Any) -> None:
    """Raise InvalidValueError for what no memory can be changed to."""
    now = datetime.now(UTC)
    some = new_memory("some", scope, now, importance=0.0, policy=POLICY)
    updated(some, changes, POLICY, now, tier=tier, ttl=ttl)


def check_filters(scope: Scope, **filters: Any) -> None:
    """Raise InvalidValueError for what memories cannot be chosen by."""
    where(scope.namespace, datetime.now(UTC), **filters)


def check_before(before: Any) -> None:
    """Raise InvalidValueError unless `before` says clearly since when."""
    cutoff_of(before, datetime.now(UTC))


def check_query(query: object) -> None:
    """Raise InvalidValueError unless `query` is text, or None."""
    if query is not None and not isinstance(query, str):
        raise InvalidValueError(f"A query is text, not {query!r:.40}.", path="query")


def check_k(k: object) -> None:
    """Raise InvalidValueError unless `k` is how many are wanted."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise InvalidValueError(f"k is how many at most, a whole number, not {k!r:.40}.", path="k")
