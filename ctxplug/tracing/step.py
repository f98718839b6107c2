"""Step: one thing that happened, with its time, its size and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ctxplug.errors import InvalidValueError
from ctxplug.times import to_datetime

WINDOW = "window"  # a context window was assembled
COMPACTION = "compaction"  # what had been sent was made shorter; inside a window
MODEL = "model"  # a model was called, or reported what a call used
TOOL = "tool"  # a tool was run
RECALL = "recall"  # memories were looked for
REMEMBER = "remember"  # a memory was stored or removed
ERROR = "error"  # an error that is no other step's outcome
RETRY = "retry"  # something is tried again
SPAN = "span"  # a step of the application's own
KINDS = (WINDOW, COMPACTION, MODEL, TOOL, RECALL, REMEMBER, ERROR, RETRY, SPAN)

OK, FAILED, CANCELLED = "ok", "error", "cancelled"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a trace.

    `id` and `parent` are 16 hexadecimal digits, `trace` 32: what serves one turn, or one span
    of the application, shares it. `name` is that of the tool, model or span; `duration` is in
    seconds; `outcome` is "ok", "error", "cancelled", or a tool run's own ("timeout", "refused",
    ...), and `error` says why it is not "ok". `tokens` are those of the window, the model call
    or what was recalled; `cost` is in dollars, None if unknown. `data` is JSON whose keys
    docs/tracing.md lists by kind. `session` and `agent` say whose step it is.
    """

    id: str
    trace: str
    parent: str | None
    kind: str
    name: str
    started_at: datetime
    duration: float
    outcome: str
    session: str
    agent: str | None = None
    tokens: int | None = None
    cost: float | None = None
    error: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended_at(self) -> datetime:
        """When it ended."""
        return self.started_at + timedelta(seconds=self.duration)

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.outcome == OK

    def to_dict(self) -> dict[str, Any]:
        """Return the step as JSON data; `from_dict` is the exact inverse."""
        return {
            "id": self.id,
            "trace": self.trace,
            "parent": self.parent,
            "kind": self.kind,
            "name": self.name,
            "started_at": self.started_at.isoformat(),
            "duration": self.duration,
            "outcome": self.outcome,
            "session": self.session,
            "agent": self.agent,
            "tokens": self.tokens,
            "cost": self.cost,
            "error": self.error,
            "data": dict(self.data),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Step:
        """Read a step back; raise InvalidValueError if `data` is none."""
        try:
            return cls(**{**data, "started_at": to_datetime(data["started_at"])})
        except (KeyError, TypeError, ValueError) as exc:
            raise InvalidValueError(f"This is no step of a trace: {exc!r:.120}.") from exc
