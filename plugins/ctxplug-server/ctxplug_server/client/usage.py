"""RemoteUsage: `memory.usage` of a remote memory, and the verb that records usage."""

from __future__ import annotations

from typing import Any

from ctxplug.tokens.ledger import Recorded, Reservation
from ctxplug.tokens.usage import Usage
from ctxplug.tokens.usage_report import UsageReport
from ctxplug.tokens.usage_verbs import Counted
from ctxplug_server.client.calls import Call, nothing
from ctxplug_server.client.link import Link, reads
from ctxplug_server.client.memory_verbs import given
from ctxplug_server.client.twins import twins
from ctxplug_server.wire import to_json


class RemoteUsage:
    """What the namespace spends on model calls; see `ctxplug.tokens.ledger.UsageLedger`.

    Prices and limits are the server's.
    """

    def __init__(self, link: Link) -> None:
        self.link = link

    def _record(
        self,
        usage: Any,
        *,
        model: str | None = None,
        cost: float | None = None,
        session: str | None = None,
        agent: str | None = None,
    ) -> Call[Recorded]:
        """Enter what a call has spent, and return it with its cost."""
        body = {
            "usage": _usage(usage, model),
            "cost": cost,
            "session": session or self.link.scope.session,
            "agent": agent,
        }
        return self.link.call("POST", "/usage/record", reads(Recorded), body=given(body))

    def _check(
        self,
        tokens: int | Usage | None = None,
        *,
        cost: float | None = None,
        model: str | None = None,
    ) -> Call[None]:
        """Raise what `reserve` would raise for the same call now; store nothing."""
        body = _need(tokens, cost, model)
        return self.link.call("POST", "/usage/check", nothing, body=body, writes=False)

    def _reserve(
        self,
        tokens: int | Usage | None = None,
        *,
        cost: float | None = None,
        model: str | None = None,
    ) -> Call[Reservation]:
        """Hold what a call may take at most, so that no other call can take it."""
        body = _need(tokens, cost, model)
        return self.link.call("POST", "/usage/reserve", reads(Reservation), body=body)

    def _settle(
        self,
        reservation: Reservation,
        usage: Any,
        *,
        model: str | None = None,
        cost: float | None = None,
        session: str | None = None,
        agent: str | None = None,
    ) -> Call[Recorded]:
        """Replace a reservation by what its call has spent, on the day it was reserved."""
        body = {
            "reservation": to_json(reservation),
            "usage": _usage(usage, model),
            "cost": cost,
            "session": session or self.link.scope.session,
            "agent": agent,
        }
        return self.link.call("POST", "/usage/settle", reads(Recorded), body=given(body))

    def _release(self, reservation: Reservation) -> Call[None]:
        """Give a reservation back: its call was not made. Doing so twice is no error."""
        body = {"reservation": to_json(reservation)}
        return self.link.call("POST", "/usage/release", nothing, body=body)

    def _report(self, days: int = 7) -> Call[UsageReport]:
        """Return what the last `days` UTC days, today included, have cost."""
        return self.link.call("GET", "/usage", reads(UsageReport), params={"days": days})

    record, arecord = twins(_record)
    check, acheck = twins(_check)
    reserve, areserve = twins(_reserve)
    settle, asettle = twins(_settle)
    release, arelease = twins(_release)
    report, areport = twins(_report)


class UsageVerbs:
    """Recording usage; RemoteMemory brings the attributes below."""

    link: Link
    model: str | None
    _last_tokens: int

    def _record_usage(
        self,
        usage: Any,
        *,
        model: str | None = None,
        window: Counted | None = None,
        reservation: Reservation | None = None,
    ) -> Call[Recorded]:
        """Enter what the provider reported for a call, and learn from it how to count."""
        body = {
            "usage": _usage(usage, model or self.model),
            "tokens": window.tokens if window else self._last_tokens,
            "reservation": to_json(reservation),
        }
        path = self.link.at("usage")
        return self.link.call("POST", path, reads(Recorded), body=given(body))

    record_usage, arecord_usage = twins(_record_usage)


def _usage(usage: Any, model: str | None) -> Any:
    """Return usage by our fields, with the model in it."""
    return to_json(Usage.of(usage, model=model))


def _need(tokens: int | Usage | None, cost: float | None, model: str | None) -> dict[str, Any]:
    return given({"tokens": to_json(tokens), "cost": cost, "model": model})
