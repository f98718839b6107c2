"""feedback: what was rated helpful stays, what was rated harmful goes first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from math import fsum

from ctxplug.errors import InvalidValueError
from ctxplug.scoring.scorer import History, Item


@dataclass(frozen=True)
class Feedback:
    """The mean of an item's ratings, -1.0..1.0, as 0.0..1.0; without ratings 0.5.

    Raises InvalidValueError for a rating outside that range.
    """

    name: str = field(default="feedback", init=False)

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return how `item` was rated."""
        ratings = history.ratings.get(item.id, ())
        for rating in ratings:
            if not -1.0 <= rating <= 1.0:
                raise InvalidValueError(
                    f"The rating {rating!r} of {item.id!r} is not from -1.0 to 1.0.", path="ratings"
                )
        if not ratings:
            return 0.5
        mean = fsum(ratings) / len(ratings)
        return min(1.0, max(0.0, (mean + 1.0) / 2.0))
