"""MemoryPolicy: where memories go, how long they stay, and what happens to them with time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ctxplug.errors import InvalidValueError
from ctxplug.records import TIERS

if TYPE_CHECKING:
    from ctxplug.compression import Summarizer
    from ctxplug.scoring import ImportanceScorer

HOUR, DAY = 3_600.0, 86_400.0


@dataclass(frozen=True, kw_only=True)
class TierRule:
    """How long a tier keeps a memory after its last use, in seconds, and how many it holds.

    None: for ever, and any number.
    """

    retention: timedelta | float | None = None
    capacity: int | None = None

    def __post_init__(self) -> None:
        if self.retention is not None:
            object.__setattr__(self, "retention", _seconds(self.retention, "retention"))
        _require_count(self.capacity, "capacity")

    @property
    def duration(self) -> timedelta | None:
        """The retention as a timedelta."""
        return None if self.retention is None else timedelta(seconds=float(self.retention))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class MemoryPolicy:
    """How memories live.

    **Routing**: a new memory of a kind in `always_long`, or with an importance of at least
    `long_from`, goes to the long tier, of at least `medium_from` to the medium one, and any
    other to the short one. **Retention** is the tier's (`short`, `medium`, `long`), counted
    from the last access; an explicit `ttl` wins. **Promotion** by maintenance: after
    `medium_after` accesses to medium, after `long_after` to long (None: never), or when the
    importance routes it higher.

    **Decay**: the effective importance halves every `half_life` seconds without access, not
    below `decay_floor`; kinds in `always_long` keep theirs. **Capacity**: each tier's, and
    `capacity` for all of a namespace's memories; the least worthy go first. Worth is the
    effective importance and, with a share of `scorer_share`, what `scorers` say.

    **Consolidation**: `similarity` is the share of their words that two texts must have in
    common to be one memory (above 1.0: only equal texts are); with `supersede`, what
    contradicts an older statement with certainty supersedes it. A session that was idle for
    `session_idle` seconds and has `summary_from` new messages is summarised in about
    `summary_tokens` by `summarizer` (None: by none). `archive_after`: what was not used for
    so many seconds is archived by maintenance (None: nothing is).
    """

    long_from: float = 0.8
    medium_from: float = 0.5
    always_long: tuple[str, ...] = ("schema", "config", "preference")
    short: TierRule = field(default_factory=lambda: TierRule(retention=HOUR))
    medium: TierRule = field(default_factory=lambda: TierRule(retention=24 * HOUR))
    long: TierRule = field(default_factory=lambda: TierRule(retention=365 * DAY))
    medium_after: int | None = 3
    long_after: int | None = 10
    half_life: timedelta | float | None = 30 * DAY
    decay_floor: float = 0.05
    capacity: int | None = None
    scorers: Mapping[str | ImportanceScorer, float] = field(
        default_factory=lambda: {"access": 0.5, "kind": 0.5}
    )
    scorer_share: float = 0.3
    similarity: float = 0.8
    supersede: bool = True
    session_idle: timedelta | float = HOUR
    summarizer: str | Summarizer | None = "extractive"
    summary_from: int = 4
    summary_tokens: int = 300
    archive_after: timedelta | float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.medium_from <= self.long_from <= 1:
            raise InvalidValueError(
                "A memory policy has 0 <= medium_from <= long_from <= 1, not"
                f" medium_from={self.medium_from!r}, long_from={self.long_from!r}.",
                path="memory_policy",
            )
        for name in ("decay_floor", "scorer_share"):
            _require_share(getattr(self, name), name)
        if not self.similarity > 0:
            raise InvalidValueError(
                f"similarity is a share above 0, not {self.similarity!r}.", path="similarity"
            )
        for name in ("medium_after", "long_after", "capacity"):
            _require_count(getattr(self, name), name)
        for name in ("summary_from", "summary_tokens"):
            _require_count(getattr(self, name), name, least=1)
        for name in ("half_life", "session_idle", "archive_after"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _seconds(value, name))
        if isinstance(self.always_long, str):
            raise InvalidValueError(
                f"always_long is a tuple of kinds, not {self.always_long!r}.", path="always_long"
            )
        object.__setattr__(self, "always_long", tuple(self.always_long))

    def rule(self, tier: str) -> TierRule:
        """Return the rule of `tier`."""
        if tier not in TIERS:
            raise InvalidValueError(f"There is no tier {tier!r}; it is one of {', '.join(TIERS)}.")
        rule: TierRule = getattr(self, tier)
        return rule


def _seconds(value: timedelta | float, name: str) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidValueError(
            f"{name} is a timedelta or seconds, or None, not {value!r}.", path=name
        )
    if not 0 < seconds < math.inf:
        raise InvalidValueError(
            f"{name} is {value!r}; give a time above zero, or None for no limit.", path=name
        )
    return float(seconds)


def _require_count(value: int | None, name: str, *, least: int = 0) -> None:
    if value is None and least == 0:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidValueError(
            f"{name} is a whole number from {least} on, not {value!r}.", path=name
        )


def _require_share(value: float, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidValueError(f"{name} is a share from 0.0 to 1.0, not {value!r}.", path=name)
