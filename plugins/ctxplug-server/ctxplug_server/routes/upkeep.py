"""The upkeep of memories: consolidated, maintained, archived, brought back, indexed anew."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from ctxplug.memories.archive import ArchiveReport, UnarchiveReport
from ctxplug.memories.report import MaintenanceReport
from ctxplug.recall.recalled import Recalled
from ctxplug_server.caller import Calling
from ctxplug_server.problems import RightError
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.schemas.memories import (
    ArchiveIn,
    ArchiveSearchIn,
    MaintainIn,
    Reindexed,
    ReindexIn,
    UnarchiveIn,
)
from ctxplug_server.schemas.shown import model_of, several

upkeep = router("upkeep")


@upkeep.post("/memories/consolidate", **gives(model_of(MaintenanceReport)))
def consolidate(caller: Calling, body: MaintainIn | None = None) -> Response:
    """Merge what says the same, supersede what is contradicted, promote, sum up sessions."""
    return answer(caller.memory(right="write").consolidate(dry_run=_dry(body)))


@upkeep.post("/memories/maintain", **gives(model_of(MaintenanceReport)))
def maintain(caller: Calling, body: MaintainIn | None = None) -> Response:
    """Remove what expired, consolidate, remove what there is no room for, and archive."""
    return answer(caller.memory(right="write").maintain(dry_run=_dry(body)))


@upkeep.get("/maintenance", **gives(several("reports", MaintenanceReport)))
def maintenance_log(
    caller: Calling,
    limit: Annotated[int, Query(ge=0, le=10_000, description="How many at most.")] = 20,
) -> Response:
    """List what the last runs of upkeep did, newest first."""
    return answer({"reports": caller.memory().maintenance_log(limit)})


@upkeep.post("/memories/archive", **gives(model_of(ArchiveReport)))
def archive(caller: Calling, body: ArchiveIn | None = None) -> Response:
    """Compress sessions and memories that were not used for long; logs read as before."""
    return answer(caller.memory(right="write").archive(**(body.given() if body else {})))


@upkeep.post("/memories/unarchive", **gives(model_of(UnarchiveReport)))
def unarchive(caller: Calling, body: UnarchiveIn | None = None) -> Response:
    """Bring back sessions and memories out of the archive, or everything."""
    return answer(caller.memory(right="write").unarchive(**(body.given() if body else {})))


@upkeep.post("/memories/search-archive", **gives(several("found", Recalled)))
def search_archive(caller: Calling, body: ArchiveSearchIn) -> Response:
    """Return the archived memories and messages that hold words of a query."""
    return answer({"found": caller.memory().search_archive(**body.given())})


@upkeep.post("/memories/reindex", **gives(Reindexed))
def reindex(caller: Calling, body: ReindexIn | None = None) -> Response:
    """Make the vectors anew, by the embedder named, or where there are none yet."""
    given = body.given() if body else {}
    own = caller.serving.settings.embedder
    if given.get("embedder") not in (None, own) and not caller.owns_store:
        raise RightError(  # a name may be that of any folder, or have a model fetched
            f'This server makes vectors by {own!r}; to have another takes a key for "*" with the'
            ' right "admin".',
            right="admin",
        )
    return answer({"made": caller.memory(right="write").reindex(**given)})


def _dry(body: MaintainIn | None) -> bool:
    return body is not None and body.dry_run
