"""What requests about usage carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field, PlainValidator

from ctxplug.tokens.ledger import Reservation
from ctxplug.tokens.usage import Usage
from ctxplug_server.schemas.examples import example_of
from ctxplug_server.schemas.kinds import Body, Object, Text
from ctxplug_server.schemas.messages import Shown
from ctxplug_server.schemas.shown import model_of
from ctxplug_server.wire import from_json

HELD = example_of(Reservation)
OURS: dict[str, Any] = {"input_tokens": 1200, "output_tokens": 300, "cache_read_tokens": 6000}


def to_usage(data: Any) -> Any:
    """Return the usage that a request reports: in our fields, or in a provider's."""
    if not isinstance(data, dict):
        raise ValueError("it is a JSON object")
    if {"cache_read_tokens", "cache_write_tokens"} & data.keys():
        return from_json(Usage, data)
    return Usage.of(data)


def _to_reservation(data: Any) -> Reservation:
    found: Reservation = from_json(Reservation, data)
    return found


def _to_tokens(data: Any) -> Any:
    return to_usage(data) if isinstance(data, dict) else data


UsageGiven: TypeAlias = Annotated[Any, PlainValidator(to_usage, json_schema_input_type=Object)]
if TYPE_CHECKING:
    ReservationGiven: TypeAlias = Reservation
else:
    ReservationGiven = Annotated[Any, PlainValidator(_to_reservation), Shown(model_of(Reservation))]


class UsageIn(Body):
    """What a call has used, as the provider reported it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"usage": OURS, "model": "claude-sonnet-4-5"}]}
    )

    usage: UsageGiven = Field(
        description="A provider's usage object, or our fields: see docs/usage.md."
    )
    model: Text | None = None
    cost: float | None = Field(None, ge=0, description="In US dollars, in place of the price.")
    session: Text | None = None
    agent: Text | None = None


class CallUsageIn(Body):
    """What a call of a session has used; from it the server learns how to count."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"usage": OURS, "tokens": 7300}]})

    usage: UsageGiven
    model: Text | None = None
    tokens: int | None = Field(None, ge=0, description="Of the window that was sent.")
    reservation: ReservationGiven | None = None


class NeedIn(Body):
    """What a call may take at most."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"tokens": 9000, "model": "claude-sonnet-4-5"}]}
    )

    tokens: int | Object | None = Field(None, description="A number, or usage by its fields.")
    cost: float | None = Field(None, description="In US dollars.")
    model: Text | None = None

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, usage as such."""
        fields = super().given()
        if "tokens" in fields:
            fields["tokens"] = _to_tokens(fields["tokens"])
        return fields


class SettleIn(UsageIn):
    """What a reserved call has used."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reservation": HELD, "usage": OURS}]}
    )

    reservation: ReservationGiven


class ReleaseIn(Body):
    """The reservation of a call that was not made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reservation": HELD}]})

    reservation: ReservationGiven
