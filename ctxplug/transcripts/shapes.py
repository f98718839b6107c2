"""From JSON values to conversations: which of the known shapes a value has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message
from ctxplug.transcripts.files import Line, fault
from ctxplug.transcripts.locomo import is_locomo, read_locomo

EXPORT_MARK = "ctxplug_export"
"""The key of an export's first line; its value is the version of the export's format."""

Draft: TypeAlias = tuple[Any, tuple[Message, ...], Mapping[str, Any]]
"""A conversation before it has its final name: the name given, messages, metadata."""

_NAMES = ("name", "id", "session", "conversation_id")
_ANTHROPIC_BLOCKS = frozenset(
    {"tool_use", "tool_result", "thinking", "redacted_thinking", "server_tool_use", "document"}
)
_KNOWN_SHAPES = (
    "a conversation is an object with 'messages', a list of messages, or a LoCoMo object with"
    " 'speaker_a', 'speaker_b' and 'session_1'; a message is an object with 'role' and 'content'"
)


def drafts(path: str, stem: str, values: Iterator[Line]) -> Iterator[Draft]:
    """Yield the conversations in `values`, of which the first tells the shape.

    Raises TranscriptError. `stem` names a file's only conversation.
    """
    first = next(values, None)
    if first is None:
        return
    if isinstance(first.value, Mapping) and EXPORT_MARK in first.value:
        yield from _exported(path, values, forks=first.value[EXPORT_MARK] != 1)
    elif _is_message(first.value):
        yield stem, _messages(path, chain([first], values)), {}
    else:
        second = next(values, None)
        yield _conversation(path, first, stem if second is None else None)
        for line in chain([second] if second else [], values):
            yield _conversation(path, line, None)


def _conversation(path: str, line: Line, stem: str | None) -> Draft:
    value = line.value
    if isinstance(value, list):
        return stem, _messages(path, (Line(line.number, one) for one in value), line.number), {}
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        system = value.get("system")  # where Anthropic's requests have it
        given = [{"role": "system", "content": system}] if system else []
        items = (Line(line.number, one) for one in [*given, *value["messages"]])
        rest = {k: v for k, v in value.items() if k not in ("messages", "system")}
        metadata = _checked(path, line.number, "", partial(codec.plain, rest, "the conversation"))
        name = next((value[key] for key in _NAMES if key in value), stem)
        return name, _messages(path, items, line.number), metadata
    if is_locomo(value):
        read = partial(read_locomo, value)
        messages, metadata = _checked(path, line.number, "", read)
        return value.get("sample_id", stem), messages, metadata
    raise fault(path, line.number, f"this is {_kind(value)}, but {_KNOWN_SHAPES}")


def _messages(path: str, lines: Iterable[Line], start: int = 0) -> tuple[Message, ...]:
    items = list(lines)
    anthropic = any(_is_anthropic(item.value) for item in items)
    found: list[Message] = []
    for i, item in enumerate(items, 1):
        if not _is_message(item.value):
            reason = f"message {i} is {_kind(item.value)}, but {_KNOWN_SHAPES}"
            raise fault(path, item.number, reason)
        read = partial(_read_message, item.value, anthropic)
        found += _checked(path, item.number, f"message {i}: ", read)
    if not found:
        raise fault(path, start, "the conversation holds no message")
    return tuple(found)


def _read_message(data: Mapping[str, Any], anthropic: bool) -> list[Message]:
    if "created_at" in data and isinstance(data.get("content"), list):
        return [Message.from_dict(data)]
    return Message.from_anthropic(data) if anthropic else Message.from_openai(data)


def _exported(path: str, lines: Iterator[Line], *, forks: bool) -> Iterator[Draft]:
    """Yield the sessions of an export, which stand one after another; records are no talk.

    Where there are `forks`, each begins with what its parent had said by then.
    """
    here: tuple[Any, Any] | None = None
    found: list[tuple[int, Message]] = []
    told: dict[Any, list[tuple[int, Message]]] = {}
    for line in lines:
        entry = line.value if isinstance(line.value, Mapping) else {}
        body = entry.get("body")
        is_said = entry.get("type") == "entry" and isinstance(body, Mapping) and "message" in body
        if not is_said and entry.get("type") != "fork":
            continue
        key = (entry.get("namespace"), entry.get("session"))
        if key != here:
            if here is not None and found:
                yield here[1], tuple(message for _, message in found), {"namespace": here[0]}
            here, found = key, []
            if forks:
                told[repr(key)] = found
        if is_said and isinstance(body, Mapping):
            read = partial(Message.from_dict, body["message"])
            found.append((entry.get("version", 0), _checked(path, line.number, "", read)))
        else:
            past = told.get(repr((key[0], entry.get("parent"))), [])
            found += [one for one in past if one[0] <= entry.get("upto", 0)]
    if here is not None and found:
        yield here[1], tuple(message for _, message in found), {"namespace": here[0]}


def _checked(path: str, line: int, where: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except InvalidValueError as exc:
        raise fault(path, line, f"{where}{exc}") from exc


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and "role" in value and "messages" not in value


def _is_anthropic(value: Any) -> bool:
    content = value.get("content") if isinstance(value, Mapping) else None
    for block in content if isinstance(content, list) else ():
        kind = block.get("type") if isinstance(block, Mapping) else None
        known = isinstance(kind, str) and kind in _ANTHROPIC_BLOCKS
        if known or (kind == "image" and "source" in block):
            return "created_at" not in value  # ours has parts of those names too
    return False


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        keys = ", ".join(f"{key!r:.30}" for key in list(value)[:6])
        return f"an object with {keys}" if keys else "an empty object"
    return {list: "a list", str: "a text", type(None): "null"}.get(type(value), f"{value!r:.40}")
