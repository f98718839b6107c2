"""Telling: messages, texts and times as the JSON data that the viewer shows, cut to a size."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ctxplug import codec
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

__all__ = ["bounded", "cut", "message_data", "when"]

LISTED = 4_000  # characters of each text of a message in a list
DEPTH = 6  # of data that is shown
WIDTH = 100  # items of a list or mapping that are shown


def when(time: datetime | None) -> str | None:
    """Return `time` as ISO 8601 text."""
    return None if time is None else time.isoformat()


def cut(text: str, most: int) -> tuple[str, bool]:
    """Return the beginning of `text`, and whether there is more."""
    return (text, False) if len(text) <= most else (text[:most], True)


def message_data(message: Message, most: int = LISTED) -> dict[str, Any]:
    """Return what a message says, thinks, calls and gives back, each text up to `most`."""
    told = _Told(most)
    for part in message.content:
        told.take(part)
    text, thinking = "\n".join(told.texts), "\n".join(told.thoughts)
    return {
        "role": message.role,
        "name": message.name,
        "text": text,
        "thinking": thinking or None,
        "calls": told.calls,
        "results": told.results,
        "images": told.images,
        "cut": told.short,
    }


class _Told:
    """What the parts of one message come to."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.results: list[dict[str, Any]] = []
        self.images = 0
        self.short = False
        self._left = {"texts": most, "thoughts": most}

    def take(self, part: object) -> None:
        match part:
            case TextPart():
                self._add("texts", part.text)
            case ThinkingPart():
                self._add("thoughts", part.text or "…")
            case ToolCallPart():
                self.calls.append(
                    {"id": part.id, "name": part.name, "arguments": self._cut(_given(part))}
                )
            case ToolResultPart():
                self.results.append(self._result(part))
            case ImagePart():
                self.images += 1
            case OpaquePart():
                self._add("texts", f"[{part.provider} {part.data.get('type', '')}]")

    def _add(self, where: str, text: str) -> None:
        said, more = cut(text, max(0, self._left[where]))
        self._left[where] -= len(said)
        self.short |= more
        getattr(self, where).append(said)

    def _result(self, part: ToolResultPart) -> dict[str, Any]:
        self.images += sum(isinstance(inner, ImagePart) for inner in part.content)
        return {
            "id": part.call_id,
            "name": part.name,
            "text": self._cut(part.text),
            "error": part.is_error,
        }

    def _cut(self, text: str) -> str:
        said, more = cut(text, self.most)
        self.short |= more
        return said


def _given(call: ToolCallPart) -> str:
    if call.raw_arguments is not None:
        return call.raw_arguments
    return codec.encode(call.arguments).decode("utf-8", "replace")


def bounded(value: Any, most: int = 2_000, depth: int = DEPTH) -> Any:
    """Return JSON data with long texts, long lists and deep nesting cut off, marked by "…"."""
    if isinstance(value, str):
        said, more = cut(value, most)
        return said + "…" if more else said
    if isinstance(value, Mapping):
        if depth <= 0:
            return {"…": len(value)}
        items = list(value.items())
        told = {str(key): bounded(inner, most, depth - 1) for key, inner in items[:WIDTH]}
        return {**told, "…": len(items) - WIDTH} if len(items) > WIDTH else told
    if isinstance(value, list | tuple):
        if depth <= 0:
            return ["…"]
        shown = [bounded(inner, most, depth - 1) for inner in value[:WIDTH]]
        return [*shown, f"… {len(value) - WIDTH}"] if len(value) > WIDTH else shown
    return value
