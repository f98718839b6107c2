"""Every question that is asked of the evidence, in one list; a pure function."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ctxplug_server.monitoring.advice.evidence import Evidence
from ctxplug_server.monitoring.advice.of_memories import (
    duplicates,
    empty_recalls,
    repeated_recalls,
    unused_memories,
)
from ctxplug_server.monitoring.advice.of_prompts import (
    budget_tight,
    budget_unused,
    cache_breaks,
    cache_unused,
    cheaper_policy,
    large_parts,
)
from ctxplug_server.monitoring.advice.of_tools import large_results, retried_tools, slow_steps
from ctxplug_server.monitoring.advice.of_upkeep import not_archived, not_maintained, open_sessions
from ctxplug_server.monitoring.advice.tip import KINDS, SEVERITIES, Tip

QUESTIONS: tuple[Callable[[Evidence], Iterator[Tip]], ...] = (
    cheaper_policy,
    cache_breaks,
    cache_unused,
    budget_tight,
    budget_unused,
    large_results,
    large_parts,
    empty_recalls,
    repeated_recalls,
    slow_steps,
    retried_tools,
    unused_memories,
    duplicates,
    open_sessions,
    not_maintained,
    not_archived,
)


def advise(evidence: Evidence) -> tuple[Tip, ...]:
    """Return what to change, the most urgent first, and of these what saves most."""
    found = [tip for question in QUESTIONS for tip in question(evidence)]
    return tuple(sorted(found, key=_order))


def _order(tip: Tip) -> tuple[int, float, int]:
    saved = (tip.saving.dollars or 0.0) if tip.saving else 0.0
    return SEVERITIES.index(tip.severity), -saved, KINDS.index(tip.kind)
