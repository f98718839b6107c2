"""What the viewer shows of sessions: lists, conversations, model calls and their windows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from ctxplug_server.routes.answers import router
from ctxplug_server.routes.looking import Language, Limit, Looking, Start
from ctxplug_server.routes.places import Session
from ctxplug_server.viewing import calls, lines, overview, past_calls

view = router("view")

Number = Annotated[
    int, Path(description="Which model call, from 1 on.", ge=1, le=10**9, examples=[1])
]
Budget = Annotated[
    int | None, Query(description="What another budget would have sent.", ge=1, le=10_000_000)
]
Cursor = Annotated[str | None, Query(description="The `next` of the page before.")]


@view.get("/view/sessions")
async def view_sessions(
    look: Looking,
    q: Annotated[str | None, Query(description="Words of names, titles and messages.")] = None,
    state: Annotated[str | None, Query(description="One state, such as active.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List the sessions of one namespace, or of all that the caller sees, newest first."""

    def make() -> Any:
        return look.viewing.sessions(
            look.namespaces(), look.agent, q=q, state=state, limit=limit, cursor=cursor
        )

    return await look.answer(make)


@view.get("/view/sessions/{session}")
async def view_session_overview(look: Looking, session: Session) -> Response:
    """Tell what is known of a session; ask again while it is not `whole`."""
    return await look.at(session, lambda held: overview.overview(held, look.viewing.titles))


@view.get("/view/sessions/{session}/size")
async def view_session_size(look: Looking, session: Session) -> Response:
    """Tell how long a session is."""
    return await look.at(session, overview.size)


@view.get("/view/sessions/{session}/lines")
async def view_session_lines(
    look: Looking,
    session: Session,
    start: Annotated[
        int, Query(description="The first row; below zero, from the end.", ge=-(10**9), le=10**9)
    ] = 0,
    limit: Limit = 100,
) -> Response:
    """List the messages and marks of a conversation, each text of them up to a length."""
    return await look.at(session, lambda held: lines.lines(held, start, limit))


@view.get("/view/sessions/{session}/calls")
async def view_session_calls(
    look: Looking,
    session: Session,
    start: Start = 0,
    limit: Annotated[int, Query(description="How many at most.", ge=1, le=2_000)] = 500,
) -> Response:
    """List the model calls of a session as columns of a chart: what is known at once."""
    return await look.at(session, lambda held: calls.calls(held, start, limit))


@view.get("/view/sessions/{session}/calls/{number}")
async def view_session_call(
    look: Looking, session: Session, number: Number, budget: Budget = None
) -> Response:
    """Tell what one model call was sent, piece by piece, and what became of each message."""
    policy = look.caller.policy
    return await look.at(session, lambda held: past_calls.call_data(held, number, budget, policy))


@view.get("/view/sessions/{session}/calls/{number}/window")
async def view_session_window(
    look: Looking,
    session: Session,
    number: Number,
    budget: Budget = None,
    start: Start = 0,
    limit: Limit = 200,
) -> Response:
    """List the messages of one window as they were sent."""
    policy = look.caller.policy
    return await look.at(
        session, lambda held: past_calls.window_data(held, number, budget, policy, start, limit)
    )


@view.get("/view/sessions/{session}/messages/{version}")
async def view_session_message(
    look: Looking,
    session: Session,
    version: Annotated[
        int, Path(description="The version of its entry in the log.", ge=1, le=2**53, examples=[1])
    ],
    call: Annotated[int | None, Query(description="At which model call.", ge=1, le=10**9)] = None,
    budget: Budget = None,
    lang: Language = "en",
) -> Response:
    """Tell a message whole, what was sent of it at a call, and why."""
    policy = look.caller.policy
    return await look.at(
        session, lambda held: past_calls.message_of(held, version, call, budget, policy, lang)
    )
