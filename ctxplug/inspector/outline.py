"""Outline: the lines of a conversation and its model calls, read from the log piece by piece."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from ctxplug import codec
from ctxplug.messages import ImagePart, Message, TextPart, ThinkingPart
from ctxplug.printable import short
from ctxplug.sessions.log import given
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.storage.kept import KEPT, Kept
from ctxplug.tokens import TokenCounter

MESSAGE, COMPACTION, SESSION, SNAPSHOT = "message", "compaction", "session", "snapshot"
READ = (MESSAGE, COMPACTION, KEPT, SESSION, SNAPSHOT)
PIECE = 1024  # entries read at once
LINE = 240  # characters of a message in a list
_TOLD = ("number", "budget", "upto", "steps", "name", "note", "restored", "event", "parent")
_TOLD_TOO = ("at", "reason", "state", "gain", "notes", "policy")


@dataclass(frozen=True, slots=True)
class Said:
    """A message as a list shows it; `turn` is the first call whose window could hold it.

    For a message of the assistant it is the call that it answers. `shaped` is whether a
    result was shortened when it was added, `failed` whether a tool result is an error.
    """

    version: int
    turn: int
    role: str
    name: str | None
    line: str
    tokens: int
    at: datetime
    pinned: bool = False
    shaped: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What else stands in the log: a compaction, an edit, a snapshot, a change of state."""

    version: int
    turn: int
    kind: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


Row: TypeAlias = Said | Mark


@dataclass(frozen=True, slots=True)
class Call:
    """One model call, from the log: its window is made of what stands up to `head`.

    `answer` is the version of what the model said, None where it has not answered yet.
    """

    number: int
    head: int
    answer: int | None
    at: datetime


class Outline:
    """The conversation of one stream; `read` brings more of it until it says there is none."""

    def __init__(self, backend: Backend, stream: Stream, counter: TokenCounter) -> None:
        self.stream = stream
        self.rows: list[Row] = []
        self.edits: list[Kept] = []
        self.head = 0
        self.complete = False
        self._backend = backend
        self._counter = counter
        self._answers: list[Said] = []
        self._versions: list[int] = []  # of `rows`
        self._asked = False  # somebody spoke since the last answer
        self._last: datetime | None = None

    def read(self, piece: int = PIECE) -> bool:
        """Read up to `piece` further entries; say whether there are more."""
        found = self._backend.read(self.stream, after=self.head, limit=piece, kinds=READ)
        for entry in found:
            row = self._said(entry) if entry.kind == MESSAGE else self._mark(entry)
            self.rows.append(row)
            self._versions.append(entry.version)
            self.head = entry.version
            self._last = entry.created_at
        self.complete = len(found) < piece
        return not self.complete

    # -- calls ---------------------------------------------------------------------------

    @property
    def turns(self) -> int:
        """How many model calls there are, the one that is due included."""
        return len(self._answers) + (self._asked and self.complete)

    @property
    def messages(self) -> int:
        """How many messages were read."""
        return sum(isinstance(row, Said) for row in self.rows)

    def call(self, number: int) -> Call:
        """Return call `number`, from 1 on."""
        if number > len(self._answers):
            at = self._last or datetime.min.replace(tzinfo=UTC)
            return Call(number, self._backend.head(self.stream), None, at)
        answer = self._answers[number - 1]
        return Call(number, answer.version - 1, answer.version, answer.at)

    def turn_of(self, version: int) -> int:
        """Return the call that came next at `version`, or is answered there."""
        number = bisect_left(self._answers, version, key=lambda said: said.version) + 1
        return max(1, min(number, self.turns))

    def call_behind(self, head: int) -> int:
        """Return the number of the call whose window ends at `head`."""
        return bisect_right(self._answers, head, key=lambda said: said.version) + 1

    # -- rows ----------------------------------------------------------------------------

    def row_of(self, version: int) -> int:
        """Return the index of the row of `version`, or of what follows it."""
        return bisect_left(self._versions, version)

    def said(self, version: int) -> Said | None:
        """Return the message `version`, None if it is none."""
        index = self.row_of(version)
        row = self.rows[index] if index < len(self.rows) else None
        return row if isinstance(row, Said) and row.version == version else None

    def edit_at(self, head: int) -> Kept:
        """Return which messages were in view at `head`."""
        index = bisect_right(self.edits, head, key=lambda kept: kept.version)
        return self.edits[index - 1] if index else Kept()

    def removal_of(self, version: int, head: int) -> Kept | None:
        """Return the edit that put `version` out of view, of those up to `head`."""
        removed = None
        for kept in self.edits:
            if version < kept.version <= head:
                removed = (removed or kept) if not kept.holds(version) else None
        return removed

    # -- inside --------------------------------------------------------------------------

    def _said(self, entry: Entry) -> Said:
        message = given(entry)
        said = Said(
            entry.version,
            len(self._answers) + 1,
            message.role,
            message.name,
            line_of(message),
            _tokens(entry, message, self._counter),
            message.created_at,
            message.pinned,
            "shaped" in entry.body,
            any(result.is_error for result in message.tool_results),
        )
        if message.role == "assistant":
            self._answers.append(said)
        if message.role != "system":
            self._asked = message.role != "assistant"
        return said

    def _mark(self, entry: Entry) -> Mark:
        if entry.kind == KEPT:
            self.edits.append(Kept.of(entry))
        told = {name: entry.body[name] for name in (*_TOLD, *_TOLD_TOO) if name in entry.body}
        return Mark(entry.version, len(self._answers) + 1, entry.kind, entry.created_at, told)


def line_of(message: Message) -> str:
    """Return what a message says and calls, on one line."""
    words = []
    for part in message.content:
        if isinstance(part, TextPart):
            words.append(part.text[: 4 * LINE])
        elif isinstance(part, ThinkingPart):
            words.append(f"({part.text[:LINE] or '…'})")
        elif isinstance(part, ImagePart):
            words.append("(image)")
    for call in message.tool_calls:
        given_ = call.raw_arguments or codec.encode(call.arguments).decode("utf-8", "replace")
        words.append(f"→ {call.name}({given_[:LINE]})")
    for result in message.tool_results:
        sign = "✗" if result.is_error else "←"
        words.append(f"{sign} {result.name or ''} {result.text[: 4 * LINE]}".replace("  ", " "))
    return short(" ".join(words), LINE)


def _tokens(entry: Entry, message: Message, counter: TokenCounter) -> int:
    counts = entry.body.get("tokens", {})
    if counter.name in counts:
        return int(counts[counter.name])
    return int(next(iter(counts.values()))) if counts else counter.count(message)
