"""Event: what an observer is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ctxplug.scope import Scope


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` such as "message.added", with plain `data`."""

    kind: str
    scope: Scope
    at: datetime
    data: Mapping[str, Any]
