"""Memories: kept, found, changed and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query, Response

from ctxplug.errors import NotFoundError
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, gives, nothing, router
from ctxplug_server.routes.places import MemoryId, SaidIn, When
from ctxplug_server.schemas.kinds import to_metadata
from ctxplug_server.schemas.memories import MemoryChange, MemoryIn, PromoteIn, RecallIn
from ctxplug_server.schemas.shown import model_of, several
from ctxplug_server.working import busy

memories = router("memories")

Tier = Literal["short", "medium", "long"]
Names = Annotated[list[str] | None, Query(description="Only these kinds.")]


@memories.get("/memories", **gives(several("memories", MemoryRecord)))
def list_memories(
    caller: Calling,
    kinds: Names = None,
    tiers: Annotated[list[Tier] | None, Query(description="Only these tiers.")] = None,
    tags: Annotated[list[str] | None, Query(description="All must be present.")] = None,
    session: Annotated[str | None, Query(description="Only what was made there.")] = None,
    by: Annotated[str | None, Query(description="Only what this agent made.")] = None,
    since: When = None,
    until: When = None,
    valid_at: When = None,
    include_superseded: Annotated[bool, Query(description="All that ever held.")] = False,
    metadata: Annotated[str | None, Query(description="A JSON object; must be equal.")] = None,
    limit: Annotated[int | None, Query(ge=0, description="How many at most.")] = None,
    offset: Annotated[int, Query(ge=0, description="How many are passed over.")] = 0,
) -> Response:
    """List the memories of the namespace, without its messages, newest first."""
    found = caller.memory().memories(
        kinds=kinds,
        tiers=tiers,
        tags=tags,
        session=session,
        agent=by,
        since=since,
        until=until,
        valid_at=valid_at,
        include_superseded=include_superseded,
        metadata=to_metadata(metadata),
        limit=limit,
        offset=offset,
    )
    return answer({"memories": found})


@memories.post("/memories", **gives(model_of(MemoryRecord), 201))
def remember(caller: Calling, body: MemoryIn, session: SaidIn = None) -> Response:
    """Store a memory for all sessions of the namespace."""
    return answer(caller.memory(session, "write").remember(**body.given()), 201)


@memories.post("/recall", **gives(several("found", Recalled)))
@busy
def recall(caller: Calling, body: RecallIn, session: SaidIn = None) -> Response:
    """Return the best memories and messages for a query, with the parts of their scores."""
    return answer({"found": caller.memory(session).recall(**body.given())})


@memories.get("/memories/{id:path}", **gives(model_of(MemoryRecord)))
def get_memory(caller: Calling, id: MemoryId) -> Response:
    """Return one memory, or an indexed message, by its id."""
    memory = caller.memory()
    record = memory.backend.get(memory.scope.namespace, id)
    if record is None or _is_over(record):
        raise NotFoundError(
            f"There is no memory {id!r} in this namespace; GET /v1/memories lists the ids."
        )
    return answer(record)


def _is_over(record: MemoryRecord) -> bool:
    return record.expires_at is not None and record.expires_at <= datetime.now(UTC)


@memories.patch("/memories/{id:path}", **gives(model_of(MemoryRecord)))
def update_memory(caller: Calling, id: MemoryId, body: MemoryChange) -> Response:
    """Change a memory in place; what is left out stays as it is."""
    return answer(caller.memory(right="write").update(id, **body.given()))


@memories.delete("/memories/{id:path}", **gives(None, 204))
def forget(caller: Calling, id: MemoryId, session: SaidIn = None) -> Response:
    """Remove one memory; a message leaves recall, and stays in the log."""
    caller.memory(session, "write").forget(id)
    return nothing()


@memories.post("/memories/{id:path}/promote", **gives(model_of(MemoryRecord)))
def promote(caller: Calling, id: MemoryId, body: PromoteIn | None = None) -> Response:
    """Move a memory up to a tier, or to the next one; its time begins anew."""
    return answer(caller.memory(right="write").promote(id, body.tier if body else None))
