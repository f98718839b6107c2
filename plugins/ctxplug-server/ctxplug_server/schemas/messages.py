"""Messages and windows, as requests bring them and answers show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    Tag,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ctxplug.messages import Message
from ctxplug_server.schemas.kinds import Body, Object, Text, Time

Extra: TypeAlias = Annotated[Object, Field(description="Fields of a provider's own, by provider.")]


class TextPart(Body):
    """Text."""

    type: Literal["text"]
    text: Text
    extra: Extra = Field(default_factory=dict)


class ImagePart(Body):
    """An image: by `url`, or as base64 `data` with its media type."""

    type: Literal["image"]
    url: Text | None = None
    data: Text | None = Field(None, description="The bytes, as base64.")
    media_type: Text | None = Field(None, examples=["image/png"])
    extra: Extra = Field(default_factory=dict)


class OpaquePart(Body):
    """A provider's block that is kept as it is."""

    type: Literal["opaque"]
    provider: Text
    data: Object = Field(default_factory=dict)


class ThinkingPart(Body):
    """A model's reasoning; signature and redacted are kept unaltered."""

    type: Literal["thinking"]
    text: Text = ""
    signature: Text | None = None
    redacted: Text | None = None
    extra: Extra = Field(default_factory=dict)


class ToolCallPart(Body):
    """A call that the model asks for."""

    type: Literal["tool_call"]
    id: Text
    name: Text
    arguments: Object = Field(default_factory=dict)
    raw_arguments: Text | None = Field(None, description="The model's own JSON text.")
    extra: Extra = Field(default_factory=dict)


class ToolResultPart(Body):
    """What a call gave back."""

    type: Literal["tool_result"]
    call_id: Text
    content: list[Annotated[TextPart | ImagePart | OpaquePart, Field(discriminator="type")]] = (
        Field(default_factory=list)
    )
    is_error: bool = False
    name: Text | None = None
    extra: Extra = Field(default_factory=dict)


Part: TypeAlias = Annotated[
    TextPart | ImagePart | ThinkingPart | ToolCallPart | ToolResultPart | OpaquePart,
    Field(discriminator="type"),
]

EXAMPLE: dict[str, Any] = {
    "id": "5f0c2a9b1d3e4f60",
    "role": "user",
    "created_at": "2026-05-01T10:30:00+00:00",
    "content": [{"type": "text", "text": "I moved to Lisbon last week. 我上周搬到了里斯本。"}],
}


class MessageModel(Body):
    """One message of a conversation; what is left out has its default."""

    model_config = ConfigDict(title="Message", json_schema_extra={"examples": [EXAMPLE]})

    role: Literal["system", "user", "assistant", "tool"]
    content: list[Part] = Field(description="Its parts, in order.")
    id: Text | None = Field(None, description="Made anew when left out.")
    created_at: Time | None = Field(None, description="Now, when left out.")
    name: Text | None = None
    priority: Literal["high", "medium", "low"] = "medium"
    pinned: bool = Field(False, description="Whether it stays in every window, word for word.")
    metadata: Object = Field(default_factory=dict, description="JSON with 64-bit integers.")
    extra: Extra = Field(default_factory=dict)


Content: TypeAlias = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[Part], Tag("parts")],
    Discriminator(lambda given: "text" if isinstance(given, str) else "parts"),
]


class MessageIn(MessageModel):
    """A message to be added: `content` may be plain text."""

    content: Content = Field(description="Text, or parts.")  # type: ignore[assignment]


def to_message(data: Any) -> Message:
    """Return the message that a request brings; raise ValueError if it is none."""
    MessageIn.model_validate(data)
    fields = _without_nulls(data)
    if isinstance(fields["content"], str):
        fields["content"] = [{"type": "text", "text": fields["content"]}]
    return Message.from_dict(fields)


def _without_nulls(data: dict[str, Any]) -> dict[str, Any]:
    """Return a message or part without what is null, in its parts too."""
    fields = {name: value for name, value in data.items() if value is not None}
    parts = fields.get("content")
    if isinstance(parts, list):
        fields["content"] = [_without_nulls(part) for part in parts]
    return fields


class Shown:
    """Reads by a function what is documented by a model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(self.model.__pydantic_core_schema__)


if TYPE_CHECKING:
    MessageGiven: TypeAlias = Message
else:  # to pydantic it is anything: it would go by the fields of a dataclass
    MessageGiven = Annotated[Any, PlainValidator(to_message), Shown(MessageIn)]
