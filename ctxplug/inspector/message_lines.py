"""A message as the lines of a text: what is said, thought, called and given back."""

from __future__ import annotations

from collections.abc import Iterator

from ctxplug import codec
from ctxplug.inspector.panel import Line, body
from ctxplug.inspector.words import Words
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)


def message_lines(message: Message, words: Words) -> Iterator[Line]:
    """Yield the lines of all parts."""
    empty = True
    for part in message.content:
        for line in _part(part, words):
            empty = False
            yield line
    if empty:
        yield [(words("nothing"), "dim")]


def _part(part: Part, words: Words) -> Iterator[Line]:
    match part:
        case TextPart():
            yield from body(part.text, words)
        case ThinkingPart():
            yield from body(part.text or "…", words, "dim")
        case ToolCallPart():
            text = part.raw_arguments
            if text is None:
                text = codec.encode(part.arguments).decode("utf-8", "replace")
            yield from _signed("→", "accent", body(f"{part.name}({text})", words))
        case ToolResultPart():
            sign, tone = ("✗", "bad") if part.is_error else ("←", "tool")
            yield [(f"{sign} ", tone), (part.name or part.call_id, "dim")]
            for inner in part.content:
                yield from _part(inner, words)
        case ImagePart():
            size = f"{len(part.data):,}" if part.data is not None else part.url or ""
            yield from body(f"[image {size}]", words, "dim")
        case OpaquePart():
            yield from body(f"[{part.provider} {part.data.get('type', '')}]", words, "dim")


def _signed(sign: str, tone: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Put a sign before the first of `lines`."""
    first = next(lines)
    yield [(f"{sign} ", tone), (first[0][0].lstrip(), first[0][1])]
    yield from lines
