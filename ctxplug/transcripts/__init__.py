"""Transcript files into conversations: what was said, wherever it was recorded.

Recognised by content, in UTF-8:

- JSONL with one conversation a line: `{"messages": [...], ...}`, or a bare list
- JSONL with one message a line, or a JSON list of messages: one conversation
- a LoCoMo conversation: `speaker_a`, `speaker_b`, `session_N`, `session_N_date_time`
- an export of ctxplug (`ctxplug.exchange`): a conversation for each session

Messages are dicts of OpenAI's or Anthropic's style, or what `Message.to_dict` gives.
JSONL is read as it is consumed, one conversation at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctxplug.errors import InvalidNamespaceError, TranscriptError
from ctxplug.messages import Message
from ctxplug.scope import check_label
from ctxplug.transcripts.files import read_values
from ctxplug.transcripts.shapes import EXPORT_MARK, drafts

__all__ = ["EXPORT_MARK", "Conversation", "is_export", "read_transcript"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said in one conversation, oldest first; `metadata` is what came with it.

    `name` is unique within its file, and fit for the name of a session.
    """

    name: str
    messages: tuple[Message, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read_transcript(path: str | os.PathLike[str]) -> Iterator[Conversation]:
    """Yield the conversations of the file `path`, in order.

    Raises TranscriptError, which names the file, the line and the reason, at the first
    line that makes no sense; every conversation that was yielded before it is whole.
    """
    file = os.fspath(path)
    stem = Path(file).stem
    names: set[str] = set()
    for given, messages, metadata in drafts(file, stem, read_values(file)):
        name = _name(given, f"{stem}-{len(names) + 1}", names)
        names.add(name)
        yield Conversation(name, messages, metadata)
    if not names:
        raise TranscriptError(
            f"{file!r} holds no conversation; it is empty, or an export without messages.",
            path=file,
        )


def is_export(path: str | os.PathLike[str]) -> bool:
    """Say whether the file `path` is an export of ctxplug. Raises TranscriptError."""
    first = next(read_values(os.fspath(path)), None)
    return first is not None and isinstance(first.value, Mapping) and EXPORT_MARK in first.value


def _name(given: Any, numbered: str, taken: set[str]) -> str:
    """Return the name that the file gives if it is fit and free, else a numbered one."""
    wanted = str(given) if isinstance(given, str | int) else ""
    for name in (wanted, numbered):
        if name and name not in taken and _is_label(name):
            return name
    number = len(taken) + 1
    while (name := f"conversation-{number}") in taken:
        number += 1
    return name


def _is_label(name: str) -> bool:
    try:
        check_label(name, "session")
    except InvalidNamespaceError:
        return False
    return True
