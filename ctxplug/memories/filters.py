"""From what the caller asks for to a Where: one reading of filters for recall and listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from ctxplug.errors import InvalidValueError
from ctxplug.recall.recalled import Recalled
from ctxplug.records import to_tags
from ctxplug.scope import Namespace
from ctxplug.storage import Where
from ctxplug.times import to_datetime

MESSAGE = "message"
Time: TypeAlias = "datetime | str | float | None"


def where(
    namespace: Namespace,
    now: datetime,
    *,
    kinds: Iterable[str] | str | None = None,
    tiers: Iterable[str] | str | None = None,
    tags: Iterable[str] | str | None = None,
    session: str | None = None,
    agent: str | None = None,
    since: Time = None,
    until: Time = None,
    valid_at: Time = None,
    include_superseded: bool = False,
    metadata: Mapping[str, Any] | None = None,
    not_kinds: Iterable[str] = (),
) -> Where:
    """Return the filter; unless said otherwise it is for what holds `now`.

    What has expired by `now` is never found.
    """
    at = None if include_superseded else now
    return Where(
        namespace,
        kinds=None if kinds is None else to_tags(kinds),
        tiers=None if tiers is None else to_tags(tiers),
        tags=to_tags(tags),
        session=session,
        agent=agent,
        since=_time(since),
        until=_time(until),
        valid_at=at if valid_at is None else to_datetime(valid_at),
        metadata=metadata or {},
        now=now,
        not_kinds=tuple(not_kinds),
    )


def best_of(rank: Callable[[int], list[Recalled]], k: int) -> list[Recalled]:
    """Return the `k` best of what `rank` gives, each memory once, whatever tiers it is in."""
    if isinstance(k, bool) or not isinstance(k, int):
        raise InvalidValueError(f"k is how many at most, a whole number, not {k!r:.40}.", path="k")
    asked = k
    while True:
        found = rank(asked)
        kept = distinct(found)
        if len(kept) >= k or len(found) < asked:
            return kept[: max(0, k)]
        asked += 2 * (len(found) - len(kept))


def distinct(found: Iterable[Recalled]) -> list[Recalled]:
    """Return `found` without memories whose text and kind a better one has; messages all stay."""
    from ctxplug.memories.likeness import normal  # at first use: it compiles much

    kept: list[Recalled] = []
    known: set[tuple[str, str]] = set()
    for one in found:
        key = one.record.kind, normal(one.record.content)
        if one.record.kind == MESSAGE or key not in known:
            kept.append(one)
            known.add(key)
    return kept


def _time(value: Time) -> datetime | None:
    return None if value is None else to_datetime(value)
