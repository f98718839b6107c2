"""ContextPolicy: when a window is compacted, how far, by what, and what is never cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ctxplug.compression import CompressionStrategy, Summarizer
from ctxplug.errors import InvalidValueError, UnknownComponentError
from ctxplug.tokens.prices import CacheRatios


@dataclass(frozen=True, kw_only=True)
class ContextPolicy:
    """How the window follows the log.

    A window grows until it holds `high` of the limit; then one compaction brings it to
    `low`, by `strategies` in order, each only until that is reached. What was already sent
    is changed only when that pays: `cache_seconds` is how long the provider keeps a prefix,
    `cache_read` and `cache_write` its prices relative to plain input, `expected_calls` how
    many further calls a session is assumed to make. When the cache is cold, a window above
    `cold` of the limit is compacted.

    Never changed: system messages, pinned messages, the current turn (only results in its
    tool loop, and only when nothing else fits), the newest `keep_last` units, and results
    of `keep_tools`. A tool result over `shape_over` tokens is shaped once, when it is added.
    `scorers` weigh what goes first. Recalled memories take at most `recall_share` of the
    budget and are at most `recall_limit`; with None the share is filled, best first. What an
    application's sections add takes at most `section_share` of it.
    `due(tokens, messages)`, of all that is sent, says when to compact in place of `high` and
    `cold`; whether it pays is not asked then. With `digest_loop` the oldest steps of the
    current turn's tool loop are digested too where nothing else is left to cut: for agents that
    work for long on one question.
    """

    name: str = "custom"
    high: float = 0.95
    low: float = 0.4
    cold: float = 0.7
    strategies: tuple[str | CompressionStrategy, ...] = (
        "shape-tool-results",
        "dedupe",
        "clear-tool-results",
        "digest",
    )
    scorers: Mapping[str, float] = field(
        default_factory=lambda: {"recency": 0.3, "content": 0.4, "reference": 0.3}
    )
    summarizer: str | Summarizer | None = None
    keep_last: int = 4
    keep_tools: tuple[str, ...] = ()
    shape_over: int | None = 1_500
    recall_share: float = 0.25
    recall_limit: int | None = 20
    section_share: float = 0.3
    cache_seconds: float = 300.0
    cache_read: float = 0.1
    cache_write: float = 1.25
    expected_calls: int = 20
    due: Callable[[int, int], bool] | None = None
    digest_loop: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high <= 1:
            raise InvalidValueError(
                f"A policy has 0 < low < high <= 1, not low={self.low!r}, high={self.high!r}.",
                path="policy",
            )
        if self.keep_last < 0 or not 0 <= self.recall_share < 1:
            raise InvalidValueError(
                f"keep_last is 0 or more and recall_share from 0.0 to below 1.0, not"
                f" {self.keep_last!r} and {self.recall_share!r}.",
                path="policy",
            )
        if not 0 <= self.section_share < 1:
            raise InvalidValueError(
                f"section_share is from 0.0 to below 1.0, not {self.section_share!r}.",
                path="policy",
            )


PRESETS: Mapping[str, ContextPolicy] = {
    "aggressive": ContextPolicy(
        name="aggressive",
        high=0.7,
        low=0.3,
        cold=0.4,
        keep_last=2,
        shape_over=600,
        recall_share=0.2,
        recall_limit=10,
    ),
    "balanced": ContextPolicy(name="balanced"),
    "conservative": ContextPolicy(
        name="conservative", high=1.0, low=0.7, cold=0.9, keep_last=8, shape_over=4_000
    ),
    "question": ContextPolicy(
        name="question", keep_last=0, recall_share=0.99, recall_limit=None
    ),  # for asking about a history: what is recalled has the window
}


def to_policy(policy: str | ContextPolicy, ratios: CacheRatios) -> ContextPolicy:
    """Return the preset of that name with the cache prices `ratios`, or the policy itself."""
    if isinstance(policy, ContextPolicy):
        return policy
    if policy not in PRESETS:
        raise UnknownComponentError(
            f"There is no policy {policy!r}; choose {', '.join(PRESETS)}, or give a ContextPolicy.",
            kind="policy",
            name=str(policy),
            known=tuple(PRESETS),
        )
    return replace(PRESETS[policy], cache_read=ratios.read, cache_write=ratios.write)
