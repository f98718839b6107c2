"""The namespace as a whole: counted, checked, erased; and which namespaces there are."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from ctxplug.errors import InvalidValueError
from ctxplug.memories.erasure import ErasureReport
from ctxplug.memories.stats import MemoryStats
from ctxplug.scope import namespace_key
from ctxplug.sessions.retention import RetireReport
from ctxplug.storage import CheckReport, EraseReceipt
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.schemas.care import EraseIn, Namespaces, ReceiptIn, RetireIn
from ctxplug_server.schemas.shown import model_of

care = router("care")


@care.get("/stats", **gives(model_of(MemoryStats)))
def get_stats(
    caller: Calling,
    session: Annotated[str | None, Query(description="Whose messages are counted.")] = None,
) -> Response:
    """Count what the namespace and one session hold."""
    return answer(caller.memory(session).stats())


@care.get("/check", **gives(model_of(CheckReport)))
def check(caller: Calling) -> Response:
    """Examine the whole store; takes a key for "*" with the right "admin"."""
    caller.require_store()
    return answer(caller.serving.backend.check())


@care.post("/erase", **gives(model_of(EraseReceipt)))
def erase(caller: Calling, body: EraseIn) -> Response:
    """Remove everything of the namespace. Takes the right "admin", and its name once more."""
    memory = caller.memory(right="admin")
    name = namespace_key(memory.scope.namespace)
    if body.confirm != name:
        raise InvalidValueError(
            f"To erase the namespace {name!r}, give its name as `confirm`, not"
            f" {body.confirm!r:.60}; nothing was erased.",
            path="body.confirm",
        )
    return answer(memory.erase())


@care.post("/erase/verify", **gives(model_of(ErasureReport)))
def verify_erased(caller: Calling, body: ReceiptIn) -> Response:
    """Say whether anything of what a receipt lists has come back."""
    return answer(caller.memory().verify_erased(body.receipt))


@care.post("/retire", **gives(model_of(RetireReport)))
def retire(caller: Calling, body: RetireIn) -> Response:
    """Remove for good the sessions that ended long ago. Takes the right "admin"."""
    return answer(caller.memory(right="admin").retire(**body.given()))


@care.get("/namespaces", **gives(Namespaces))
def list_namespaces(caller: Calling) -> Response:
    """List the namespaces that hold anything and that the key may see."""
    caller.require("read")
    found = sorted(map(namespace_key, caller.namespaces()))
    return answer({"namespaces": [{"namespace": name} for name in found]})
