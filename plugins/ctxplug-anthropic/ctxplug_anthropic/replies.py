"""ChatReply and ChatEvent: what a turn gives back, at its end and on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ctxplug.context.window import ContextWindow
from ctxplug.messages import Message, Part, TextPart
from ctxplug.tokens.usage import Usage

EventKind: TypeAlias = Literal["text", "thinking", "tool_call", "tool_result", "restart", "done"]


@dataclass(frozen=True)
class ChatReply:
    """The end of a turn.

    `message` is the model's last message, as stored; `messages` are all that the turn added
    to the session. `usage` and `cost` in US dollars (None where a price is unknown) are of
    all its `calls` of the API, which took `attempts` over HTTP. `stop_reason` is that of the
    last one; `window` is what it was sent. `notes` tell what was out of the ordinary.
    """

    message: Message
    messages: tuple[Message, ...]
    usage: Usage
    cost: float | None
    model: str
    stop_reason: str
    calls: int
    attempts: int
    window: ContextWindow = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> tuple[Part, ...]:
        """The parts of the last message: text, thinking, calls."""
        return self.message.content

    @property
    def text(self) -> str:
        """The text of the last message."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))

    def to_dict(self) -> dict[str, Any]:
        """Return the reply as JSON data, without the window."""
        usage = self.usage
        return {
            "text": self.text,
            "content": self.message.to_dict()["content"],
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cache_read_tokens": usage.cache_read_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "cost": self.cost,
            "model": self.model,
            "stop_reason": self.stop_reason,
            "calls": self.calls,
            "attempts": self.attempts,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class ChatEvent:
    """Something that happened during a turn.

    "text" and "thinking" bring a piece of `text`; "tool_call" and "tool_result" a `message`;
    "restart" says that the text since the last message is void, as the call is made anew;
    "done" is the last and brings the `reply`.
    """

    kind: EventKind
    text: str = ""
    message: Message | None = None
    reply: ChatReply | None = None


@dataclass(frozen=True)
class ChatStatistics:
    """How many sessions and memories (by tier) a user has, and what the turns of some days took."""

    sessions: int
    memories: Mapping[str, int]
    usage: Usage
    calls: int
    cost: float | None
