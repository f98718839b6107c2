"""Likeness: whether two memories say the same, so that one of them can go.

Two texts are near-duplicates if the longer says all that the shorter says, in the same
order, and what it says beyond that are few words that change nothing: "definitely", "her",
"is". Any other word may make it another thing (a hot dog, the backup server). English and
Chinese. Articles and the like do not count, nor does the -s of a plural or a third person;
case does not either, but in paths, identifiers and what is said of a password.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ctxplug.recall.text import folded

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
# Said beyond the rest, they do not change the sense of it.
_PLAIN = _words(
    """
    absolutely actually basically certainly clearly completely definitely especially extremely
    genuinely greatly honestly incredibly literally naturally obviously particularly personally
    simply strongly surely totally truly much lot am is are be being her his their its to of
    """
)
_PLAIN_HAN = frozenset("了地得也就")
_ABOUT = (("user",), ("用", "户"))  # whom a memory is about may be left out
_EXACT = re.compile(r"[/\\_.]")  # in a word: case counts
_SECRET = re.compile(r"\b(?:pass(?:word|wd|code|phrase)|token|secret|api key)|密码|口令|密钥", re.I)


@dataclass(frozen=True)
class Text:
    """A text as it is compared: its words in order, and whether it asks."""

    tokens: tuple[str, ...]
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
    secret = _SECRET.search(plain) is not None
    tokens = []
    for match in _TOKEN.finditer(plain):
        word = match[0]
        token = word if secret or _EXACT.search(word.strip(".")) else _folded(word)
        if token not in _LIGHT and token not in _LIGHT_HAN:
            tokens.append(token)
    return Text(tuple(tokens), content.rstrip().endswith(("?", "？", "吗", "呢")))


def normal(content: str) -> str:
    """Return what equal texts have in common: no case, spaces or punctuation around."""
    return _SPACES.sub(" ", folded(content)).strip(" .!。！,，;；")


def says_all_of(longer: Text, shorter: Text, similarity: float) -> bool:
    """Say whether `longer` says what `shorter` says, and nothing else of weight."""
    if not shorter.tokens or shorter.asks != longer.asks:
        return False
    if shorter.tokens == longer.tokens:
        return similarity <= 1
    extra = _beyond(longer, shorter)
    if extra is None or not all(word in _PLAIN or word in _PLAIN_HAN for word in extra):
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
    rest, left = longer.tokens, shorter.tokens
    for about in _ABOUT:
        if rest[: len(about)] == about != left[: len(about)]:
            rest = rest[len(about) :]
    extra, at = [], 0
    for token in rest:
        if at < len(left) and token == left[at]:
            at += 1
        else:
            extra.append(token)
    return extra if at == len(left) else None


def _folded(word: str) -> str:
    word = word.casefold()
    if word.endswith("'s"):
        return word  # whose it is makes a difference
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1] if not word.endswith("ies") else word[:-3] + "y"
    return word
