"""Rendering for Gemini: `contents` and the system instruction.

Field names are the snake_case ones of the Python SDK, which the REST API takes too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
from ctxplug.wire.images import image_note, media_type_of, resolve
from ctxplug.wire.rendering import add_extra, clean, clean_text, own_extra

PROVIDER = "gemini"


@dataclass
class _Turn:
    role: str
    answers: bool = False
    parts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # call id, part


def to_contents(
    messages: Iterable[Message],
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return the system instruction, if there is one, and the `contents`.

    Neighbours of one role are one content. The results of a call turn are one content of
    their own, in the order of the calls (G04, G05). Fields kept in `extra["gemini"]` of a
    part, such as `thought_signature`, come back on it (G06). Thinking that is not Gemini's
    and other providers' opaque parts are left out. Deterministic; nothing is changed.
    """
    system: list[dict[str, Any]] = []
    turns: list[_Turn] = []
    names: dict[str, str] = {}
    for message in messages:
        if message.role == "system":
            system.extend(part for p in message.content if (part := _part(p)))
            continue
        names.update((call.id, call.name) for call in message.tool_calls)
        results = [(r.call_id, _result(r, names)) for r in message.tool_results]
        _append(turns, "user", True, results)
        role = "model" if message.role == "assistant" else "user"
        others = [
            (p.id if isinstance(p, ToolCallPart) else "", part)
            for p in message.content
            if (part := _part(p))
        ]
        _append(turns, role, False, others)
    contents = [
        {"role": turn.role, "parts": _ordered(turn, turns[i - 1] if i else turn)}
        for i, turn in enumerate(turns)
    ]
    return ({"parts": system} if system else None), contents


def _append(
    turns: list[_Turn], role: str, answers: bool, parts: list[tuple[str, dict[str, Any]]]
) -> None:
    if not parts:
        return
    if not turns or (turns[-1].role, turns[-1].answers) != (role, answers):
        turns.append(_Turn(role, answers))
    turns[-1].parts.extend(parts)


def _ordered(turn: _Turn, before: _Turn) -> list[dict[str, Any]]:
    parts = turn.parts
    if turn.answers:
        calls = {id: i for i, (id, _) in enumerate(before.parts) if id}
        parts = sorted(parts, key=lambda item: calls.get(item[0], len(calls)))
    return [part for _, part in parts]


def _part(part: Part) -> dict[str, Any] | None:
    if isinstance(part, OpaquePart):
        return dict(clean(part.data)) if part.provider == PROVIDER and part.data else None
    extra = own_extra(part.extra, PROVIDER)
    match part:
        case TextPart():
            text = {"text": clean_text(part.text)}
            return add_extra(text, extra) if part.text or extra else None
        case ThinkingPart():
            thought = {"text": clean_text(part.text), "thought": True}
            return add_extra(thought, extra) if extra else None
        case ImagePart():
            return add_extra(_image(part), extra)
        case ToolCallPart():
            call = {"name": clean_text(part.name), "args": clean(part.arguments)}
            return add_extra({"function_call": call}, extra)
        case ToolResultPart():
            return None


def _image(part: ImagePart) -> dict[str, Any]:
    image = resolve(part)
    if image.data is not None:
        media_type = media_type_of(image.data, image.media_type)
        encoded = base64.b64encode(image.data).decode()
        return {"inline_data": {"mime_type": clean_text(media_type), "data": encoded}}
    if image.media_type is None:  # the API needs to be told, and a URL does not say
        return {"text": clean_text(image_note(image))}
    uri = clean_text(image.url or "")
    return {"file_data": {"file_uri": uri, "mime_type": clean_text(image.media_type)}}


def _result(part: ToolResultPart, names: dict[str, str]) -> dict[str, Any]:
    texts = [
        image_note(p) if isinstance(p, ImagePart) else getattr(p, "text", "") for p in part.content
    ]
    text = clean_text("\n".join(text for text in texts if text))
    name = part.name or names.get(part.call_id, part.call_id)
    response = {"error" if part.is_error else "output": text}
    answer = {"name": clean_text(name), "response": response}
    return add_extra({"function_response": answer}, own_extra(part.extra, PROVIDER))
