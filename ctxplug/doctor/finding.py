"""Finding: one thing that was looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Finding", "Level", "ok", "problem", "warning"]

Level: TypeAlias = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in an `area`: `said` in a sentence, and the `advice` where there is any.

    A "problem" keeps something from working or endangers data; a "warning" is worth a look.
    `detail` is what only a developer wants: a traceback.
    """

    area: str
    level: Level
    said: str
    advice: str = ""
    detail: str = ""


def ok(area: str, said: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(area, "ok", said)


def warning(area: str, said: str, advice: str, detail: str = "") -> Finding:
    """Return a finding that is worth a look."""
    return Finding(area, "warning", said, advice, detail)


def problem(area: str, said: str, advice: str, detail: str = "") -> Finding:
    """Return a finding that something does not work, or endangers data."""
    return Finding(area, "problem", said, advice, detail)
