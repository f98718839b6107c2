"""What the server takes: /metrics for Prometheus, /v1/monitoring, and /v1/advice in words."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from ctxplug import codec
from ctxplug.access.guarding import guarded, sight_of
from ctxplug.access.rule import READ
from ctxplug.scope import Namespace
from ctxplug_server import __version__
from ctxplug_server.caller import Caller, Calling
from ctxplug_server.monitoring.prometheus import CONTENT_TYPE, Figures, exposition
from ctxplug_server.monitoring.trend import said_of
from ctxplug_server.problems import ServerBusyError

__all__ = ["root", "router"]

root = APIRouter(tags=["monitoring"])
router = APIRouter(tags=["monitoring"])
Language = Annotated[Literal["en", "zh"], Query(description="The language of sentences.")]
JSON = "application/json"
GROWTH = {
    "at": "2026-05-01T12:00:00+00:00",
    "namespaces": [
        {
            "namespace": "acme/alice",
            "sessions": 3,
            "messages": 120,
            "records": 14,
            "archived_bytes": 0,
            "per_day": {"sessions": 1.0, "messages": 40.0, "records": 2.0},
            "history": [[1777550400, 80, 12], [1777636800, 120, 14]],
        }
    ],
}
ADVICE = {
    "namespace": "acme/alice",
    "lang": "en",
    "advice": [
        {
            "kind": "duplicates",
            "severity": "info",
            "title": "Memories said twice",
            "seen": "6 of 48 memories say what another one says.",
            "setting": "AgentMemory.open(maintain_every=3600)",
            "records": ["5f0c7ffc1f9247f29f201889c10872b6"],
        }
    ],
    "notes": [],
}
_advising = threading.BoundedSemaphore(2)  # it takes seconds of a core where much is recorded


@root.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "The figures in the text format of Prometheus.",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "ctxplug_requests_in_flight 2.0\n",
                }
            },
        }
    },
    summary="Metrics for Prometheus",
)
async def metrics(
    caller: Calling,
    namespaces: Annotated[
        bool, Query(description="Tell growth by namespace, where the server's settings let it.")
    ] = False,
) -> Response:
    """Tell counts, errors and latencies by route and by verb; nobody's names are in them."""
    caller.require_store()
    serving = caller.serving
    named = namespaces and serving.settings.metrics_namespaces
    figures = Figures(serving.meters, sampler=serving.sampler, hub=serving.hub, namespaces=named)
    text = await caller.run(partial(exposition, figures))
    return Response(text, headers={"content-type": CONTENT_TYPE})


@router.get(
    "/monitoring",
    response_class=Response,
    responses={
        200: {
            "description": "Figures; durations in seconds, percentiles of the last 15 minutes.",
            "content": {JSON: {"schema": {"type": "object"}, "example": GROWTH}},
        }
    },
    summary="Figures of the server, and how namespaces grow",
)
async def monitoring(caller: Calling, lang: Language = "en") -> Response:
    """Tell how namespaces grow; to who owns the whole store, what requests and process take too."""
    caller.require("read")
    told = await caller.run(partial(_monitored, caller, lang))
    return Response(codec.encode(told), media_type=JSON)


@router.get(
    "/advice",
    response_class=Response,
    responses={
        200: {
            "description": "What was seen, why it matters, what to change, and what it saves.",
            "content": {JSON: {"schema": {"type": "object"}, "example": ADVICE}},
        }
    },
    summary="What to change, with the evidence",
)
async def advice(
    caller: Calling,
    lang: Language = "en",
    reruns: Annotated[
        int, Query(ge=0, le=3, description="How many sessions to make again by other policies.")
    ] = 0,
) -> Response:
    """Look at the newest sessions, usage and memories of a namespace, and say what to change."""
    from ctxplug_server.monitoring.advice import Reader, advise, to_dict

    caller.require("read")
    namespace = caller.namespace()

    def made() -> dict[str, Any]:
        if not _advising.acquire(blocking=False):
            raise ServerBusyError("Advice is being made for others; try again.", retry_after=2.0)
        try:
            reader = Reader(caller.serving.store, agent=caller.agent, reruns=reruns)
            evidence = reader.read(namespace)
            return to_dict(advise(evidence), evidence, lang)
        finally:
            _advising.release()

    return Response(codec.encode(await caller.run(made)), media_type=JSON)


def _is_free(caller: Caller, namespace: Namespace) -> bool:
    """Say whether nothing of a namespace is kept from the caller's agent: counts tell of all."""
    return sight_of(guarded(caller.serving.store, caller.agent), namespace).is_free(READ)


def _monitored(caller: Caller, lang: str) -> dict[str, Any]:
    serving = caller.serving
    serving.sampler.refresh()
    only = None if caller.asked_namespace is None else caller.namespace()
    told: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(),
        "namespaces": serving.sampler.namespaces(
            lambda one: only in (None, one) and caller.sees(one) and _is_free(caller, one)
        ),
    }
    if not caller.owns_store:
        return told
    process = serving.sampler.process()
    process["said"] = said_of(serving.sampler.leak(), lang)
    return {
        **told,
        "version": __version__,
        "uptime_seconds": round(time.monotonic() - serving.meters.began, 1),
        **serving.meters.to_dict(),
        "live": {"subscribers": len(serving.hub.readers), "events": serving.hub.told},
        "memories_open": len(serving.pool),
        "process": process,
        "store_bytes": serving.sampler.store_bytes(),
        "namespaces_untold": serving.sampler.untold,
    }
