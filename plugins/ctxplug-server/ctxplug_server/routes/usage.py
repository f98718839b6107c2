"""Usage: what model calls take and cost, and what is held for them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from ctxplug.tokens.ledger import Recorded, Reservation
from ctxplug.tokens.usage_report import UsageReport
from ctxplug_server.caller import Caller, Calling
from ctxplug_server.problems import RightError
from ctxplug_server.routes.answers import answer, gives, nothing, router
from ctxplug_server.routes.places import Session
from ctxplug_server.schemas.shown import model_of
from ctxplug_server.schemas.usage import CallUsageIn, NeedIn, ReleaseIn, SettleIn, UsageIn

usage = router("usage")


class _Sent:
    """What was sent, as far as usage is concerned."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens


@usage.post("/sessions/{session}/usage", **gives(model_of(Recorded), 201))
def record_call(caller: Calling, session: Session, body: CallUsageIn) -> Response:
    """Enter what the provider reported for a call, and learn from it how to count."""
    window: Any = None if body.tokens is None else _Sent(body.tokens)
    recorded = caller.memory(session, "write").record_usage(
        body.usage, model=body.model, window=window, reservation=body.reservation
    )
    return answer(recorded, 201)


@usage.get("/usage", **gives(model_of(UsageReport)))
def report_usage(
    caller: Calling,
    days: Annotated[int, Query(ge=1, le=3660, description="So many UTC days, with today.")] = 7,
) -> Response:
    """Report what the namespace has spent, by day, session, agent and model."""
    return answer(caller.memory().usage.report(days))


@usage.post("/usage/record", **gives(model_of(Recorded), 201))
def record_usage(caller: Calling, body: UsageIn) -> Response:
    """Enter what a call has spent, even beyond a limit."""
    spent = _fields(caller, body)
    return answer(caller.memory(right="write").usage.record(body.usage, **spent), 201)


@usage.post("/usage/check", **gives(None, 204))
def check_usage(caller: Calling, body: NeedIn) -> Response:
    """Say whether a call may be made now; 429 tells which limit is in the way."""
    caller.memory().usage.check(**body.given())
    return nothing()


@usage.post("/usage/reserve", **gives(model_of(Reservation), 201))
def reserve_usage(caller: Calling, body: NeedIn) -> Response:
    """Hold what a call may take at most, so that no other call can take it."""
    return answer(caller.memory(right="write").usage.reserve(**body.given()), 201)


@usage.post("/usage/settle", **gives(model_of(Recorded)))
def settle_usage(caller: Calling, body: SettleIn) -> Response:
    """Replace a reservation by what its call has spent."""
    ledger = caller.memory(right="write").usage
    return answer(ledger.settle(body.reservation, body.usage, **_fields(caller, body)))


@usage.post("/usage/release", **gives(None, 204))
def release_usage(caller: Calling, body: ReleaseIn) -> Response:
    """Give a reservation back: its call was not made."""
    caller.memory(right="write").usage.release(body.reservation)
    return nothing()


def _fields(caller: Caller, body: UsageIn) -> dict[str, Any]:
    """Return whose usage it is; a key that is bound to an agent enters its own alone."""
    bound = caller.key.agent if caller.key else None
    if bound is not None and body.agent not in (None, bound):
        raise RightError(f"This key acts as {bound!r} and as nobody else.", right="agent")
    return {k: v for k, v in body.given().items() if k not in ("usage", "reservation")}
