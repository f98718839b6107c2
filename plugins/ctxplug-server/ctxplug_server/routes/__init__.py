"""The routes of the server: one router per resource, in `ROUTERS`, all beneath /v1."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from ctxplug_server.routes.auditing import access, audit
from ctxplug_server.routes.care import care
from ctxplug_server.routes.journals import journals
from ctxplug_server.routes.live import router as live
from ctxplug_server.routes.memories import memories
from ctxplug_server.routes.messages import messages
from ctxplug_server.routes.metrics import root as metrics
from ctxplug_server.routes.metrics import router as monitoring
from ctxplug_server.routes.past import past
from ctxplug_server.routes.sessions import sessions
from ctxplug_server.routes.tools import tools
from ctxplug_server.routes.tracing import tracing
from ctxplug_server.routes.upkeep import upkeep
from ctxplug_server.routes.usage import usage
from ctxplug_server.routes.view import view
from ctxplug_server.routes.view_more import view_more

__all__ = ["ROOT_ROUTERS", "ROUTERS"]

# What agents ask for most stands first: routes are tried in this order, at a cost. `upkeep`
# stands before `memories`: its paths would be read as ids there.
ROUTERS: Sequence[APIRouter] = (
    messages,
    upkeep,
    memories,
    sessions,
    usage,
    tracing,
    past,
    journals,
    tools,
    audit,
    access,
    care,
    live,
    monitoring,
    view,
    view_more,
)
ROOT_ROUTERS: Sequence[APIRouter] = (metrics,)  # without the prefix /v1
