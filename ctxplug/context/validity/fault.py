"""One broken rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a message list breaks: its id, where, and what is wrong there.

    `path` is a JSON path in the wire form, such as `messages[3].content[0]`.
    """

    rule: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} at {self.path}: {self.text}"
