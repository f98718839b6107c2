"""Played: the calls of a session that nobody recorded, as policies would have sent them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug.inspector.past import PastWindows, Seen
from ctxplug.inspector.pieces import shared
from ctxplug.inspector.why import fate_of
from ctxplug.tokens.prices import CACHE_READ, CACHE_WRITE
from ctxplug_server.viewing.jobs import Job
from ctxplug_server.viewing.past_calls import name_of

__all__ = ["SHOWN", "compare_played"]

SHOWN = 60  # messages that differ at one call that are listed
THERE = ("verbatim", "shortened", "digest", "merged")


def compare_played(played: Mapping[str, PastWindows], turns: int, job: Job) -> dict[str, Any]:
    """Return the figures of each policy and the calls at which the first and the last differ."""
    told = [_played_policy(name, windows, turns, job) for name, windows in played.items()]
    first, last = next(iter(played.values())), list(played.values())[-1]
    pairs = ((n, first.seen(n), last.seen(n)) for n in range(1, turns + 1))
    differing = [
        _played_difference(number, old, new, first, list(_moved(first, old, last, new)))
        for number, old, new in pairs
        if [piece.key for piece in old.pieces] != [piece.key for piece in new.pieces]
    ]
    return {"policies": told, "differing": differing, "notes": []}


def _played_policy(name: str, windows: PastWindows, turns: int, job: Job) -> dict[str, Any]:
    calls: list[dict[str, Any]] = []
    before: Seen | None = None
    for number in range(1, turns + 1):
        seen = windows.seen(number)
        same = shared(before.pieces, seen.pieces) if before else 0
        cached = sum(piece.tokens for piece in seen.pieces[:same])
        calls.append(
            {
                "number": number,
                "tokens": seen.tokens,
                "cached": cached,
                "cost": None,
                "plain": CACHE_READ * cached + CACHE_WRITE * (seen.tokens - cached),
                "error": seen.error,
            }
        )
        before = seen
        job.progress()
    tokens, cached = sum(c["tokens"] for c in calls), sum(c["cached"] for c in calls)
    last = windows.seen(turns) if turns else None
    return {
        "name": name,
        "tokens": tokens,
        "cost": None,
        "plain": sum(call["plain"] for call in calls),
        "cached": cached,
        "hit_share": cached / tokens if tokens else 0.0,
        "compactions": len(windows.compactions(last)) if last else 0,
        "failed": sum(call["error"] is not None for call in calls),
        "calls": calls,
    }


def _moved(first: PastWindows, old: Seen, last: PastWindows, new: Seen) -> Iterator[dict[str, Any]]:
    outline = first.outline
    for row in outline.rows[: outline.row_of(old.call.head + 1)]:
        said = outline.said(row.version)
        if said is None:
            continue
        before, after = name_of(fate_of(said, outline, old)), name_of(fate_of(said, outline, new))
        if before == after:
            continue
        was, now = before in THERE, after in THERE
        how = "changed" if was and now else "entered" if now else "left"
        told = {"id": "", "version": said.version, "role": said.role, "how": how}
        yield {**told, "before": before, "after": after}


def _played_difference(
    number: int, old: Seen, new: Seen, windows: PastWindows, moved: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    names = dict.fromkeys((*old.parts, *new.parts))
    more = {name: new.parts.get(name, 0) - old.parts.get(name, 0) for name in names}
    return {
        "number": number,
        "tokens": [old.tokens, new.tokens],
        "parts": {name: count for name, count in more.items() if count},
        "errors": [old.error, new.error],
        "query": None,
        **{how: sum(one["how"] == how for one in moved) for how in ("entered", "left", "changed")},
        "messages": list(moved)[:SHOWN],
        "recalled_in": [],
        "recalled_out": [],
    }
