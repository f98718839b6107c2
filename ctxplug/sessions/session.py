"""Session: one conversation inside a namespace, and what of it is in view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any

from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.messages import Logged, Message
from ctxplug.scope import Namespace
from ctxplug.sessions.attempts import until_written
from ctxplug.sessions.branches import Branches
from ctxplug.sessions.host import SessionHost
from ctxplug.sessions.life import SessionLife
from ctxplug.sessions.log import SessionLog, given
from ctxplug.storage import Append, Backend, Op
from ctxplug.storage.kept import KEPT, Kept, Run, to_runs, without


class Session(SessionLife, Branches):
    """The session a memory writes to; `id` is unique within the namespace.

    An edit (`keep`, `restore`) decides which of its messages are in view from now on: in
    windows, in `memory.messages()` and here. It is an entry of the log, from which nothing is
    removed.
    """

    def __init__(self, backend: Backend, log: SessionLog, host: SessionHost) -> None:
        self._backend = backend
        self._log = log
        self._host = host

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
        check_whole(after, "after")
        if last is not None:
            check_whole(last, "last")
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
        more = {"note": dict(note)} if note else {}

        def attempt() -> list[Message]:
            head, before = self._in_view(runs, expected)
            ops = self._edit_ops(head, before, runs, recallable=recallable, **more)
            return self._host.add(messages, ops)

        return until_written(attempt) if expected is None else attempt()

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

    def _viewed(self) -> list[Run]:
        """Return the runs of what is in view."""
        head, kept = self.head, self._log.kept()
        return kept.up_to(max(head, kept.version))

    def _edit_ops(
        self,
        head: int,
        before: Sequence[Run],
        after: Sequence[Run],
        *,
        recallable: bool = False,
        **more: Any,
    ) -> list[Op]:
        """Return what makes the view `after` of `before`, at version `head` and at no other."""
        from ctxplug.sessions.recallable import RecallChange, recall_change  # at first use

        stream = self._log.stream
        change = (
            RecallChange() if recallable else recall_change(self._backend, stream, before, after)
        )
        edit = Append(
            stream=stream,
            kind=KEPT,
            body={"runs": [list(run) for run in after], **more, **change.to_dict()},
            created_at=datetime.now(UTC),
            pinned=True,
            expected=head,
        )
        return [edit, *change.ops]

    def _moved(self, expected: int, head: int) -> ConflictError:
        return ConflictError(
            f"The session {self.id!r} is at version {head}, not {expected}: somebody wrote to it"
            " meanwhile. Read it again and decide anew.",
            expected=expected,
            found=head,
        )


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


def check_whole(value: object, what: str) -> None:
    """Raise InvalidValueError that names `what` unless `value` is a number from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValueError(f"{what} is a number from 0 on, not {value!r:.60}.", path=what)
