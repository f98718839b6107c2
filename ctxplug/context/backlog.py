"""What is gone through of a long log that no window was made of before.

To digest all of it would take minutes and leave next to nothing of each message; what is
skipped is named by one unit and found by recall. A pin in it forbids that.
"""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug.compression import Unit
from ctxplug.context.units import skipped_unit
from ctxplug.messages import Logged
from ctxplug.tokens import TokenCounter

BACKLOG = 16  # budgets' worth of unseen log that is gone through message by message


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
