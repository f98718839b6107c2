"""A query, read once: its terms and their weights, the times it names, what it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice

from ctxplug.recall.indexing import HAN, NAME_MARK
from ctxplug.recall.periods import Period, periods
from ctxplug.recall.text import terms
from ctxplug.recall.traits import Traits

READ = 20_000  # characters, from the end: what was said last is what is asked
FADE = 0.9  # of a line's weight from each line to the one before it: a query may be a dialogue
SINGLE = 0.3  # the weight of one Chinese character among longer terms
SINGLES = 12  # single characters of a long query that are looked up, of its last lines
LEAST = 0.05
TERMS = 400  # at most; of a long query the last lines
NAMES = 200  # terms looked up as names

# A pair of Chinese characters with one of these says little, as the stop words of English.
_EMPTY = frozenset(
    "的了着过吧啊呢吗呀嘛哦哈啦哇嗯喔噢唉哎是在有和与就都也还又很太这那你我他她它们个不把被给让"
    "到从什么怎得之而且但或会要能可以为说去来上下没想好一及对"
)
_LABEL = re.compile(r"^\W{0,2}(\w[\w .'-]{0,30}?)[>\])]?[:：]", re.MULTILINE)
_ROLES = (
    "user", "human", "assistant", "ai", "bot", "agent", "model", "system", "tool",
    "用户", "助手", "系统", "我", "你",
)  # fmt: skip
_WHERE = re.compile(
    r"\bwhere\b|\b(?:which|what) (?:[\w.]+ )?(?:cit(?:y|ies)|countr(?:y|ies)|places?|states?|towns?"
    r"|areas?|locations?)\b|哪里|哪儿|何处|什么地方|哪个?(?:城市|国家|地方|省)"
)
_ASKED = (
    (
        re.compile(
            r"\bwhen\b|\bwhat (?:date|day|month|year|time)\b|\bhow (?:long|often)\b"
            r"|什么时候|何时|几[月号点]|[哪几][天年]|多久|哪个月"
        ),
        Traits.TIME,
        1.6,
    ),
    (
        re.compile(r"\bhow (?:many|much|often|old|long)\b|多少|几[个次只本块岁位]|多大|多久"),
        Traits.NUMBER,
        0.9,
    ),
    (re.compile(r"\bwho(?:se|m)?\b|\bnamed?\b|谁|哪位|叫什么|名字"), Traits.NAME, 0.9),
    (_WHERE, Traits.NAME, 1.5),
    (_WHERE, Traits.PLACE, 1.0),
    (
        re.compile(
            r"\b(?:books?|novels?|movies?|films?|songs?|albums?|bands?|series|shows?|games?"
            r"|authors?|titles?)\b|书|小说|电影|电视剧|歌|专辑|乐队|游戏"
        ),
        Traits.TITLE,
        1.0,
    ),
)


@dataclass(frozen=True, slots=True)
class Query:
    """What a query says.

    `terms` are weighted from 0.0 to 1.0, `fits` are the traits it asks for with what they
    are worth, `periods` the times it names, `speakers` the terms of names before a colon,
    if it is a dialogue.
    """

    terms: Mapping[str, float]
    speakers: frozenset[str]
    periods: tuple[Period, ...]
    fits: tuple[tuple[Traits, float], ...]

    @property
    def names(self) -> dict[str, str]:
        """The terms that may be a speaker's name, by the marked term they would be."""
        few = islice((term for term in self.terms if len(term) > 1), NAMES)
        return {f"{NAME_MARK}{term}": term for term in few}


def read(query: str, now: datetime) -> Query:
    """Return what `query` says; times such as "last week" are relative to `now`."""
    query = query[-READ:]
    asked = query.lower()
    return Query(
        _weights(query),
        _speakers(query),
        tuple(periods(query, now)),
        tuple((trait, worth) for pattern, trait, worth in _ASKED if pattern.search(asked)),
    )


def _speakers(query: str) -> frozenset[str]:
    labels = _LABEL.findall(query)
    if len(labels) < 2:  # "Note: ..." is no dialogue
        return frozenset()
    return frozenset(term for label in labels for term in terms(label)) - _role_terms()


def _weights(query: str) -> dict[str, float]:
    lines = [line for line in query.splitlines() if line.strip()]
    found: dict[str, float] = {}
    spare: dict[str, float] = {}  # used if there is nothing better
    weight, singles = 1.0, SINGLES
    for line in reversed(lines):
        for term in reversed(terms(line)):
            empty = len(term) < 3 and HAN.match(term) and not _EMPTY.isdisjoint(term)
            into = spare if empty else found
            into.setdefault(term, weight)
        for character in HAN.findall(line):
            if character not in _EMPTY:
                spare.setdefault(character, weight)
                if singles and character not in found:
                    found[character] = SINGLE * weight
                    singles -= 1
        weight = max(LEAST, weight * FADE)
        if len(found) > TERMS:
            found = dict(islice(found.items(), TERMS))
            break
    if not any(len(term) > 1 or not HAN.match(term) for term in found):
        return {**found, **spare}
    return found


@cache
def _role_terms() -> frozenset[str]:
    """Return the terms of role names; made at first use, for it loads the stemmer."""
    return frozenset(term for role in _ROLES for term in terms(role))
