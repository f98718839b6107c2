"""Likeness: whether two memories say the same, so that one of them can go.

Two texts are near-duplicates if the longer says all that the shorter says, in the same
order, and what it says beyond that are few words none of which changes the sense: no
number, name, date, negation, condition or doubt. English and Chinese. Articles and the
like do not count, nor does the -s of a plural or a third person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

CANDIDATES = 1_000  # texts that are compared with one

_HAN = "\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(
    rf"[{_HAN}]|[-−]?[0-9]+(?:[.,:/-][0-9]+)*|!=|[^\W_{_HAN}]+(?:['’.@+#/_-][^\W{_HAN}]+)*"
    r"|[$€£¥%#+°&=<>~^*\u2190-\u2bff\U0001f000-\U0001faff]"
)
_HAN_ONE = re.compile(f"[{_HAN}]")
_SPACES = re.compile(r"\s+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Said or left out, they change nothing.
_LIGHT = _words("a an the that really very also just please quite so too indeed well o oh")
_LIGHT_HAN = frozenset("的啊呀嘛哦啦哇呢吧")
_LIGHT_PHRASES = re.compile("非常|特别|真的|确实|其实|很")
# Said beyond the rest, they change the sense of it.
_TELLING = _words(
    """
    no not never none nobody nothing nowhere neither nor without cannot hardly stop stopped quit
    cancel cancelled canceled refuse refused except instead unless only but if when while until
    before after since maybe perhaps possibly probably might may could would should can will
    shall must wants want wanted hopes hope plan plans planned planning used former formerly ex
    previously past once now currently today yesterday tomorrow always sometimes often usually
    rarely seldom ago last next almost nearly about half all any every some most many few more
    less than or than pretend false wrong untrue longer anymore thinks think said says believes
    dislikes hates like
    one two three four five six seven eight nine ten eleven twelve twenty thirty hundred thousand
    monday tuesday wednesday thursday friday saturday sunday january february march april june
    july august september october november december
    """
)
_TELLING_HAN = frozenset(
    "不没无别未勿非莫禁止停拒取消若如假可能会要想应该必须曾经以前过去将打算计划只仅除但或"
    "零一二三四五六七八九十百千万亿两半几每都总常偶年月日周号点时分今昨明前后现在已"
    "大小多少老新旧"
)


@dataclass(frozen=True)
class Text:
    """A text as it is compared: `tokens` in order, `raw` as they were written."""

    tokens: tuple[str, ...]
    raw: tuple[str, ...]
    asks: bool

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Words, and pairs of neighbouring Chinese characters."""
        found = {token for token in self.tokens if not _HAN_ONE.match(token)}
        for a, b in pairwise(self.tokens):
            if _HAN_ONE.match(a) and _HAN_ONE.match(b):
                found.add(a + b)
        return frozenset(found or self.tokens)


def text_of(content: str) -> Text:
    """Return `content` as it is compared."""
    plain = unicodedata.normalize("NFKC", content).replace("’", "'")
    plain = _LIGHT_PHRASES.sub("", plain)
    tokens, raw = [], []
    for match in _TOKEN.finditer(plain):
        token = _folded(match[0])
        if token not in _LIGHT and token not in _LIGHT_HAN:
            tokens.append(token)
            raw.append(match[0])
    return Text(tuple(tokens), tuple(raw), content.rstrip().endswith(("?", "？", "吗", "呢")))


def normal(content: str) -> str:
    """Return what equal texts have in common: no case, spaces or punctuation around."""
    plain = unicodedata.normalize("NFKC", content).casefold()
    return _SPACES.sub(" ", plain).strip(" .!。！,，;；")


def says_all_of(longer: Text, shorter: Text, similarity: float) -> bool:
    """Say whether `longer` says what `shorter` says, and nothing else of weight."""
    if not shorter.tokens or shorter.asks != longer.asks:
        return False
    if shorter.tokens == longer.tokens:
        return similarity <= 1
    extra = _beyond(longer, shorter)
    if extra is None or any(_is_telling(word) for word in extra):
        return False
    common = len(longer.shingles & shorter.shingles)
    return common >= similarity * len(longer.shingles | shorter.shingles)


class Texts:
    """Texts by their words, to find those that may say all that another says."""

    def __init__(self) -> None:
        self._by_token: dict[str, list[tuple[int, Text]]] = {}

    def add(self, number: int, text: Text) -> None:
        """Add a text; `number` stands for it."""
        for token in set(text.tokens):
            self._by_token.setdefault(token, []).append((number, text))

    def with_all_of(self, text: Text, similarity: float) -> Iterable[int]:
        """Yield the numbers of the texts that say all that `text` says, first added first."""
        if not text.tokens:
            return
        rarest = min(set(text.tokens), key=lambda t: (len(self._by_token.get(t, ())), t))
        for number, other in self._by_token.get(rarest, ())[:CANDIDATES]:
            if says_all_of(other, text, similarity):
                yield number


def _beyond(longer: Text, shorter: Text) -> list[str] | None:
    """Return what `longer` has beyond the words of `shorter`, None if it lacks one of them."""
    left: Sequence[str] = shorter.tokens
    extra, at = [], 0
    for token, raw in zip(longer.tokens, longer.raw, strict=True):
        if at < len(left) and token == left[at]:
            at += 1
        else:
            extra.append(raw)
    return extra if at == len(left) else None


def _is_telling(word: str) -> bool:
    """Say whether a word more changes the sense: a number, a name, "not", "if", "used"."""
    if _HAN_ONE.match(word):
        return word in _TELLING_HAN
    bare = word.casefold()
    return not bare.isalpha() or word[:1].isupper() or bare in _TELLING or len(bare) == 1


def _folded(word: str) -> str:
    word = word.casefold()
    if word.endswith("'s"):
        return word  # whose it is makes a difference
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1] if not word.endswith("ies") else word[:-3] + "y"
    return word
