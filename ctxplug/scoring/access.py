"""access: what was recalled often is likely to be wanted again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ctxplug.messages import Message
from ctxplug.scoring.scorer import History, Item

HALF = 3  # recalls that are worth half of the most there is


@dataclass(frozen=True)
class Access:
    """n / (n + 3) after n recalls: 0.0 never, 0.25 once, 0.5 after three, 0.9 after 27.

    Recalls are counted in the record itself or, for messages, in `history.accesses`.
    """

    name: str = field(default="access", init=False)

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return how often `item` was recalled, saturating."""
        counted = 0 if isinstance(item, Message) else item.access_count
        count = max(0, counted, history.accesses.get(item.id, 0))
        return count / (count + HALF)
