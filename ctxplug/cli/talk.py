"""How messages are printed: who, when, what was said, which tools were called."""

from __future__ import annotations

from collections.abc import Iterator

from ctxplug import codec
from ctxplug.cli.screen import safe, when
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

CUT = 600
"""Characters of one part that are shown unless everything is asked for."""

_COLOURS = {"system": "magenta", "user": "green", "assistant": "cyan", "tool": "yellow"}


def printed(message: Message, number: int | None = None, *, full: bool = False) -> str:
    """Return a message as rich markup: a heading and its parts, each cut unless `full`."""
    who = f"{message.role} ({safe(message.name)})" if message.name else message.role
    place = "" if number is None else f"[dim]{number:>4}[/] "
    marks = " [dim]pinned[/]" if message.pinned else ""
    heading = f"{place}[bold {_COLOURS[message.role]}]{who}[/] [dim]{when(message.created_at)}[/]"
    parts = [line for part in message.content for line in _part(part, full)]
    return "\n".join([heading + marks, *(f"     {line}" for line in parts)])


def _part(part: Part, full: bool) -> Iterator[str]:
    match part:
        case TextPart():
            yield from _lines(part.text, full)
        case ThinkingPart():
            lines = _lines(part.text or "(withheld)", full)
            yield from (f"[italic dim]{line}[/]" for line in lines)
        case ToolCallPart():
            text = part.raw_arguments
            if text is None:
                text = codec.encode(part.arguments).decode("utf-8", "surrogatepass")
            first, *rest = _lines(f"{part.name}({text})", full)
            yield f"[bold]→[/] {first}"
            yield from rest
        case ToolResultPart():
            sign = "[red]✗[/]" if part.is_error else "[bold]←[/]"
            inner = [line for one in part.content for line in _part(one, full)]
            yield f"{sign} [dim]{safe(part.name or part.call_id)}:[/] {inner[0] if inner else ''}"
            yield from inner[1:]
        case ImagePart():
            size = f"{len(part.data):,} bytes" if part.data is not None else safe(part.url or "")
            yield f"[dim](image: {size})[/]"
        case OpaquePart():
            yield f"[dim]({safe(part.provider)} {safe(str(part.data.get('type', 'part')))})[/]"


def _lines(text: str, full: bool) -> list[str]:
    shown = text if full or len(text) <= CUT else text[:CUT]
    lines = [safe(line) for line in shown.split("\n")]
    if len(shown) < len(text):
        lines[-1] += f"[dim]… {len(text) - len(shown):,} more characters[/]"
    return lines
