"""Subject: what an analysis reads of a session; whoever holds the session implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from ctxplug.messages import Logged
from ctxplug.records import MemoryRecord
from ctxplug.tracing.analysis.values import Haystack
from ctxplug.tracing.step import Step


@dataclass(frozen=True)
class Seen:
    """What a model was sent: all that it says, calls and tools included, and each message's form.

    `fates` tell it by version: "verbatim", or the name of the strategy that changed it; what
    is missing there was not sent at all.
    """

    said: str
    fates: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def text(self) -> Haystack:
        """All that it says, to look for values in."""
        return Haystack(self.said)


class Subject(Protocol):
    """One session with its steps.

    `steps` are its own, oldest first, `history` those of other sessions of the namespace;
    `messages` are all that its log holds, as they were given, those out of view too;
    `memories` are the namespace's; `failed` says why the session is marked as failed,
    `completed` whether it is marked so.
    """

    @property
    def session(self) -> str:
        """Its name."""

    @property
    def steps(self) -> Sequence[Step]:
        """Its steps, oldest first."""

    @property
    def history(self) -> Sequence[Step]:
        """Steps of other sessions, to compare with."""

    @property
    def messages(self) -> Sequence[Logged]:
        """All messages of its log, oldest first."""

    @property
    def memories(self) -> Sequence[MemoryRecord]:
        """The namespace's memories."""

    @property
    def failed(self) -> str | None:
        """Why it failed, if it is marked so; None otherwise."""

    @property
    def completed(self) -> bool:
        """Whether it is marked as completed."""

    def seen(self, step: Step) -> Seen | None:
        """Return the window of a window step, made again; None if that cannot be done."""


@dataclass(frozen=True)
class Recorded:
    """A Subject of what is at hand: steps, messages, and windows by the id of their step."""

    session: str
    steps: Sequence[Step] = ()
    messages: Sequence[Logged] = ()
    windows: Mapping[str, Seen] = field(default_factory=dict)
    history: Sequence[Step] = ()
    memories: Sequence[MemoryRecord] = ()
    failed: str | None = None
    completed: bool = False

    def seen(self, step: Step) -> Seen | None:
        """Return the window that was given for the step."""
        return self.windows.get(step.id)
