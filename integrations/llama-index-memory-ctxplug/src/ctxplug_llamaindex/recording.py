"""Recorder: adds to the log of a session what LlamaIndex hands over, each message once."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ctxplug import AgentMemory, Message
from ctxplug.messages import Logged
from ctxplug_llamaindex.unseen import behind, beyond, leaving, sign, unshared

How = Literal["put", "history", "leaving"]

LOOKED_AT = 400  # of the newest messages in the log, for those that are handed over again
KNOWN = 1_024  # sessions of which more is known than their logs tell


@dataclass(eq=False)
class _Handed:
    """Messages that wait to be recorded, and what came of it."""

    said: Sequence[Message]
    how: How
    error: BaseException | None = None


@dataclass(eq=False)
class _Session:
    """What this process knows of a session."""

    lock: threading.Lock = field(default_factory=threading.Lock)  # of who reads and writes the log
    waiting: deque[_Handed] = field(default_factory=deque)
    left: int | None = None  # the version in the log of the last that left the history
    sure: bool = False  # that it is this one, though the same words may stand elsewhere
    stored: dict[str, str] = field(default_factory=dict)  # signs as given and as stored


class Recorder:
    """Reads the end of a log and writes what it lacks, in the order it was handed over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: OrderedDict[tuple[object, ...], _Session] = OrderedDict()

    def hand_over(
        self, memory: AgentMemory, said: Sequence[Message], how: How
    ) -> Callable[[], None]:
        """Take messages that are to be in the log of the memory's session, each once.

        They were "put" here, are the "history" as it is read, or the part that is "leaving"
        it. Nothing is done yet: what is returned records them, after all that was handed over
        before, on whatever thread it is called. Called again it does nothing.
        """
        handed = _Handed(said, how)
        session = self._session((memory.scope.namespace, memory.scope.session), handed)

        def record() -> None:
            with session.lock:
                while session.waiting and handed in session.waiting:
                    first = session.waiting[0]
                    try:
                        _record(memory, session, first)
                    except BaseException as exc:
                        first.error = exc
                    session.waiting.popleft()
            error, handed.error = handed.error, None
            if error is not None:
                raise error

        return record

    def _session(self, key: tuple[object, ...], handed: _Handed) -> _Session:
        """Return what is known of a session, with `handed` waiting in it."""
        with self._lock:
            session = self._sessions.setdefault(key, _Session())
            session.waiting.append(handed)
            self._sessions.move_to_end(key)
            oldest = next(iter(self._sessions))
            if len(self._sessions) > KNOWN and not self._sessions[oldest].waiting:
                del self._sessions[oldest]
            return session


def _record(memory: AgentMemory, known: _Session, handed: _Handed) -> None:
    """Add what was handed over and is not in the log yet."""
    said, signs = handed.said, [sign(message) for message in handed.said]
    signs = [known.stored.get(given, given) for given in signs]
    if not said:
        return
    if handed.how == "leaving":
        _let_leave(memory, known, said, signs)
        return
    log = memory.session.log(last=len(said) + 2)
    there = _signs(log[-len(said) - 1 :])
    new = None
    if handed.how == "history":
        if not known.sure and len(log) < len(said) + 2 and behind(there, signs) == []:
            known.left, known.sure = 0, True  # all that was ever said is in the history
        if known.sure and known.left is not None and log:
            new = behind(_signs([one for one in log if one.version > known.left]), signs)
    if new is None:
        new = beyond(there, signs, put=handed.how == "put")
    if new is None:
        there = _signs(memory.session.log(last=max(LOOKED_AT, 2 * len(said))))
        new = unshared(there, signs, altered=memory.redacts)
    if not there:
        known.left, known.sure = 0, True
    _add(memory, [said[n] for n in new], known)


def _let_leave(
    memory: AgentMemory, known: _Session, said: Sequence[Message], signs: Sequence[str]
) -> None:
    """Add what of the messages that leave the history is not in the log, and note how far it is."""
    log = memory.session.log(last=max(LOOKED_AT, 2 * len(said)))
    left = known.left if log else 0
    there = _signs(log)
    before = None if left is None else sum(one.version <= left for one in log)
    place = leaving(there, signs, before)
    # Elsewhere than behind what left before, the same words may stand several times.
    known.sure = known.sure and place is not None and before in (place[1] - place[0], len(log))
    if place is not None:
        new = list(range(place[0], len(signs)))
    else:
        after = beyond(there, signs)
        new = unshared(there, signs, altered=memory.redacts) if after is None else after
    added = _add(memory, [said[n] for n in new], known)
    known.left = added or log[place[1] - 1 if place else -1].version


def _signs(log: Sequence[Logged]) -> list[str]:
    return [sign(one.message) for one in log]


def _add(memory: AgentMemory, new: Sequence[Message], known: _Session) -> int:
    """Add messages, and return the version of the last one; 0 if there are none."""
    if not new:
        return 0
    stored = memory.extend(new)
    if memory.redacts:  # another process does not know it, and goes by what stands where
        pairs = zip(map(sign, new), map(sign, stored), strict=True)
        known.stored |= {given: kept for given, kept in pairs if given != kept}
    return memory.session.log(last=1)[0].version
