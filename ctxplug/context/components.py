"""From a policy's names to the components that do the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ctxplug.compression import CompressionStrategy, CompressionTools, Unit
from ctxplug.context.compaction import Score
from ctxplug.context.policy import ContextPolicy
from ctxplug.registry import Registry
from ctxplug.scoring import History, ImportanceScorer, combined, score_all
from ctxplug.tokens import TokenCounter

STRATEGY = "compression strategy"


@dataclass(frozen=True)
class Components:
    """What a policy's names stand for; the last three are built in and always there."""

    strategies: tuple[CompressionStrategy, ...]
    tools: CompressionTools
    score: Score
    shape: Callable[[str, str], str | None]
    clear: CompressionStrategy
    last_resort: CompressionStrategy


def components(
    policy: ContextPolicy,
    counter: TokenCounter,
    registry: Registry,
) -> Components:
    """Resolve the names in `policy`; raises UnknownComponentError for one that nobody offers."""

    def strategy(spec: Any) -> CompressionStrategy:
        found: CompressionStrategy = registry.resolve(STRATEGY, spec)
        return found

    summarizer = policy.summarizer
    return Components(
        strategies=tuple(strategy(spec) for spec in policy.strategies),
        tools=CompressionTools(
            counter=counter,
            ref=ref,
            summarizer=registry.resolve("summarizer", summarizer) if summarizer else None,
        ),
        score=partial(scored, scorer=combined(policy.scorers, registry)),
        shape=partial(_shape, limit=policy.shape_over, counter=counter),
        clear=strategy("clear-tool-results"),
        last_resort=strategy("drop-low-priority"),
    )


def ref(unit: Unit) -> str:
    """Return the reference by which the originals of `unit` are found in its session."""
    first, last = unit.versions[0], unit.versions[-1]
    return f"@{first}" if first == last else f"@{first}-{last}"


def scored(
    units: Sequence[Unit],
    everything: Sequence[Unit],
    note: Callable[[str], None],
    *,
    scorer: ImportanceScorer,
) -> list[Unit]:
    """Return `units` with the score of their most important message.

    "Now" is the time of the newest message, so that the same log gives the same scores.
    What was merged before keeps the score it had.
    """
    messages = [item.message for unit in everything for item in unit.items]
    said = [item.message for unit in units for item in unit.items]
    if not said:
        return list(units)
    now = max(message.created_at for message in messages)
    scores = iter(score_all(said, scorer, now=now, history=History(messages), note=note))
    result = []
    for unit in units:
        score = max(next(scores) for _ in unit.items)
        merged = len(unit.sources) > len(unit.items)
        result.append(unit if merged else replace(unit, score=score))
    return result


def _shape(text: str, ref: str, *, limit: int | None, counter: TokenCounter) -> str | None:
    # A text has at most as many tokens as bytes; most results are far too short to shape.
    if limit is None or 4 * len(text) <= limit or counter.count_text(text) <= limit:
        return None
    from ctxplug.compression.shape_tool_results import shape

    return shape(text, limit, counter, ref)
