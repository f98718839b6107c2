"""Gate: may a session be written to? Asked before every message, so it must cost next to nothing.

What is known is not looked up again: the write itself is refused if the log has an entry of
kind SESSION that the gate does not know (`Append.unless`), and then it looks. Now and then it
looks all the same, should the log have been erased and written anew beyond what was known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.states import (
    ACTIVE,
    OPEN,
    SESSION,
    Standing,
    last_said,
    require_open,
    standing_of,
    state_at,
)
from ctxplug.storage import Backend, Stream

TRUSTED = 64  # so often is what is known built upon before it is looked up again


@dataclass(frozen=True, slots=True)
class _Known:
    upto: int
    standing: Standing
    said: datetime | None


class Gate:
    """Lets messages into the session of `stream`. Usable from any thread."""

    def __init__(self, backend: Backend, stream: Stream, policy: SessionPolicy) -> None:
        self._backend = backend
        self._stream = stream
        self._policy = policy
        self._ages = policy.expire_after is not None
        self._known: _Known | None = None
        self._uses = 0

    def require_open(self, at: datetime, *, look: bool = False) -> None:
        """Raise SessionStateError unless something of the time `at` can be added.

        With `look` nothing that was known before counts.
        """
        known = self._known
        if known is not None and not look and self._uses < TRUSTED:
            self._uses += 1
            made = known.standing.made
            if made == ACTIVE and (not self._ages or self._state(known, at) in OPEN):
                return
        # Others may have resumed it, or gone on with it.
        known = self._look()
        require_open(self._stream.session, self._state(known, at), known.standing.reason)

    def unless(self) -> tuple[str, int] | None:
        """Return what must not be in the log for what is known to hold (`Append.unless`)."""
        return None if self._known is None else (SESSION, self._known.upto)

    def written(self, last: int, at: datetime) -> None:
        """Note that messages up to version `last`, of the time `at`, were written."""
        known = self._known
        if known:
            self._known = replace(known, upto=last, said=max(at, known.said or at))

    def moved(self, since: tuple[str, int] | None) -> bool:
        """Look again, and say whether it is otherwise than it was when `unless` gave `since`.

        Another thread may have looked meanwhile, so that nothing is new to the gate.
        """
        known, now = self._known, self._look()
        if known is None or since is None or since[1] != now.upto:
            return True
        return known.standing != now.standing

    def forget(self) -> None:
        """Forget what is known: the log was erased."""
        self._known = None

    def _state(self, known: _Known, at: datetime) -> str:
        return state_at(known.standing, known.said, self._policy, at)[0]

    def _look(self) -> _Known:
        head = self._backend.head(self._stream)
        standing = (head and standing_of(self._backend, self._stream)) or Standing()
        said = last_said(self._backend, self._stream) if head and self._ages else None
        self._known, self._uses = _Known(head, standing, said), 0
        return self._known
