"""LoCoMo conversations with their questions, and MADial dialogues with their memories."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctxplug.messages import Message
from ctxplug.transcripts.locomo import read_locomo

_TURN = re.compile(r"D([0-9]+):([0-9]+)")
_SAID = re.compile(r'<(\w+)>:"(.*)"\n?', re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A question and the ids of the messages that hold the evidence for its answer."""

    text: str
    evidence: tuple[str, ...]
    category: int


@dataclass(frozen=True)
class Conversation:
    """A conversation: its messages in order, and what is asked about it."""

    name: str
    messages: tuple[Message, ...]
    questions: tuple[Question, ...]

    def sessions(self) -> dict[str, list[Message]]:
        """Return the messages by session."""
        found: dict[str, list[Message]] = {}
        for message in self.messages:
            found.setdefault(f"{self.name}-{message.metadata['session']}", []).append(message)
        return found


@dataclass(frozen=True)
class Dialogue:
    """What was said before a turn, one line each, and the ids of the memories that fit it."""

    user: int
    text: str
    relevant: tuple[str, ...]


def read_conversations(folder: Path) -> list[Conversation]:
    """Return the conversations of a folder of LoCoMo files, in order of name."""
    return [
        _conversation(file.stem, json.loads(file.read_text(encoding="utf-8")))
        for file in sorted(folder.glob("*.json"))
    ]


def read_dialogues(folder: Path) -> tuple[dict[str, Mapping[str, Any]], list[Dialogue]]:
    """Return the memories by id, and the dialogues, of a MADial folder."""
    memories: dict[str, Mapping[str, Any]] = {}
    for line in (folder / "memory.jsonl").read_text(encoding="utf-8").splitlines():
        memories |= json.loads(line)
    dialogues = []
    for line in (folder / "dialogue.jsonl").read_text(encoding="utf-8").splitlines():
        data = json.loads(line)
        said = data["dialogue"][1 : data["test-turn"][0]]  # the first is a mark
        lines = [_SAID.sub(r"\1：\2", turn).strip() for turn in said]
        relevant = tuple(str(id) for id in data["relevant-id"] if str(id) in memories)
        dialogues.append(Dialogue(data["user-id"], "\n".join(lines), relevant))
    return memories, dialogues


def _conversation(name: str, data: Mapping[str, Any]) -> Conversation:
    messages, _ = read_locomo(data)
    ids = {message.metadata["dia_id"]: message.id for message in messages}
    questions = [
        Question(str(asked["question"]), evidence, asked["category"])
        for asked in data["qa"]
        if (evidence := _evidence(asked.get("evidence", ()), ids))
    ]
    return Conversation(name, messages, tuple(questions))


def _evidence(given: Sequence[str], ids: Mapping[str, str]) -> tuple[str, ...]:
    """Return the message ids of evidence strings such as "D8:6; D9:17", if known."""
    turns = [f"D{int(a)}:{int(b)}" for text in given for a, b in _TURN.findall(text)]
    return tuple(dict.fromkeys(ids[turn] for turn in turns if turn in ids))
