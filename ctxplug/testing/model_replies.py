"""What a script makes the model server answer: replies, failures, and broken transmissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

How = Literal[
    "slow",
    "truncated",
    "cut",
    "reset",
    "empty",
    "wrong_json",
    "not_json",
    "no_usage",
    "error_event",
]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer of the model: its content blocks and why it stopped.

    A thinking block without a signature gets one from the server. `output_tokens` left out
    is counted. `delay` seconds pass before the first byte.
    """

    content: Sequence[Mapping[str, Any]]
    stop_reason: str = "end_turn"
    stop_details: Mapping[str, Any] | None = None
    output_tokens: int | None = None
    delay: float = 0.0

    @classmethod
    def text(cls, text: str, *, thinking: str | None = None, delay: float = 0.0) -> Reply:
        """Return a reply of text, behind thinking if there is any."""
        return cls([*_thought(thinking), {"type": "text", "text": text}], delay=delay)

    @classmethod
    def tool_use(
        cls,
        *calls: tuple[str, Mapping[str, Any]],
        text: str | None = None,
        thinking: str | None = None,
        ids: Sequence[str] = (),
    ) -> Reply:
        """Return a reply that calls tools: `("weather", {"city": "Oslo"})` each.

        The server gives each call an id of its own, unless `ids` names them.
        """
        said = [{"type": "text", "text": text}] if text else []
        used = [
            {"type": "tool_use", "name": name, "input": dict(arguments)}
            | ({"id": ids[i]} if i < len(ids) else {})
            for i, (name, arguments) in enumerate(calls)
        ]
        return cls([*_thought(thinking), *said, *used], stop_reason="tool_use")

    @classmethod
    def max_tokens(cls, text: str) -> Reply:
        """Return a text that was cut off at max_tokens."""
        return cls([{"type": "text", "text": text}], stop_reason="max_tokens")

    @classmethod
    def refusal(cls, category: str | None = None, explanation: str | None = None) -> Reply:
        """Return a refusal: a 200 without content."""
        details = {"type": "refusal", "category": category, "explanation": explanation}
        return cls([], stop_reason="refusal", stop_details=details)

    @classmethod
    def pause_turn(cls, text: str = "Let me look that up.", query: str = "weather") -> Reply:
        """Return a turn that pauses in a server tool; it is sent back as it is to go on."""
        searched = {"type": "server_tool_use", "name": "web_search", "input": {"query": query}}
        return cls([{"type": "text", "text": text}, searched], stop_reason="pause_turn")

    @classmethod
    def context_window_exceeded(cls, text: str = "") -> Reply:
        """Return a 200 that stopped because the context window is full."""
        content = [{"type": "text", "text": text}] if text else []
        return cls(content, stop_reason="model_context_window_exceeded")


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is an error: its status, the API's error type, headers and details."""

    status: int
    type: str = "api_error"
    message: str = "Internal server error"
    headers: Mapping[str, str] = field(default_factory=dict)
    html: bool = False
    delay: float = 0.0
    details: Mapping[str, Any] | None = None

    @classmethod
    def rate_limited(cls, retry_after: float | None = None) -> Failure:
        """Return a 429, with `retry-after` in seconds if given."""
        headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
        text = "This request would exceed your rate limit."
        return cls(429, "rate_limit_error", text, headers)

    @classmethod
    def overloaded(cls) -> Failure:
        """Return a 529."""
        return cls(529, "overloaded_error", "Overloaded")

    @classmethod
    def server_error(cls, *, html: bool = False) -> Failure:
        """Return a 500 as the API's JSON, or as the HTML page of a proxy before it."""
        return cls(500, html=html)

    @classmethod
    def context_window_exceeded(cls, tokens: int, maximum: int) -> Failure:
        """Return the 400 of a prompt that is too long."""
        text = f"prompt is too long: {tokens} tokens > {maximum} maximum"
        return cls(400, "invalid_request_error", text)


@dataclass(frozen=True, slots=True)
class Broken:
    """A reply whose transmission goes wrong.

    ===========  ==========================================================================
    slow         `seconds` pass before each piece of the body
    truncated    half of the body (or of the events), ended as if it were whole
    cut          half of the body (or of the events), then the connection closes
    reset        the connection is reset, without a byte
    empty        a 200 without a body
    wrong_json   JSON that is no message
    not_json     text that is no JSON
    no_usage     a message without usage
    error_event  in a stream: half of the events, then an `error` event; else a 529
    ===========  ==========================================================================
    """

    how: How
    reply: Reply = field(default_factory=lambda: Reply.text("An answer that arrives broken."))
    seconds: float = 1.0


def _thought(thinking: str | None) -> list[dict[str, Any]]:
    return [] if thinking is None else [{"type": "thinking", "thinking": thinking}]
