"""recency: what was said last counts most, and half as much a half-life ago."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from ctxplug.errors import UnknownComponentError
from ctxplug.messages import Message
from ctxplug.scoring.scorer import History, Item

MESSAGES = 20.0
SECONDS = 7 * 86_400.0
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_HALF_LIFE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw]?)\Z")


@dataclass(frozen=True)
class Recency:
    """0.5 ** (age / half-life).

    Age is counted in messages where the history holds the item and `by_time` is off, and
    otherwise in seconds since the item was made or last recalled; the future is now.
    """

    name: str = "recency"
    messages: float = MESSAGES
    seconds: float = SECONDS
    by_time: bool = False

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return how recent `item` is."""
        position = None if self.by_time else history.position(item)
        if position is not None:
            return half_life(len(history.messages) - 1 - position, self.messages)
        at = item.created_at
        if not isinstance(item, Message) and item.last_accessed is not None:
            at = max(at, item.last_accessed)
        return half_life((now - at).total_seconds(), self.seconds)


def recency(argument: str = "") -> Recency:
    """Return the scorer for "" (20 messages, or 7 days), "50" (messages) or "12h" (time).

    Units are s, m, h, d and w. Raises UnknownComponentError for anything else.
    """
    match = _HALF_LIFE.match(argument) if argument else None
    if not argument:
        return Recency()
    if match is None or float(match[1]) <= 0:
        raise UnknownComponentError(
            f"'recency:{argument}' has no half-life; write 'recency:20' for messages or"
            " 'recency:12h', 'recency:7d' for time.",
            kind="importance scorer",
            name=f"recency:{argument}",
            known=("recency", "recency:20", "recency:7d"),
        )
    if match[2]:
        seconds = float(match[1]) * _UNITS[match[2]]
        return Recency(f"recency:{argument}", seconds=seconds, by_time=True)
    return Recency(f"recency:{argument}", messages=float(match[1]))


def half_life(age: float, half: float) -> float:
    """Return 1.0 for an age of zero or less, 0.5 after `half`, and so on towards 0.0."""
    return 1.0 if age <= 0 else float(0.5 ** min(age / half, 1_000.0))
