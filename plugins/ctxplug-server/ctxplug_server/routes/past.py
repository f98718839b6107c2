"""The past of a session: what was in view at a version, as a replay asks for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel

from ctxplug.messages import Logged
from ctxplug.storage import Stream
from ctxplug.tracing.past import LogPast
from ctxplug.tracing.step import Step
from ctxplug_server.caller import Caller, Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.routes.places import Session
from ctxplug_server.schemas.shown import several

past = router("traces")

After = Annotated[int, Query(ge=0, description="Only versions above this.")]


class MomentShown(BaseModel):
    """An entry of the log that decides what is in view."""

    version: int
    at: str


class MomentsShown(BaseModel):
    """Messages and edits of the log, oldest first."""

    moments: list[MomentShown]


@past.get("/sessions/{session}/replay", **gives(several("steps", Step)))
def begin_replay(caller: Calling, session: Session) -> Response:
    """Return the steps of a session, in the order they began, for a replay of it."""
    return answer({"steps": caller.memory(session).trace.replay().steps})


@past.get("/sessions/{session}/past/messages", **gives(several("messages", Logged)))
def past_messages(
    caller: Calling,
    session: Session,
    upto: Annotated[int, Query(ge=0, description="As it was at this version.", examples=[9])],
    after: After = 0,
) -> Response:
    """Return the messages that were in view at a version of the log, as they were given."""
    caller.memory(session).session.log(last=0)  # reading is entered where reads are audited
    return answer({"messages": _past(caller, session).messages(upto, after=after)})


@past.get("/sessions/{session}/past/moments", **gives(MomentsShown))
def past_moments(
    caller: Calling,
    session: Session,
    upto: Annotated[int | None, Query(ge=0, description="Only up to this version.")] = None,
    after: After = 0,
) -> Response:
    """Return which versions are messages and edits, and when they were written."""
    found = _past(caller, session).moments(after, upto)
    return answer({"moments": [{"version": v, "at": at.isoformat()} for v, at in found]})


def _past(caller: Caller, session: str) -> LogPast:
    memory = caller.memory(session)
    stream = Stream(memory.scope.namespace, memory.scope.session)
    return LogPast(memory.backend, stream, memory.trace.window)
