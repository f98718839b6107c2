"""Messages, what stands behind a reference, and the window for the next model call."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from ctxplug import codec
from ctxplug.context.sections import Section
from ctxplug.context.window import ContextWindow
from ctxplug.messages import Message
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.routes.places import Session
from ctxplug_server.schemas.sessions import (
    ContextIn,
    Expanded,
    MessagesAdded,
    MessagesIn,
    SectionIn,
)
from ctxplug_server.schemas.shown import model_of, several
from ctxplug_server.wire import write_window
from ctxplug_server.working import busy

messages = router("messages")

Ref = Annotated[str, Query(description='Such as "@12", "@3-40" or "trip@12".', examples=["@12"])]


@messages.get("/sessions/{session}/messages", **gives(several("messages", Message)))
def list_messages(
    caller: Calling,
    session: Session,
    last: Annotated[int | None, Query(ge=0, description="Only so many of the newest.")] = None,
) -> Response:
    """List the messages in view, oldest first, as they were stored."""
    return answer({"messages": caller.memory(session).messages(last)})


@messages.post("/sessions/{session}/messages", **gives(MessagesAdded, 201))
def add_messages(caller: Calling, session: Session, body: MessagesIn) -> Response:
    """Add messages in one atomic write; when it is answered, they are durable."""
    memory = caller.memory(session, "write")
    added = memory.extend(body.messages)
    return answer({"messages": added, "head": memory.session.head}, 201)


@messages.get("/sessions/{session}/original", **gives(several("messages", Message)))
def get_original(caller: Calling, session: Session, ref: Ref) -> Response:
    """Return the messages, byte for byte, behind a reference in a shortened part."""
    return answer({"messages": caller.memory(session).original(ref)})


@messages.get("/sessions/{session}/expand", **gives(Expanded))
def expand(
    caller: Calling,
    session: Session,
    ref: Ref,
    start: Annotated[int, Query(description="The character to go on from.")] = 0,
) -> Response:
    """Show up to 8,000 characters of what a shortened part said, as a model is shown it."""
    return answer({"text": caller.memory(session).expand(ref, start)})


@messages.post("/sessions/{session}/context", **gives(model_of(ContextWindow)))
@busy
def make_context(caller: Calling, session: Session, body: ContextIn | None = None) -> Response:
    """Make the window for the next model call; it may compact what was sent before."""
    asked = body or ContextIn.model_validate({})
    window = caller.memory(session, "write").context(
        asked.query,
        budget=asked.budget,
        system=asked.system,
        tools=asked.tools,
        reserved=asked.reserved,
        sections=None if asked.sections is None else map(_section, asked.sections),
    )
    return Response(
        codec.encode(write_window(window, fates=asked.fates)), media_type="application/json"
    )


def _section(given: SectionIn) -> Section:
    return Section(
        given.name,
        given.content,
        priority=given.priority,
        budget=given.budget,
        cacheable=given.cacheable,
        place=given.place,
    )
