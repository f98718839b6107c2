"""Evidence: what advice is given on, as plain data, so that giving it is a pure function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ctxplug.records import MemoryRecord
from ctxplug.storage import ArchiveState
from ctxplug.tokens.prices import CacheRatios, Price
from ctxplug.tracing.analysis import Finding
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.step import Step


@dataclass(frozen=True, kw_only=True)
class SessionSeen:
    """One session: its state, when it last grew, its steps, and what their analysis found."""

    session: str
    state: str
    updated_at: datetime
    entries: int = 0
    archived: int = 0
    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()

    def of(self, *kinds: str) -> list[Step]:
        """Return its steps of some kinds."""
        return [step for step in self.steps if step.kind in kinds]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a namespace at the time `now`.

    `sessions` are the newest that were looked at, with their steps; `listed` all there are,
    without. `reruns` are what their largest would have been by other policies. `price` and
    `ratios` are those of `model`, the one most called.
    """

    namespace: str
    now: datetime
    sessions: tuple[SessionSeen, ...] = ()
    listed: tuple[SessionSeen, ...] = ()
    records: tuple[MemoryRecord, ...] = ()
    reruns: tuple[Rerun, ...] = ()
    maintained_at: datetime | None = None
    archive: ArchiveState | None = None
    embedder: str | None = None
    model: str | None = None
    price: Price | None = None
    ratios: CacheRatios = field(default_factory=CacheRatios)
    notes: tuple[str, ...] = ()

    def steps(self, *kinds: str) -> Iterator[Step]:
        """Yield the steps of some kinds, over all sessions that were looked at."""
        for seen in self.sessions:
            yield from seen.of(*kinds)

    def findings(self, kind: str) -> Iterator[tuple[str, Finding]]:
        """Yield what was found of a kind, with its session."""
        for seen in self.sessions:
            yield from ((seen.session, one) for one in seen.findings if one.kind == kind)
