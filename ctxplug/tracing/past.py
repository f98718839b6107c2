"""A session's past: its steps, and its log as it stood when each was taken.

`Past` is what a replay reads, so that one can be made over any steps and messages; `LogPast`
reads a store.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

from ctxplug.messages import Logged, Message
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.storage.as_of import AsOf
from ctxplug.storage.kept import KEPT, Kept, newest_kept
from ctxplug.tracing.step import WINDOW, Step

MESSAGE = "message"
CHUNK = 1024


class Moment(NamedTuple):
    """An entry of the log that decides what is in view: its version, and when it was written."""

    version: int
    at: datetime


class Said(NamedTuple):
    """A message of the log: its version there, its id, and who said it."""

    version: int
    id: str
    role: str


class Past(Protocol):
    """What a replay asks of a session."""

    def messages(self, upto: int, *, after: int = 0) -> Sequence[Logged]:
        """Return the messages above `after` that were in view at version `upto`, as given."""

    def moments(self, after: int, upto: int | None) -> Sequence[Moment]:
        """Return the messages and edits of the log above `after` and up to `upto`."""

    def window(self, step: str) -> Any:
        """Return the window of the step of that id, made again from the log."""


class LogPast:
    """The past of `stream` in a store; `window` makes a past window again by its step's id."""

    def __init__(self, backend: Backend, stream: Stream, window: Callable[[str], Any]) -> None:
        self._backend = backend
        self._stream = stream
        self.window = window

    def messages(self, upto: int, *, after: int = 0) -> list[Logged]:
        """Return the messages above `after` in view at version `upto`, their tokens not counted."""
        log: Any = AsOf(self._backend, upto)  # read as by somebody who knew no more
        kept = newest_kept(log, self._stream) or Kept()
        return [logged(e) for e in kept.entries(log, self._stream, kind=MESSAGE, after=after)]

    def moments(self, after: int, upto: int | None) -> list[Moment]:
        """Return the messages and edits of the log above `after` and up to `upto`."""
        return [
            Moment(entry.version, entry.created_at)
            for entry in self._entries(after, upto, [MESSAGE, KEPT])
        ]

    def said(self, upto: int) -> dict[int, Said]:
        """Return the messages up to version `upto`, by version, whether in view or not."""
        return {e.version: said_of(e) for e in self._entries(0, upto, [MESSAGE])}

    def _entries(self, after: int, upto: int | None, kinds: Sequence[str]) -> Iterator[Entry]:
        before = None if upto is None else upto + 1
        while page := self._backend.read(
            self._stream, after=after, before=before, limit=CHUNK, kinds=kinds
        ):
            yield from page
            after = page[-1].version


def logged(entry: Entry) -> Logged:
    """Return the message of an entry as it was given."""
    return Logged(entry.version, Message.from_dict(entry.body["message"]), 0)


def said_of(entry: Entry) -> Said:
    """Return what is known of the message of an entry without reading it."""
    message = entry.body["message"]
    return Said(entry.version, message["id"], message["role"])


class Positions:
    """Up to which version of the log each of `steps` could know it.

    A window says so itself. For what lies between two windows it is what was written before
    the step began, and never less than the window before it had.
    """

    def __init__(self, steps: Sequence[Step], past: Past) -> None:
        self._past = past
        self._steps = steps
        self._heads = [i for i, step in enumerate(steps) if head_of(step) is not None]
        self._known: dict[int, int] = {}

    def at(self, index: int) -> int:
        """Return the version for the step at `index`; 0 before the first."""
        if index < 0:
            return 0
        if index not in self._known:
            self._known[index] = self._find(index)
        return self._known[index]

    def _find(self, index: int) -> int:
        step = self._steps[index]
        own = head_of(step)
        if own is not None:
            return own
        place = bisect_left(self._heads, index)
        before = head_of(self._steps[self._heads[place - 1]]) if place else None
        after = head_of(self._steps[self._heads[place]]) if place < len(self._heads) else None
        low = before or 0
        earlier = takewhile(
            lambda moment: moment.at <= step.started_at, self._past.moments(low, after)
        )
        return max([low, *(moment.version for moment in earlier)])


def head_of(step: Step) -> int | None:
    """Return the version of the log that a step says it knew, None if it says nothing."""
    head = step.data.get("head") if step.kind == WINDOW else None
    return head if isinstance(head, int) else None
