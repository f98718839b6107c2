"""Journals: logs that adapters keep beside a conversation, such as when a history was cleared."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Response
from pydantic import BaseModel, ConfigDict

from ctxplug.errors import NotFoundError
from ctxplug.scope import RESERVED, Namespace, check_label
from ctxplug.storage import Append, Stream
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.schemas.kinds import Body, Object, Text

journals = router("sessions")

OPEN = ("history:",)  # whose names begin so; ctxplug's own logs are not to be had here
Id = Annotated[str, Path(description='Begins with "history:".', examples=["history:trip"])]


class JournalHead(BaseModel):
    """How far a journal has come."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"head": 1}]})

    head: int


class JournalEntryIn(Body):
    """What is entered."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "history.cleared", "body": {"session": "trip"}}]}
    )

    kind: Text
    body: Object


@journals.get("/journals/{id}", **gives(JournalHead))
def journal_head(caller: Calling, id: Id) -> Response:
    """Return the version of a journal's newest entry; 0 if it is empty."""
    memory = caller.memory()
    return answer({"head": memory.backend.head(_stream(memory.scope.namespace, id))})


@journals.post("/journals/{id}", **gives(JournalHead, 201))
def enter(caller: Calling, id: Id, body: JournalEntryIn) -> Response:
    """Append an entry to a journal."""
    memory = caller.memory(right="write")
    entry = Append(
        stream=_stream(memory.scope.namespace, id),
        kind=check_label(body.kind, "kind"),
        body=body.body,
        created_at=datetime.now(UTC),
        agent=memory.scope.agent,
    )
    return answer({"head": memory.backend.write(entry)[0]}, 201)


def _stream(namespace: Namespace, id: str) -> Stream:
    if not id.startswith(OPEN):
        raise NotFoundError(f"There is no journal {id!r:.60}; its name begins with {OPEN[0]!r}.")
    return Stream(namespace, check_label(f"{RESERVED}{id}", "id"))
