"""What is gone through of a long log that no window was made of before.

To digest all of it would take minutes and leave next to nothing of each message; what is
skipped is named by one unit and found by recall. A pin in it forbids that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ctxplug.compression import Unit
from ctxplug.context.entries import CHUNK, MESSAGE
from ctxplug.context.units import skipped_unit
from ctxplug.messages import Logged
from ctxplug.storage import Entry, Stream
from ctxplug.storage.as_of import LogReader
from ctxplug.tokens import TokenCounter

BACKLOG = 16  # budgets' worth of unseen log that is gone through message by message


def backlog_end(
    backend: LogReader, stream: Stream, budget: int, logged: Callable[[Entry], Logged]
) -> int:
    """Return the version from which on a log is gone through; 1 if that is all of it."""
    start, tokens = backend.head(stream) + 1, 0
    if start <= CHUNK:
        return 1
    while tokens < BACKLOG * budget:
        entries = backend.read(stream, before=start, limit=CHUNK, newest_first=True)
        if not entries:
            return 1
        messages = [logged(entry) for entry in entries if entry.kind == MESSAGE]
        tokens += sum(one.tokens for one in messages)
        users = [one.version for one in messages if one.message.role == "user"]
        start = users[-1] if users else entries[-1].version
    return start


def cut_backlog(
    said: Sequence[Logged], budget: int, counter: TokenCounter
) -> tuple[list[Unit], Sequence[Logged]]:
    """Return the unit for what is skipped of `said`, if anything is, and what is left.

    What is left begins with a user message; system messages are left too.
    """
    tokens = sum(logged.tokens for logged in said)
    start = 0
    while start < len(said) and tokens > BACKLOG * budget and not _pinned(said[start]):
        tokens -= said[start].tokens
        start += 1
    while 0 < start < len(said) and said[start].message.role != "user":
        start -= 1
    if not 0 < start < len(said):
        return [], said
    versions = [logged.version for logged in said[:start]]
    system = [logged for logged in said[:start] if logged.message.role == "system"]
    return [skipped_unit(versions, counter)], [*system, *said[start:]]


def _pinned(logged: Logged) -> bool:
    return logged.message.pinned and logged.message.role != "system"
