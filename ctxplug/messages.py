"""Message and its parts: what was said, in one form for every provider.

All of it is immutable and plain data. `Message.to_dict` and `Message.from_dict` are
exact inverses; with `ctxplug.codec` between them a message survives storage byte for
byte. The conversions to and from provider dicts are in `openai_format` and
`anthropic_format`.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from ctxplug import codec
from ctxplug.errors import InvalidMessageError
from ctxplug.times import to_datetime

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Priority: TypeAlias = Literal["high", "medium", "low"]
ROLES: tuple[str, ...] = get_args(Role)
PRIORITIES: tuple[str, ...] = get_args(Priority)


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text. `extra` keeps a provider's own fields, keyed by provider name."""

    text: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    type: ClassVar[str] = "text"

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidMessageError(
                f"A text part holds text, not {type(self.text).__name__}.", path="text"
            )


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image, by `url` or as `data` (raw bytes with their `media_type`)."""

    url: str | None = None
    data: bytes | None = None
    media_type: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    type: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise InvalidMessageError("An image has either a url or data, and not both.")


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """A model's reasoning; `signature` and `redacted` are opaque and never altered."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    type: ClassVar[str] = "thinking"


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A call the model asks for.

    `raw_arguments` is the model's own JSON text where `arguments` does not say it all:
    other spacing, or text that is no JSON object (`arguments` is then empty).
    """

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    raw_arguments: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    type: ClassVar[str] = "tool_call"


@dataclass(frozen=True, slots=True)
class OpaquePart:
    """A provider's block that ctxplug keeps as it is and does not interpret."""

    provider: str
    data: Mapping[str, Any]
    type: ClassVar[str] = "opaque"


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What the call `call_id` gave back."""

    call_id: str
    content: tuple[TextPart | ImagePart | OpaquePart, ...] = ()
    is_error: bool = False
    name: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    type: ClassVar[str] = "tool_result"

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", _parts(self.content, where="A tool result"))

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(p.text for p in self.content if isinstance(p, TextPart))


Part: TypeAlias = TextPart | ImagePart | ThinkingPart | ToolCallPart | ToolResultPart | OpaquePart
_DICTS = "Provider dicts go through Message.from_openai or Message.from_anthropic."
_PART_TYPES: dict[str, type[Any]] = {p.type: p for p in get_args(Part)}


@dataclass(frozen=True, init=False)
class Message:
    """One message of a conversation.

    `content` may be given as text, one part or several parts, and is always held as a
    tuple of parts. `created_at` may be given as a datetime, an ISO 8601 text or seconds
    since 1970; without a zone it is taken as UTC. `metadata` is JSON with 64-bit
    integers. Raises InvalidMessageError or InvalidValueError on anything else.
    """

    role: Role
    content: tuple[Part, ...]
    name: str | None
    priority: Priority
    pinned: bool
    metadata: Mapping[str, Any]
    created_at: datetime
    id: str
    extra: Mapping[str, Any]

    def __init__(
        self,
        role: str,
        content: str | Part | Iterable[Part] = (),
        *,
        name: str | None = None,
        priority: str = "medium",
        pinned: bool = False,
        metadata: Mapping[str, Any] | None = None,
        created_at: datetime | str | float | None = None,
        id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if role not in ROLES:
            hint = f" {_DICTS}" if isinstance(role, Mapping) else ""
            raise InvalidMessageError(
                f"{role!r:.80} is not a role; use one of {', '.join(ROLES)}.{hint}", path="role"
            )
        if priority not in PRIORITIES:
            raise InvalidMessageError(
                f"{priority!r} is not a priority; use one of {', '.join(PRIORITIES)}.",
                path="priority",
            )
        values = {
            "role": role,
            "content": _parts(content, where=f"A {role} message"),
            "name": name,
            "priority": priority,
            "pinned": bool(pinned),
            "metadata": codec.plain(metadata or {}, "metadata", int64=True),
            "created_at": to_datetime(created_at),
            "id": id or uuid.uuid4().hex,
            "extra": codec.plain(extra or {}, "extra"),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)

    __hash__ = None  # type: ignore[assignment]  # metadata is a dict

    @property
    def text(self) -> str:
        """The text of the message: text parts and tool results, joined by newlines."""
        return "\n".join(
            part.text for part in self.content if isinstance(part, TextPart | ToolResultPart)
        )

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        """The calls that this message asks for, in order."""
        return tuple(p for p in self.content if isinstance(p, ToolCallPart))

    @property
    def tool_results(self) -> tuple[ToolResultPart, ...]:
        """The results that this message brings, in order."""
        return tuple(p for p in self.content if isinstance(p, ToolResultPart))

    def to_dict(self) -> dict[str, Any]:
        """Return the message as JSON data; defaults are left out."""
        data: dict[str, Any] = {
            "id": self.id,
            "role": self.role,
            "created_at": self.created_at.isoformat(),
            "content": [_part_to_dict(part) for part in self.content],
        }
        if self.name is not None:
            data["name"] = self.name
        if self.priority != "medium":
            data["priority"] = self.priority
        if self.pinned:
            data["pinned"] = True
        if self.metadata:
            data["metadata"] = self.metadata
        if self.extra:
            data["extra"] = self.extra
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """Rebuild a message from `to_dict`; raise InvalidMessageError on anything else."""
        if not isinstance(data, Mapping):
            raise InvalidMessageError(f"A message is a JSON object, not {data!r:.80}.")
        fields = dict(data)
        parts = fields.pop("content", None)
        if not isinstance(parts, list):
            raise InvalidMessageError(
                f"A stored message has a list of parts as 'content', not {parts!r:.80}.",
                path="content",
            )
        try:
            return cls(content=[_part_from_dict(part) for part in parts], **fields)
        except TypeError as exc:
            raise InvalidMessageError(f"These are not a message's fields: {exc}.") from exc

    @classmethod
    def from_openai(cls, message: Mapping[str, Any]) -> list[Message]:
        """Return ours for one OpenAI chat message dict; it may be several."""
        from ctxplug.openai_format import from_dict

        return from_dict(message)

    @classmethod
    def from_anthropic(cls, message: Mapping[str, Any]) -> list[Message]:
        """Return ours for one Anthropic message dict; tool results become their own."""
        from ctxplug.anthropic_format import from_dict

        return from_dict(message)


@dataclass(frozen=True, slots=True)
class Logged:
    """A message with its version in the log and its token count."""

    version: int
    message: Message
    tokens: int


def _parts(content: Any, *, where: str) -> tuple[Any, ...]:
    if isinstance(content, str):
        return (TextPart(content),)
    if isinstance(content, tuple(_PART_TYPES.values())):
        return (content,)
    try:
        parts = tuple(content)
    except TypeError:
        parts = (content,)
    for i, part in enumerate(parts):
        if not isinstance(part, tuple(_PART_TYPES.values())):
            raise InvalidMessageError(
                f"{where} holds text or parts, but content[{i}] is of type"
                f" {type(part).__name__}. {_DICTS}",
                path=f"content[{i}]",
            )
    return parts


def _part_to_dict(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart) and not part.extra:  # by far the most frequent
        return {"type": "text", "text": part.text}
    data: dict[str, Any] = {"type": part.type}
    for name in part.__slots__:
        value = getattr(part, name)
        if value is None or value is False or value == {}:
            continue
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        elif name == "content" and isinstance(part, ToolResultPart):
            value = [_part_to_dict(inner) for inner in value]
        data[name] = value
    return data


def _part_from_dict(data: Any) -> Any:
    if not isinstance(data, dict) or data.get("type") not in _PART_TYPES:
        raise InvalidMessageError(
            f"A part is an object with a 'type' among {', '.join(_PART_TYPES)}, not {data!r:.80}.",
            path="content",
        )
    fields = dict(data)
    part_type = _PART_TYPES[fields.pop("type")]
    try:
        if part_type is ImagePart and "data" in fields:
            fields["data"] = base64.b64decode(fields["data"], validate=True)
        if part_type is ToolResultPart:
            fields["content"] = tuple(_part_from_dict(p) for p in fields.get("content", ()))
        if part_type is OpaquePart:
            fields.setdefault("data", {})
        return part_type(**fields)
    except (TypeError, binascii.Error) as exc:
        raise InvalidMessageError(
            f"A {data['type']!r} part cannot be read: {exc}.", path="content"
        ) from exc
