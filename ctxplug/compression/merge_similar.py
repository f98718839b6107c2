"""The strategy "merge-similar": neighbours that say nearly the same become one unit.

User and assistant messages of plain text, next to each other or with one between, are
alike when most of the shorter one's content words (pairs of characters in Chinese) are in
the other. They become one block in which a sentence is left out only if an earlier one has
all its words in the same order, its numbers and its negations, so each fact is there once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ctxplug.compression import block, salience
from ctxplug.compression.extractive import is_prose
from ctxplug.compression.sentences import split
from ctxplug.compression.strategy import CompressionTools, Unit, merged, total
from ctxplug.compression.words import CHINESE_NEGATION, NEGATION
from ctxplug.errors import InvalidValueError

LEAST_WORDS = 4  # content words; two shorter messages are alike by chance
REACH = 2  # how far apart in units two messages of one merger may be


class MergeSimilar:
    """Merge alike neighbours, oldest first.

    `overlap` is the share of the shorter message's content words that the other must have,
    0 to 1. Raises InvalidValueError for another value.
    """

    name = "merge-similar"

    def __init__(self, *, overlap: float = 0.75) -> None:
        if not 0 < overlap <= 1:
            raise InvalidValueError(f"overlap is a share above 0 and at most 1, not {overlap!r}.")
        self.overlap = overlap

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Return `units` with alike neighbours merged; see the law (strategy.py)."""
        excess = total(units) - target
        result: list[Unit] = []
        for run in self._runs(units):
            one = _one(run, tools) if excess > 0 and len(run) > 1 else None
            if one is not None and one.tokens < total(run):
                excess -= total(run) - one.tokens
                result.append(one)
            else:
                result += run
        return tuple(result)

    def _runs(self, units: Sequence[Unit]) -> Iterator[list[Unit]]:
        """Yield the units in order, in runs that hang together by likeness."""
        said = [_content(unit) if is_prose(unit) else frozenset() for unit in units]
        start, end = 0, 1
        for i in range(len(units)):
            if i >= end:
                yield list(units[start:end])
                start, end = i, i + 1
            for j in range(i + 1, min(i + REACH, len(units) - 1) + 1):
                if not said[j]:  # calls, images or another strategy's work: no run crosses it
                    break
                if self._alike(said[i], said[j]):
                    end = max(end, j + 1)
        if units:
            yield list(units[start:end])

    def _alike(self, a: frozenset[str], b: frozenset[str]) -> bool:
        least = min(len(a), len(b))
        return least >= LEAST_WORDS and len(a & b) >= self.overlap * least


def _content(unit: Unit) -> frozenset[str]:
    text = unit.items[0].message.text
    return frozenset(w for s in split(text) for w in salience.reading(s).words)


def _one(run: Sequence[Unit], tools: CompressionTools) -> Unit:
    """Return the run as one unit: an assistant's or user's own message, or a block."""
    ref = tools.ref(merged(run, MergeSimilar.name, "", tools.counter))
    said = list(_distinct(run))
    first = run[0].items[0].message
    voices = {(unit.role, unit.items[0].message.name) for unit in run}
    if len(voices) > 1:
        text = block.render(ref, said)
        return merged(run, MergeSimilar.name, text, tools.counter)
    text = "\n".join(line.text for line in said) + f"\n[merged from {ref}]"
    unit = merged(run, MergeSimilar.name, text, tools.counter)
    (item,) = unit.items
    message = replace(item.message, role=first.role, name=first.name)
    item = replace(item, message=message, tokens=tools.counter.count(message))
    return replace(unit, items=(item,))


def _distinct(run: Sequence[Unit]) -> Iterator[block.Line]:
    """Yield each message's sentences but those that one before already says."""
    known: list[_Facts] = []
    for unit in run:
        (item,) = unit.items
        kept: list[str] = []
        for sentence in split(item.message.text):
            facts = _facts(sentence)
            if not any(facts.within(earlier) for earlier in known):
                known.append(facts)
                kept.append(sentence)
        if text := "".join(kept).strip():
            day = item.message.created_at.date().isoformat()
            yield block.Line(item.version, block.speaker(item), day, text)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What may make a difference in a sentence: words in order, numbers, and its mood."""

    words: tuple[str, ...]
    numbers: frozenset[str]
    mood: frozenset[str]

    def within(self, other: _Facts) -> bool:
        """Say whether `other` states all of this."""
        following = iter(other.words)
        return (
            self.mood == other.mood
            and self.numbers <= other.numbers
            and all(word in following for word in self.words)
        )


def _facts(sentence: str) -> _Facts:
    mood = set(CHINESE_NEGATION.findall(sentence))
    numbers: set[str] = set()
    for word in sentence.lower().replace("’", "'").split():
        bare = word.strip(".,!?;:\"'()")
        if bare in NEGATION or bare.endswith("n't"):
            mood.add("not")
        if any(c.isdigit() for c in bare):
            numbers.add(bare)
    if sentence.rstrip().endswith(("?", "？")):
        mood.add("?")
    return _Facts(tuple(salience.reading(sentence).words), frozenset(numbers), frozenset(mood))
