"""Session: one conversation inside a namespace, and what of it is in view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from random import random
from time import sleep
from typing import Any

from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.messages import Logged, Message
from ctxplug.scope import Namespace
from ctxplug.sessions.log import SessionLog, given
from ctxplug.storage import Append, Backend, Delete, Op
from ctxplug.storage.kept import KEPT, Kept, Run, from_runs, to_runs, without

LONGEST_PAUSE = 0.05  # seconds before an edit is tried again

Add = Callable[[Sequence[Message], Sequence[Op]], list[Message]]


class Session:
    """The session a memory writes to; `id` is unique within the namespace.

    An edit (`keep`) decides which of its messages are in view from now on: in windows, in
    `memory.messages()` and here. It is an entry of the log, from which nothing is removed.
    """

    def __init__(self, backend: Backend, log: SessionLog, add: Add) -> None:
        self._backend = backend
        self._log = log
        self._add = add

    @property
    def id(self) -> str:
        """Its name."""
        return self._log.stream.session

    @property
    def namespace(self) -> Namespace:
        """The namespace that it is in."""
        return self._log.stream.namespace

    @property
    def head(self) -> int:
        """The version of the newest entry of its log, of whatever kind; 0 if it is empty."""
        return self._backend.head(self._log.stream)

    @property
    def note(self) -> Mapping[str, Any]:
        """What was noted with the newest edit; empty without one."""
        return self._log.kept().note

    def log(self, *, after: int = 0, last: int | None = None, kept: bool = True) -> list[Logged]:
        """Return the messages as they were given, with their versions, oldest first.

        `after` leaves out versions up to it, `last` all but so many of the newest; with
        `kept=False` what edits have put out of view is there too. The tokens are those that
        a message takes as it is sent.
        """
        if not kept:
            entries = list(Kept().entries(self._backend, self._log.stream, kind="message"))
        elif last is not None:
            entries = self._log.newest(last)
        else:
            entries = list(self._log.entries(after))
        chosen = [entry for entry in entries if entry.version > after]
        if last is not None:
            chosen = chosen[max(0, len(chosen) - last) :]
        return [
            Logged(entry.version, given(entry), self._log.logged(entry).tokens) for entry in chosen
        ]

    def keep(
        self,
        versions: Iterable[int],
        then: Iterable[Message] = (),
        *,
        expected: int | None = None,
        recallable: bool = False,
        note: Mapping[str, Any] | None = None,
    ) -> list[Message]:
        """Go on from the messages of `versions` alone, and then those of `then`.

        One atomic write: an edit, then the new messages, which are returned as stored. What
        leaves the view leaves recall too, unless `recallable`. `note` is JSON that stands in
        the entry. Raises ConflictError unless `head` is `expected`, where that is given, and
        InvalidValueError for a version that is not in view.
        """
        runs = _runs(versions)
        messages = list(then)
        pause = 0.001
        while True:
            head, in_view = self._in_view(runs, expected)
            left = [] if recallable else from_runs(without(in_view, runs))
            try:
                return self._add(messages, [self._edit(runs, note, head), *self._unlisted(left)])
            except ConflictError:
                if expected is not None:
                    raise
                sleep(random() * pause)  # others write at the same moment
                pause = min(2 * pause, LONGEST_PAUSE)

    async def alog(self, **options: Any) -> list[Logged]:
        """Async twin of `log`."""
        return await self._backend.arun(partial(self.log, **options))

    async def akeep(self, *args: Any, **options: Any) -> list[Message]:
        """Async twin of `keep`."""
        return await self._backend.arun(partial(self.keep, *args, **options))

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"Session({self.id!r}, {self.namespace!r})"

    # -- inside --------------------------------------------------------------------------

    def _in_view(self, runs: Sequence[Run], expected: int | None) -> tuple[int, list[Run]]:
        """Return the head and what is in view, or raise if it is not as `keep` was told."""
        head = self.head
        kept = self._log.kept()
        head = max(head, kept.version)  # somebody edited just now
        if expected is not None and head != expected:
            raise self._moved(expected, head)
        in_view = kept.up_to(head)
        foreign = without(runs, in_view)
        if foreign:
            raise InvalidValueError(
                f"Version {foreign[0][0]} of the session {self.id!r} is not in view, so it cannot"
                " be kept; `session.log()` lists what is.",
                path="versions",
            )
        return head, in_view

    def _edit(self, runs: Sequence[Any], note: Mapping[str, Any] | None, head: int) -> Append:
        body = {"runs": [list(run) for run in runs], **({"note": dict(note)} if note else {})}
        return Append(
            stream=self._log.stream,
            kind=KEPT,
            body=body,
            created_at=datetime.now(UTC),
            pinned=True,
            expected=head,
        )

    def _moved(self, expected: int, head: int) -> ConflictError:
        return ConflictError(
            f"The session {self.id!r} is at version {head}, not {expected}: somebody wrote to it"
            " meanwhile. Read it again and decide anew.",
            expected=expected,
            found=head,
        )

    def _unlisted(self, versions: Iterable[int]) -> list[Op]:
        """Return what takes messages out of recall; their entries stay."""
        return [Delete(self.namespace, f"{self.id}@{version}") for version in versions]


def _runs(versions: Iterable[int]) -> list[list[int]]:
    chosen = list(versions)
    if any(isinstance(v, bool) or not isinstance(v, int) or v < 1 for v in chosen) or any(
        second <= first for first, second in pairwise(chosen)
    ):
        raise InvalidValueError(
            "versions are those of messages, ascending, each once, as `session.log()` gives them;"
            f" not {chosen[:8]!r}.",
            path="versions",
        )
    return to_runs(chosen)
