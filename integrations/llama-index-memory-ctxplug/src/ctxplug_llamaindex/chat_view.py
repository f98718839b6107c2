"""What is in view of a conversation, and what an edit makes of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from ctxplug import Message
from ctxplug.storage.kept import Run, from_runs


@dataclass(frozen=True, slots=True)
class View:
    """What is in view at version `head`: `messages` with their `versions`.

    `runs` are of the versions that are archived; `listed`: it is a key though it be empty;
    `joined`: several messages are one of ctxplug's, and have its version; `note` is what
    others noted with the newest edit.
    """

    head: int = 0
    versions: Sequence[int] = ()
    messages: Sequence[ChatMessage] = ()
    runs: Sequence[Run] = ()
    listed: bool = False
    joined: bool = False
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the conversation is there, empty or not."""
        return self.listed or bool(self.versions)

    @property
    def archived(self) -> frozenset[int]:
        """The versions that are archived."""
        return frozenset(from_runs(self.runs))

    def places(self, archived: bool | None) -> Sequence[int]:
        """Return the places of the messages that are archived or not; None: of all."""
        if archived is None:
            return range(len(self.versions))
        found: list[int] = []
        at = 0
        for first, last in self.runs:
            start = bisect_left(self.versions, first, at)
            end = bisect_right(self.versions, last, start)
            found += range(start, end) if archived else range(at, start)
            at = end
        return found if archived else [*found, *range(at, len(self.versions))]


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be in view: of what is there `versions`, ascending, then the messages `then`.

    Of both, `archived` names those that are to be: versions, and places in `then` from 0.
    """

    versions: Sequence[int] = ()
    then: Sequence[Message] = ()
    archived: Collection[int] = frozenset()
    then_archived: Collection[int] = frozenset()
    listed: bool = False


def goes_on(view: View, messages: Sequence[ChatMessage], places: Iterable[int]) -> list[int]:
    """Return those of the `places` in `view` that `messages` begin with.

    So a history that is set again, longer or without its beginning, is not stored again.
    """
    found: list[int] = []
    candidates = iter(places)
    for message in messages:
        place = next((place for place in candidates if view.messages[place] == message), None)
        if place is None:
            break
        found.append(place)
    return found


def without(places: Iterable[int], others: Collection[int]) -> list[int]:
    """Return `places` but those of `others`."""
    gone = frozenset(others)
    return [place for place in places if place not in gone]
