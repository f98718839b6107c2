"""Session: one conversation inside a namespace."""

from __future__ import annotations

from dataclasses import dataclass

from ctxplug.scope import Namespace


@dataclass(frozen=True, slots=True)
class Session:
    """The session a memory writes to; `id` is unique within the namespace."""

    id: str
    namespace: Namespace

    def __str__(self) -> str:
        return self.id
