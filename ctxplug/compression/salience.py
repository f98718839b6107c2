"""Salience: how likely a sentence is to be needed later, without a model.

A sentence counts for its content words, each weighted by how rare it is in this
conversation, times what the sentence is like. The weights were fitted on English
conversations (which words of which turns answer later questions) and rounded by hand:
long sentences, times, numbers, names and what a person says of themself are asked for;
questions, greetings and praise are not. Centrality is not used: a fact is said once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ctxplug.compression import words as lists
from ctxplug.compression.sentences import split

CACHED = 8_192  # sentences whose reading is remembered

_TOKEN = re.compile(rf"[{lists.CJK}]+|[^\W_{lists.CJK}]+(?:['’.,:/@_-][^\W_{lists.CJK}]+)*")
_HAN = re.compile(f"[{lists.CJK}]")
_CLAUSE = re.compile("[^，]*，|[^，]+")
_SUFFIX = re.compile(r"(?:ing|edly|ed|ies|es|s|ly|y|e)\Z")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is in a sentence, whatever conversation it is in.

    `words` maps each content word's key to its weight; `factor` is the sentence's own.
    """

    words: dict[str, float]
    factor: float


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of text number `place`, with the value of each content word in it."""

    place: int
    text: str
    values: dict[str, float]

    @property
    def value(self) -> float:
        """The sum over its words: its salience."""
        return sum(self.values.values())


def sentences(
    texts: Sequence[str],
    *,
    speakers: Collection[str] = (),
    weights: Sequence[float] = (),
    clauses: bool = False,
) -> list[Sentence]:
    """Return the sentences of `texts` in order, valued within this conversation.

    `texts` are its messages; how rare a word is, is counted over them. The names of
    `speakers` say nothing. `weights` multiplies the values of each text. `clauses` cuts
    Chinese sentences at their commas, where one sentence often chains several statements.
    """
    cut = _clauses if clauses else split
    read = [[(s, reading(s)) for s in cut(text)] for text in texts]
    found: Counter[str] = Counter()
    for pieces in read:
        found.update({word for _, r in pieces for word in r.words})
    rarity = {word: 1 + 0.5 * math.log(len(read) / n) for word, n in found.items()}
    for name in speakers:
        rarity |= {word: 0.1 for word in reading(name).words}
    return [
        Sentence(place, s, _values(r, rarity, weights[place] if weights else 1.0))
        for place, pieces in enumerate(read)
        for s, r in pieces
        if r.words
    ]


def _clauses(text: str) -> list[str]:
    return [clause for s in split(text) for clause in (_CLAUSE.findall(s) if "，" in s else (s,))]


def _values(read: Reading, rarity: dict[str, float], weight: float) -> dict[str, float]:
    weight *= read.factor
    return {word: w * rarity[word] * weight for word, w in read.words.items()}


@lru_cache(CACHED)
def reading(sentence: str) -> Reading:
    """Return the content words of one sentence and its factor."""
    found: dict[str, float] = {}
    seen: set[str] = set()
    named = number = False
    for i, token in enumerate(_TOKEN.findall(sentence)):
        if _HAN.match(token):
            light = lists.CHINESE_LIGHT
            found |= {w: 0.4 if w in light else 1.0 for w in _chinese_words(token)}
            continue
        lower = token.lower().replace("’", "'")
        seen.add(lower)
        if lower in lists.STOP or lower.endswith("n't"):
            continue
        digit = any(c.isdigit() for c in token)
        name = i > 0 and token[0].isupper()
        number, named = number or digit, named or name
        found[key(lower)] = _word_weight(lower, name, digit)
    return Reading(found, _factor(sentence, seen, len(found), named, number))


def key(word: str) -> str:
    """Return a lower-case word without its commonest endings, so that forms of it meet."""
    word = word.removesuffix("'s")
    return _SUFFIX.sub("", word) if len(word) > 4 and word.isalpha() else word


def _chinese_words(run: str) -> list[str]:
    empty = lists.CHINESE_EMPTY
    if len(run) == 1:
        return [] if run in empty else [run]
    return [a + b for a, b in pairwise(run) if a not in empty and b not in empty]


def _word_weight(lower: str, name: bool, digit: bool) -> float:
    if lower in lists.LIGHT:
        return 0.5
    weight = 1.4 if len(lower) >= 7 else 1.0
    if name:
        weight *= 2.0
    return weight * 2.0 if digit else weight


def _factor(sentence: str, seen: set[str], n: int, named: bool, number: bool) -> float:
    factor = math.sqrt(max(n, 1))
    chinese = bool(_HAN.search(sentence))
    asks = sentence.rstrip().endswith(("?", "？"))
    first = bool(seen & lists.FIRST_PERSON) or (chinese and bool(_FIRST(sentence)))
    second = bool(seen & lists.SECOND_PERSON) or (chinese and bool(_SECOND(sentence)))
    for present, weight in (
        (asks, 0.5),
        (bool(seen & lists.GREETING) or (chinese and bool(_GREETING(sentence))), 0.65),
        (first, 1.2),
        (second, 0.75),
        (bool(seen & lists.TIME) or (chinese and bool(_TIME(sentence))), 1.7),
        (number, 1.8),
        (named, 1.5),
        (bool(seen & lists.NEGATION) or "n't" in sentence or _negates(sentence, chinese), 1.1),
        (bool(seen & lists.DECISION) or (chinese and bool(_DECISION(sentence))), 1.3),
    ):
        if present:
            factor *= weight
    return factor


def _negates(sentence: str, chinese: bool) -> bool:
    return chinese and lists.CHINESE_NEGATION.search(sentence) is not None


_FIRST = lists.CHINESE_FIRST.search
_SECOND = lists.CHINESE_SECOND.search
_GREETING = lists.CHINESE_GREETING.search
_TIME = lists.CHINESE_TIME.search
_DECISION = lists.CHINESE_DECISION.search
