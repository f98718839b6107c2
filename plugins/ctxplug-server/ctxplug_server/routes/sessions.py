"""Sessions: their states, metadata, snapshots, forks and edits."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any, Literal

from fastapi import Query, Response

from ctxplug.messages import Logged, Message
from ctxplug.sessions.info import SessionState
from ctxplug.sessions.snapshots import Snapshot
from ctxplug.storage import EraseReceipt
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.routes.places import Session
from ctxplug_server.schemas.sessions import (
    Forked,
    ForkIn,
    KeepIn,
    Metadata,
    MetadataIn,
    ReasonIn,
    Restored,
    RestoreIn,
    SnapshotIn,
)
from ctxplug_server.schemas.shown import model_of, several

State = Literal["created", "active", "idle", "suspended", "completed", "failed", "expired"]

sessions = router("sessions")


@sessions.get("/sessions", **gives(several("sessions", SessionState)))
def list_sessions(
    caller: Calling,
    state: Annotated[list[State] | None, Query(description="Only in one of these states.")] = None,
    parent: Annotated[str | None, Query(description="Only forks of this session.")] = None,
    limit: Annotated[int | None, Query(ge=0, description="How many at most.")] = None,
) -> Response:
    """List the sessions of the namespace, those that last grew first."""
    found = caller.memory().sessions(state, parent=parent, limit=limit)
    return answer({"sessions": found})


@sessions.get("/sessions/{session}", **gives(model_of(SessionState)))
def get_session(caller: Calling, session: Session) -> Response:
    """Say what is known of a session; one that was never written to is "created"."""
    return answer(caller.memory(session).session.info())


@sessions.patch("/sessions/{session}", **gives(Metadata))
def update_session(caller: Calling, session: Session, body: MetadataIn) -> Response:
    """Change a session's metadata, in any state; a key that is null goes."""
    memory = caller.memory(session, "write")
    return answer({"metadata": memory.session.update(body.metadata)})


@sessions.delete("/sessions/{session}", **gives(model_of(EraseReceipt)))
def erase_session(caller: Calling, session: Session) -> Response:
    """Remove all that was said in a session, and its trace. Takes the right "admin"."""
    return answer(caller.memory(session, "admin").session.erase())


@sessions.post("/sessions/{session}/suspend", **gives(model_of(SessionState)))
def suspend_session(caller: Calling, session: Session, body: ReasonIn | None = None) -> Response:
    """Let nothing be added to a session until it is resumed."""
    return _made(caller, session, "suspend", **_reason(body))


@sessions.post("/sessions/{session}/resume", **gives(model_of(SessionState)))
def resume_session(caller: Calling, session: Session) -> Response:
    """Go on with a session that was suspended, completed or failed, or has expired."""
    return _made(caller, session, "resume")


@sessions.post("/sessions/{session}/complete", **gives(model_of(SessionState)))
def complete_session(caller: Calling, session: Session) -> Response:
    """Close a session: what it was for is done."""
    return _made(caller, session, "complete")


@sessions.post("/sessions/{session}/fail", **gives(model_of(SessionState)))
def fail_session(caller: Calling, session: Session, body: ReasonIn | None = None) -> Response:
    """Close a session: what it was for failed."""
    return _made(caller, session, "fail", **_reason(body))


@sessions.post("/sessions/{session}/fork", **gives(Forked, 201))
def fork_session(caller: Calling, session: Session, body: ForkIn | None = None) -> Response:
    """Branch off: make a new session whose past is this one's."""
    memory = caller.memory(session, "write")
    with closing(memory.session.fork(**(body.given() if body else {}))) as fork:
        return answer({"session": fork.session.id}, 201)


@sessions.post("/sessions/{session}/restore", **gives(Restored))
def restore_session(caller: Calling, session: Session, body: RestoreIn) -> Response:
    """Go back to a snapshot or version; nothing leaves the log."""
    return answer({"version": caller.memory(session, "write").session.restore(body.to)})


@sessions.post("/sessions/{session}/keep", **gives(several("messages", Message)))
def keep_messages(caller: Calling, session: Session, body: KeepIn) -> Response:
    """Go on from these versions alone, and then those messages; one atomic write."""
    kept = caller.memory(session, "write").session.keep(
        body.versions,
        body.then,
        expected=body.expected,
        recallable=body.recallable,
        note=body.note,
    )
    return answer({"messages": kept})


@sessions.get("/sessions/{session}/snapshots", **gives(several("snapshots", Snapshot)))
def list_snapshots(caller: Calling, session: Session) -> Response:
    """List a session's snapshots, oldest first; a fork has those of its past too."""
    return answer({"snapshots": caller.memory(session).session.snapshots()})


@sessions.post("/sessions/{session}/snapshots", **gives(model_of(Snapshot), 201))
def make_snapshot(caller: Calling, session: Session, body: SnapshotIn) -> Response:
    """Mark where a session stands, under a name."""
    return answer(caller.memory(session, "write").session.snapshot(body.name, body.note), 201)


@sessions.get("/sessions/{session}/log", **gives(several("log", Logged, head=int, note=dict)))
def read_log(
    caller: Calling,
    session: Session,
    after: Annotated[int, Query(ge=0, description="Only versions above this.")] = 0,
    last: Annotated[int | None, Query(ge=0, description="Only so many of the newest.")] = None,
    kept: Annotated[bool, Query(description="Only what is in view.")] = True,
) -> Response:
    """Read the messages with their versions, what edits put out of view too if asked for."""
    one = caller.memory(session).session
    log = one.log(after=after, last=last, kept=kept)
    return answer({"log": log, "head": one.head, "note": one.note})


def _made(caller: Calling, session: Session, verb: str, **reason: Any) -> Response:
    one = caller.memory(session, "write").session
    getattr(one, verb)(**reason)
    return answer(one.info())


def _reason(body: ReasonIn | None) -> dict[str, Any]:
    return {} if body is None else body.given()
