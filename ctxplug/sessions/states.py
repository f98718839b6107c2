"""The states of a session, what may follow on what, and how its log tells of them.

A session is **created** until something is said in it, then **active**, and **idle** or
**expired** once nothing was said for long (`SessionPolicy`): that follows from its log and
the time, and nobody writes it down. **suspended**, **completed** and **failed** it is made;
each, like a return from it and a change of metadata, is a pinned entry of kind SESSION whose
body says all there is to know, so that the newest one is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ctxplug.errors import InvalidValueError, SessionStateError
from ctxplug.sessions.log import ENDS, MESSAGE
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.storage import Backend, Entry, Stream
from ctxplug.storage.kept import KEPT

SESSION = "session"
CREATED, ACTIVE, IDLE = "created", "active", "idle"
SUSPENDED, COMPLETED, FAILED, EXPIRED = "suspended", "completed", "failed", "expired"
STATES = (CREATED, ACTIVE, IDLE, SUSPENDED, COMPLETED, FAILED, EXPIRED)
OPEN = (CREATED, ACTIVE, IDLE)  # those in which a session can be written to
ENDED = (COMPLETED, FAILED, EXPIRED)
SAID = (MESSAGE, ENDS, KEPT)  # entries after which a session is not idle

# What a session may be made, by what it is. Time and messages do the rest.
LEGAL: Mapping[str, Sequence[str]] = {
    CREATED: (SUSPENDED, COMPLETED, FAILED),
    ACTIVE: (SUSPENDED, COMPLETED, FAILED),
    IDLE: (SUSPENDED, COMPLETED, FAILED),
    SUSPENDED: (ACTIVE, COMPLETED, FAILED),
    COMPLETED: (ACTIVE,),
    FAILED: (ACTIVE,),
    EXPIRED: (ACTIVE, COMPLETED, FAILED),
}
_VERBS = {ACTIVE: "resume", SUSPENDED: "suspend", COMPLETED: "complete", FAILED: "fail"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What the SESSION entry `version` of time `at` says: what the session was made, and when.

    ACTIVE is what was made nothing else, or resumed.
    """

    version: int = 0
    at: datetime | None = None
    made: str = ACTIVE
    since: datetime | None = None
    reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, entry: Entry) -> Standing:
        """Read a SESSION entry."""
        body = entry.body
        since = body.get("since")
        return cls(
            entry.version,
            entry.created_at,
            body["state"],
            None if since is None else datetime.fromisoformat(since),
            body.get("reason"),
            body.get("metadata", {}),
        )

    def body(self, event: str, **more: Any) -> dict[str, Any]:
        """Return the body of the entry that says so; `event` is why it was written."""
        said: dict[str, Any] = {"event": event, "state": self.made, **more}
        if self.since is not None:
            said["since"] = self.since.isoformat()
        if self.reason is not None:
            said["reason"] = self.reason
        if self.metadata:
            said["metadata"] = dict(self.metadata)
        return said


def standing_of(
    backend: Backend, stream: Stream, *, after: int = 0, before: int | None = None
) -> Standing | None:
    """Return what the newest SESSION entry between `after` and `before` says, if there is one."""
    found = backend.read(
        stream, after=after, before=before, kinds=[SESSION], pinned=True, newest_first=True, limit=1
    )
    return Standing.of(found[0]) if found else None


def last_said(backend: Backend, stream: Stream) -> datetime | None:
    """Return when something was last said or edited; None if nothing was."""
    found = backend.read(stream, kinds=SAID, newest_first=True, limit=1)
    return found[0].created_at if found else None


def state_at(
    standing: Standing, said: datetime | None, policy: SessionPolicy, now: datetime
) -> tuple[str, datetime | None]:
    """Return the state at `now`, and since when it is that, as far as it is known.

    `said` is when something was last said.
    """
    since = standing.since
    if standing.made == SUSPENDED and since is not None:
        over = _past(since, policy, "suspended_for", now)
        return (EXPIRED, over) if over else (SUSPENDED, since)
    if standing.made != ACTIVE:
        return standing.made, since
    last = max((time for time in (said, since) if time is not None), default=standing.at)
    if last is not None:
        if over := _past(last, policy, "expire_after", now):
            return EXPIRED, over
        if said is not None and (over := _past(last, policy, "idle_after", now)):
            return IDLE, over
    return (CREATED if said is None else ACTIVE), since


def _past(since: datetime, policy: SessionPolicy, name: str, now: datetime) -> datetime | None:
    """Return when the time `name` of the policy was over, None if it is not."""
    time = policy.time(name)
    return since + time if time is not None and now - since >= time else None


def to_states(given: str | Iterable[str] | None) -> list[str] | None:
    """Return one state, or several, as a list; raise InvalidValueError if one is none."""
    if given is None:
        return None
    states = [given] if isinstance(given, str) else list(given)
    for one in states:
        if one not in STATES:
            raise InvalidValueError(
                f"There is no state {one!r}; it is one of {', '.join(STATES)}.", path="state"
            )
    return states


def to_text(value: object, what: str) -> str:
    """Return `value` if it is text, else raise InvalidValueError that names `what`."""
    if not isinstance(value, str):
        raise InvalidValueError(f"The {what} is text, not {value!r:.60}.", path=what)
    return value


def require_legal(session: str, state: str, wanted: str) -> None:
    """Raise SessionStateError unless a session in `state` may be made `wanted`."""
    legal = LEGAL[state]
    if wanted in legal:
        return
    verbs = ", ".join(f"session.{_VERBS[one]}()" for one in legal)
    if wanted in (ACTIVE, state):
        text = f"The session {session!r} is {state}; there is nothing to {_VERBS[wanted]}."
    else:
        text = f"The session {session!r} is {state}, and from that it cannot become {wanted}."
    raise SessionStateError(
        f"{text} What it allows is {verbs}.",
        session=session,
        state=state,
        wanted=wanted,
        legal=tuple(legal),
    )


def require_open(session: str, state: str, reason: str | None = None) -> None:
    """Raise SessionStateError unless a session in `state` can be written to."""
    if state in OPEN:
        return
    why = f" ({reason})" if reason else ""
    raise SessionStateError(
        f"The session {session!r} is {state}{why}, so nothing is added to it. Go on with it by"
        " session.resume(), or from it in another by session.fork().",
        session=session,
        state=state,
        legal=tuple(LEGAL[state]),
    )
