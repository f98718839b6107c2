"""Tip: one piece of advice: what was seen, what to set, and what that saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

HIGH, WARNING, INFO = "high", "warning", "info"
SEVERITIES = (HIGH, WARNING, INFO)

CHEAPER_POLICY = "cheaper_policy"
CACHE_TOOLS, CACHE_SYSTEM, CACHE_EDITS = "cache_tools", "cache_system", "cache_edits"
CACHE_UNUSED = "cache_unused"
BUDGET_TIGHT, BUDGET_UNUSED = "budget_tight", "budget_unused"
LARGE_RESULTS, LARGE_PART = "large_results", "large_part"
EMPTY_RECALLS, REPEATED_RECALLS = "empty_recalls", "repeated_recalls"
SLOW_STEPS = "slow_steps"
RETRIED_TOOL = "retried_tool"
UNUSED_MEMORIES, DUPLICATES = "unused_memories", "duplicates"
OPEN_SESSIONS = "open_sessions"
NOT_MAINTAINED, NOT_ARCHIVED = "not_maintained", "not_archived"
KINDS = (
    CHEAPER_POLICY,
    CACHE_TOOLS,
    CACHE_SYSTEM,
    CACHE_EDITS,
    CACHE_UNUSED,
    BUDGET_TIGHT,
    BUDGET_UNUSED,
    LARGE_RESULTS,
    LARGE_PART,
    EMPTY_RECALLS,
    REPEATED_RECALLS,
    SLOW_STEPS,
    RETRIED_TOOL,
    UNUSED_MEMORIES,
    DUPLICATES,
    OPEN_SESSIONS,
    NOT_MAINTAINED,
    NOT_ARCHIVED,
)

COUNTED, MADE_AGAIN, AT_MOST = "counted", "made_again", "at_most"
SHOWN = 20  # ids of a kind that are told


@dataclass(frozen=True, slots=True)
class Saving:
    """What a change would have saved of what was looked at.

    `tokens` are plain input tokens, `dollars` None where a price is unknown, and `share` is of
    the cost of the same calls where that is known. `basis`: "counted" from what was recorded,
    "made_again" from calls that were made again, or "at_most", a bound.
    """

    basis: str
    tokens: int | None = None
    dollars: float | None = None
    share: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tip:
    """One piece of advice; `data` has its figures, `setting` what to write instead.

    `sessions`, `steps` and `records` are the ids on which it rests, the first of them.
    """

    kind: str
    severity: str
    setting: str
    data: Mapping[str, Any] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    saving: Saving | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data, without words."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "setting": self.setting,
            "data": dict(self.data),
            "sessions": list(self.sessions[:SHOWN]),
            "steps": list(self.steps[:SHOWN]),
            "records": list(self.records[:SHOWN]),
            "saving": None if self.saving is None else asdict(self.saving),
        }
