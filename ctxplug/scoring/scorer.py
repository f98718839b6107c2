"""The law of importance scorers.

`score(item, now, history) -> 0.0..1.0`: how much would be missed without `item`.

1. A number from 0.0 (nothing) to 1.0 (indispensable), never NaN, for any message or
   record: empty, a megabyte on one line, lone surrogates, an unknown kind.
2. Deterministic, without I/O, clock or randomness: `now` and `history` are all it may look
   at besides the item, on any thread. Nothing that it is given is changed.
3. `history` may be empty, and the item need not be in it.
4. Near-linear over a whole history: what takes a pass over all messages is made once with
   `history.derived(make)`.
5. One that raises, or answers anything but such a number, is left out with a note and the
   others decide. One that hangs holds up its caller: there is nothing here to wait for.

`ctxplug.testing.scorer_suite.ImportanceScorerSuite` checks 1 to 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from ctxplug.messages import Message
from ctxplug.records import MemoryRecord

Item: TypeAlias = Message | MemoryRecord
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class History:
    """What a scorer may look at besides the item.

    `messages` are the conversation around it, oldest first. `accesses` says how often an id
    (of a message or record) was recalled, `ratings` holds the ratings that were given to an
    id, each from -1.0 (harmful) to 1.0 (helpful).
    """

    messages: Sequence[Message] = ()
    accesses: Mapping[str, int] = field(default_factory=dict)
    ratings: Mapping[str, Sequence[float]] = field(default_factory=dict)
    _derived: dict[Callable[[History], Any], Any] = field(
        default_factory=dict, init=False, repr=False
    )

    def position(self, item: Item) -> int | None:
        """Return the index of `item` in `messages`, or None if it is not among them.

        A record is found by the messages it was made from.
        """
        found = self._positions.get(item.id)
        if found is None and isinstance(item, MemoryRecord):
            places = [self._positions[id] for id in item.sources if id in self._positions]
            return max(places, default=None)
        return found

    def derived(self, make: Callable[[History], T]) -> T:
        """Return `make(self)`, made at the first call and kept with this history."""
        if make not in self._derived:  # made twice by two threads, it is made alike
            self._derived[make] = make(self)
        return cast(T, self._derived[make])

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {message.id: i for i, message in enumerate(self.messages)}


@runtime_checkable
class ImportanceScorer(Protocol):
    """See the law in this module's docstring. `name` is the full spec, such as "recency:20"."""

    @property
    def name(self) -> str:
        """The full spec of this scorer."""

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return the importance of `item`, 0.0 to 1.0."""
