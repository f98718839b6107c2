"""Recalled: a record that was found, how well it fits, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ctxplug.records import MemoryRecord


@dataclass(frozen=True, slots=True)
class Recalled:
    """A record with its `score` (higher is better) and the parts `why` it has it.

    `archived` says that it was found in the archive.
    """

    record: MemoryRecord
    score: float
    why: Mapping[str, float]
    archived: bool = False
