"""Anthropic messages as the API sees them: neighbours of one role joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Turn:
    """One merged turn; `blocks` have their paths, `starts` is where each message begins."""

    role: Any
    path: str
    blocks: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def of_type(self, *types: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the blocks of these types, with their paths."""
        return [(path, block) for path, block in self.blocks if block.get("type") in types]


def merged(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Return the merged turns; system messages are not joined."""
    turns: list[Turn] = []
    for i, message in enumerate(messages):
        role = message.get("role")
        if not turns or turns[-1].role != role or role == "system":
            turns.append(Turn(role, f"messages[{i}]"))
        turns[-1].starts.append(len(turns[-1].blocks))
        turns[-1].blocks.extend(blocks_of(message.get("content"), f"messages[{i}].content"))
    return turns


def blocks_of(content: Any, path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the blocks of a content with their paths; text is one text block."""
    if isinstance(content, str):
        return [(path, {"type": "text", "text": content})] if content else []
    if not isinstance(content, list | tuple):
        return []
    return [(f"{path}[{j}]", b) for j, b in enumerate(content) if isinstance(b, Mapping)]
