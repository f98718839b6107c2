"""Where the reading of a log begins: at a compaction or an edit, all before it being decided."""

from __future__ import annotations

from typing import Any

from ctxplug.context.entries import COMPACTION
from ctxplug.storage import Entry, Stream
from ctxplug.storage.as_of import LogReader
from ctxplug.storage.kept import KEPT, Kept

NEWEST = 16


def turning_points(log: LogReader, stream: Stream, **where: Any) -> list[Entry]:
    """Return the compactions and edits of a log."""
    return log.read(stream, kinds=[COMPACTION, KEPT], pinned=True, **where)


def opening(
    log: LogReader, stream: Stream, budget: int, *, before: int | None = None
) -> Entry | None:
    """Return the last compaction under `budget`, or the last edit if that is newer."""
    limit = 1  # mostly it is the newest, and edits may be long
    while True:
        entries = turning_points(log, stream, before=before, newest_first=True, limit=limit)
        for entry in entries:
            if entry.kind == KEPT or (
                entry.body.get("budget") == budget and _was_first(log, stream, entry)
            ):
                return entry
        if len(entries) < limit:
            return None
        before, limit = entries[-1].version, NEWEST


def returns(log: LogReader, stream: Stream, budget: int, kept: Kept) -> list[Kept]:
    """Return the returns that the window of `kept`, the last, rests on, and it, oldest first.

    Where a return leads to may rest on another one, and that on others, as often as somebody
    tried something and went back.
    """
    found = [kept]
    while True:
        entry = opening(log, stream, budget, before=found[-1].restored + 1)
        if entry is None or entry.kind != KEPT or not (earlier := Kept.of(entry)).restored:
            return found[::-1]
        found.append(earlier)


def _was_first(log: LogReader, stream: Stream, entry: Entry) -> bool:
    """Say whether no edit, and no other compaction on the same one, came before `entry`."""
    base, budget = entry.body["base"], entry.body["budget"]
    rivals = turning_points(log, stream, after=base, before=entry.version)
    return not any(
        rival.kind == KEPT or (rival.body.get("budget") == budget and rival.body["base"] == base)
        for rival in rivals
    )
