"""The kinds of value that bodies are made of, and the model all bodies share.

Text is taken as JSON has it: a lone surrogate or NUL in it is no fault, as it is none in a
message. Numbers are not made of text, nor text of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.times import to_datetime


class Body(BaseModel):
    """What a request carries; a field that it does not know is refused."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )

    def given(self) -> dict[str, Any]:
        """Return the fields that were sent, by name; null is as if it was left out."""
        named = ((name, getattr(self, name)) for name in self.model_fields_set)
        return {name: value for name, value in named if value is not None}


def _to_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is text")
    return value


def _to_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("it is a JSON object")
    return dict(value)


def _to_texts(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ValueError("it is a text, or a list of texts")
    return values


def _to_seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("it is a number of seconds")
    return value


def _to_time(value: Any) -> datetime:
    if value is None:
        raise ValueError("it is a time")
    return to_datetime(value)


def to_metadata(text: str | None) -> dict[str, Any] | None:
    """Return the JSON object that a query parameter holds; raise InvalidValueError otherwise."""
    if text is None:
        return None
    value = codec.decode(text)
    if not isinstance(value, dict):
        raise InvalidValueError(
            f"metadata is a JSON object, not {text!r:.60}.", path="query.metadata"
        )
    return value


Text: TypeAlias = Annotated[str, PlainValidator(_to_text), WithJsonSchema({"type": "string"})]
Texts: TypeAlias = Annotated[
    list[str],
    PlainValidator(_to_texts),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Object: TypeAlias = Annotated[
    dict[str, Any], PlainValidator(_to_object), WithJsonSchema({"type": "object"})
]
Seconds: TypeAlias = Annotated[
    float, PlainValidator(_to_seconds), WithJsonSchema({"type": "number"})
]
Time: TypeAlias = Annotated[
    datetime,
    PlainValidator(_to_time),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}),
    Field(description="ISO 8601, taken as UTC without a zone, or seconds since 1970."),
]
