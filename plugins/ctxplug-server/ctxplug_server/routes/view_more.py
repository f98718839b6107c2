"""What the viewer shows besides: steps, findings, comparisons, spending and memories."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.responses import Response

from ctxplug.times import to_datetime
from ctxplug_server.routes.answers import router
from ctxplug_server.routes.looking import Language, Limit, Looking, Start
from ctxplug_server.routes.places import MemoryId, Session
from ctxplug_server.routes.view import Budget, Cursor
from ctxplug_server.viewing import comparing, findings, memories, steps

view_more = router("view")

Time = Annotated[str | None, Query(description="ISO 8601, such as 2026-05-01T18:30+08:00.")]


@view_more.get("/view/sessions/{session}/steps")
async def view_session_steps(
    look: Looking,
    session: Session,
    start: Start = 0,
    limit: Limit = 100,
    kind: Annotated[str | None, Query(description="One kind, such as tool.")] = None,
    errors: Annotated[bool, Query(description="Only what did not end well.")] = False,
    around: Annotated[str | None, Query(description="The page that has this step.")] = None,
) -> Response:
    """List what was traced, each step behind its parent, with its depth and its time."""
    return await look.at(
        session, lambda held: steps.steps(held, start, limit, kind, errors, around)
    )


@view_more.get("/view/sessions/{session}/findings")
async def view_session_findings(look: Looking, session: Session, lang: Language = "en") -> Response:
    """Tell what the analyzer finds; while it looks, the answer is 202 and `pending`."""
    jobs = look.viewing.jobs
    return await look.at(session, lambda held: findings.findings(held, jobs, look.agent, lang))


@view_more.get("/view/sessions/{session}/compare")
async def view_session_compare(
    look: Looking,
    session: Session,
    policies: Annotated[str, Query(description="One to four, parted by commas.")] = (
        "balanced,aggressive"
    ),
    budget: Budget = None,
) -> Response:
    """Set policies side by side on the calls of a session; 202 and `pending` while it computes."""
    viewing = look.viewing
    again = viewing.again(look.caller.namespace(), session, look.agent)
    return await look.at(
        session,
        lambda held: comparing.compare(held, viewing.jobs, again, look.agent, policies, budget),
    )


@view_more.get("/view/usage")
async def view_usage(
    look: Looking,
    by: Annotated[Literal["hour", "day"], Query(description="How wide a bucket is.")] = "day",
    since: Time = None,
    until: Time = None,
) -> Response:
    """Add up tokens and cost of one namespace, or of all that the caller sees."""
    begin = to_datetime(since) if since else None
    end = to_datetime(until) if until else None

    def make() -> Any:
        return look.viewing.spending(look.namespaces(), look.agent, by, begin, end)

    return await look.answer(make)


@view_more.get("/view/memories")
async def view_memories(
    look: Looking,
    q: Annotated[str | None, Query(description="What is looked for, as by recall.")] = None,
    kind: Annotated[str | None, Query(description="One kind, such as fact.")] = None,
    tier: Annotated[Literal["short", "medium", "long"] | None, Query()] = None,
    tags: Annotated[list[str] | None, Query(description="All must be present.")] = None,
    include: Annotated[
        Literal["current", "superseded", "all"],
        Query(description="What holds now; what held once too; messages that are found too."),
    ] = "superseded",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List memories, the newest first, or with `q` what recall would find, and why."""
    namespace = look.caller.namespace()

    def make() -> Any:
        return memories.memories(
            look.viewing.backend(look.agent),
            look.viewing.reading(look.agent),
            namespace,
            q=q,
            kind=kind,
            tier=tier,
            tags=tags or [],
            include=include,
            limit=limit,
            cursor=cursor,
        )

    return await look.answer(make)


@view_more.get("/view/memories/{id}")
async def view_memory(look: Looking, id: MemoryId) -> Response:
    """Tell a memory whole: what it was made from, what it replaced and what replaced it."""
    namespace = look.caller.namespace()

    def make() -> Any:
        told = memories.memory(look.viewing.backend(look.agent), namespace, id)
        return {**told, "may": {"write": look.caller.may("write")}}

    return await look.answer(make)
