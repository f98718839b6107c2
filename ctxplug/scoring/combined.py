"""Several scorers as one: a weighted mean, in which a scorer that fails has no voice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message
from ctxplug.registry import Registry
from ctxplug.scoring.scorer import History, ImportanceScorer, Item

KIND = "importance scorer"
NEUTRAL = 0.5  # where no scorer is left to ask

Part: TypeAlias = "str | ImportanceScorer"
Weights: TypeAlias = "Mapping[Any, float] | Iterable[tuple[Part, float]] | Part"


@dataclass(frozen=True)
class Scores:
    """The combined score of each item; `parts` has each scorer's own, `notes` who was left out."""

    values: tuple[float, ...]
    parts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Combined:
    """A scorer made of scorers; `parts` are (scorer, weight) with weights that sum to 1.0."""

    name: str
    parts: tuple[tuple[ImportanceScorer, float], ...]

    def score(self, item: Item, now: datetime, history: History) -> float:
        """Return the weighted mean of the parts that could say, or 0.5 if none could."""
        return self.scores([item], now, history).values[0]

    def scores(self, items: Sequence[Item], now: datetime, history: History) -> Scores:
        """Return the scores of `items`.

        A scorer that fails on one item is left out for all, because scores that were made
        by different scorers do not compare.
        """
        parts: dict[str, tuple[float, ...]] = {}
        weights: dict[str, float] = {}
        notes: list[str] = []
        for scorer, weight in self.parts:
            try:
                parts[scorer.name] = tuple(_checked(scorer, one, now, history) for one in items)
                weights[scorer.name] = weight
            except Exception as exc:  # a plugin's failure stays its own, and is told
                notes.append(
                    f"The importance scorer {scorer.name!r} was left out:"
                    f" {type(exc).__name__}: {exc}"
                )
        return Scores(_mean(parts, weights, len(items)), parts, tuple(notes))


def combined(weights: Weights, registry: Registry) -> Combined:
    """Return one scorer from `{"recency": 0.3, "content": 0.7}`.

    Names and specs ("recency:7d") are resolved by `registry`; scorer objects are taken as
    they are, as are (scorer, weight) pairs; one name or scorer alone has weight 1.0.
    Weights are normalised, and what weighs 0.0 is not asked. Raises InvalidValueError for
    weights that are negative, not finite or all zero, for a scorer named twice, and for an
    object that is no scorer; UnknownComponentError for a name that nobody offers.
    """
    pairs = [(_scorer(part, registry), _weight(part, weight)) for part, weight in _pairs(weights)]
    total = math.fsum(weight for _, weight in pairs)
    if not 0.0 < total < math.inf:
        raise InvalidValueError(
            f"The weights of the importance scorers sum to {total!r} in {weights!r:.200}; give at"
            " least one of them a weight above zero, such as {'recency': 0.5, 'content': 0.5}.",
            path="scorers",
        )
    names = [scorer.name for scorer, _ in pairs]
    if len(set(names)) < len(names):
        raise InvalidValueError(
            f"The importance scorers {names!r} name one twice; add up its weights.", path="scorers"
        )
    parts = tuple((scorer, weight / total) for scorer, weight in pairs if weight > 0)
    if len(parts) == 1:
        return Combined(parts[0][0].name, parts)
    return Combined(" + ".join(f"{w:.3g} {s.name}" for s, w in parts), parts)


def score_all(
    items: Sequence[Item],
    scorer: ImportanceScorer,
    *,
    now: datetime,
    history: History | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[float]:
    """Return the score of each of `items`, 0.0 to 1.0; near-linear in their text.

    Without `history`, the messages among `items` are each other's. `note` is told which
    scorer was left out and why; where none is left, scores are 0.5.
    """
    whole = scorer if isinstance(scorer, Combined) else Combined(scorer.name, ((scorer, 1.0),))
    scores = whole.scores(items, now, history or history_of(items))
    for text in scores.notes:
        note(text)
    return list(scores.values)


def history_of(items: Sequence[Item]) -> History:
    """Return the history that is made of the messages among `items`."""
    return History(tuple(item for item in items if isinstance(item, Message)))


def _mean(
    parts: Mapping[str, tuple[float, ...]], weights: Mapping[str, float], count: int
) -> tuple[float, ...]:
    total = math.fsum(weights.values())
    if not total:
        return (NEUTRAL,) * count
    return tuple(
        min(1.0, math.fsum(weights[name] * parts[name][i] for name in weights) / total)
        for i in range(count)
    )


def _checked(scorer: ImportanceScorer, item: Item, now: datetime, history: History) -> float:
    score = scorer.score(item, now, history)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0.0 <= score <= 1.0:
        raise InvalidValueError(f"it scored {score!r:.60} where 0.0 to 1.0 is the range.")
    return float(score)


def _pairs(weights: Weights) -> list[tuple[Part, float]]:
    if isinstance(weights, Mapping):
        return list(weights.items())
    if isinstance(weights, str | ImportanceScorer):
        return [(weights, 1.0)]
    return list(weights)


def _scorer(part: Part, registry: Registry) -> ImportanceScorer:
    found = registry.resolve(KIND, part)
    if isinstance(found, ImportanceScorer):
        return found
    raise InvalidValueError(
        f"{part!r:.80} is no importance scorer: it is a {type(found).__name__} without a name and"
        " a method score(item, now, history).",
        path="scorers",
    )


def _weight(part: Part, weight: float) -> float:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if number and 0.0 <= weight < math.inf:
        return float(weight)
    raise InvalidValueError(
        f"The importance scorer {part!r:.80} has the weight {weight!r}; a weight is a number of"
        " zero or more.",
        path="scorers",
    )
