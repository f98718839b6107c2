"""Text analysis: the one way from text to index terms, for indexing and querying alike.

Words are case-folded, stripped of accents and stemmed, and English stop words are
dropped. Chinese, Japanese, Korean, Thai and other unspaced scripts become pairs of
neighbouring characters, so a two-character word is found. What has inner punctuation
(`foo_bar`, `HAT-123`, an address, a path, a URL) gives itself as a whole and its pieces,
`fooBar` likewise, and a full date gives its ISO form, month, year and day of the year,
whether it was written 2023-05-08 or 2023年5月8日.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import pairwise
from threading import Lock

MAX_TERM = 64  # characters; a longer term is cut to a prefix and a hash of the whole
HASH_DIGITS = 12
CACHED_TOKENS = 65_536

STOP_WORDS = frozenset(
    """
    a about above after again against all am an and any are as at be because been before
    being below between both but by can could did do does doing down during each few for
    from further had has have having he her here hers herself him himself his how i if in
    into is it its itself just me more most my myself no nor not of off on once only or
    other our ours ourselves out over own same she should so some such than that the their
    theirs them themselves then there these they this those through to too under until up
    very was we were what when where which while who whom why will with would you your
    yours yourself yourselves
    """.split()  # noqa: SIM905
)

# Han with its iteration marks, kana, bopomofo, Hangul, and scripts written without
# spaces: Thai, Lao, Tibetan, Myanmar, Khmer.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u0f40-\u0fbc\u1000-\u103f\u1100-\u11ff\u1780-\u17d3"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u3096\u3099-\u309a\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowel signs and accents continue a word, though Python's \w leaves them out.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670"
    "\u0900-\u0963\u0966-\u0dff"
)
_WORD = rf"(?:[A-Za-z0-9]++|[^\W_{_UNSPACED}{_MARKS}]++|[{_MARKS}]++)++"
_JOIN = r"[-_./:\\@+&~']{1,3}"  # up to three of these between words make one token of them

_YEAR, _MONTH, _DAY = "[12][0-9]{3}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_ISO_DATE = (
    rf"(?<![0-9]){_YEAR}(?:-{_MONTH}-|/{_MONTH}/|\.{_MONTH}\.){_DAY}(?!\.?[0-9])(?:T(?=[0-9]))?"
)
_CHINESE_DATE = rf"(?<![0-9])(?:{_YEAR}年{_MONTH}月(?:{_DAY}[日号]?)?|{_MONTH}月{_DAY}[日号])"

# No alternative crosses white space, so a word is analysed alike alone and in a text.
_TOKENS = re.compile(
    rf"(?P<url>(?:[Hh][Tt][Tt][Pp][Ss]?|ftp|file)://[!#-&(-;=?-~]+)"
    rf"|(?P<date>{_ISO_DATE}|{_CHINESE_DATE})"
    rf"|(?P<number>[0-9]{{1,3}}(?:,[0-9]{{3}})++(?![0-9])(?:\.[0-9]+)?)"
    rf"|(?P<word>[#@]?{_WORD}(?:{_JOIN}{_WORD})*+(?:\+\+|\#(?!\w))?)"
    rf"|(?P<unspaced>[{_UNSPACED}]+)"
)
_INNER_DATE = re.compile(_ISO_DATE)
_DIGITS = re.compile("[0-9]+")
_SEGMENTS = re.compile(r"[/\\:@?&=#]+")
_PIECES = re.compile(rf"{_WORD}(?:'{_WORD})*")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDING = re.compile(r"'(?:s|ll|ve|re|d|m)\Z")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_APOSTROPHES = re.compile("[\u2018\u2019\u02bc]")
_INVISIBLE = re.compile("[\u00ad\u061c\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff]+")


def terms(text: str) -> list[str]:
    """Return the index terms of `text`, in order, with repetitions.

    A term has 1 to 64 characters, none of them white space, a control character or a
    surrogate. Every term of a word is also among the terms of any text with that word.
    """
    if not text.isascii():
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
        text = _APOSTROPHES.sub("'", text)
    found: list[str] = []
    for match in _TOKENS.finditer(text):
        token, form = match[0], match.lastgroup or ""
        if form == "unspaced":
            found += map("".join, pairwise(token)) if len(token) > 1 else token
        elif len(token) <= MAX_TERM:
            found += _cached(form, token)
        else:  # rare, and would only fill the cache
            found += _analyse(form, token)
    return found


def index_text(text: str) -> str:
    """Return the terms of `text` joined by spaces, for a full-text index."""
    return " ".join(terms(text))


def _analyse(form: str, token: str) -> tuple[str, ...]:
    found = dict.fromkeys(_FORMS[form](token))  # a token counts each of its terms once
    found.pop("", None)
    return tuple(map(_cut, found))


_cached = lru_cache(CACHED_TOKENS)(_analyse)


def _date(token: str) -> Iterator[str]:
    numbers = [number.zfill(2) for number in _DIGITS.findall(token)]
    yield "-".join(numbers)
    if len(numbers) == 3:
        yield "-".join(numbers[1:])
        yield "-".join(numbers[:2])
    if len(numbers[0]) == 4:
        yield numbers[0]


def _number(token: str) -> Iterator[str]:
    yield token.replace(",", "")
    yield from _DIGITS.findall(token)  # it may as well be a list such as 100,200


def _url(token: str) -> Iterator[str]:
    token = token.rstrip(".,;:!?)]}|*`/")
    yield _fold(token)
    yield from _word(token.partition("://")[2])


def _word(token: str) -> Iterator[str]:
    pieces = _PIECES.findall(token)
    if token[:1] in ("#", "@") or token[-1:] in ("+", "#"):  # `#42`, `@ann`, `C++`
        yield _fold(token)
        token = token.strip("#@+")
    if len(pieces) > 1:
        yield _fold(token)
        for segment in _SEGMENTS.split(token):
            if len(_PIECES.findall(segment)) > 1:
                yield _fold(segment.strip("-_.+&~'"))
        for date in _INNER_DATE.findall(token):
            yield from _date(date)
    for piece in pieces:
        yield from _piece(piece)


def _piece(piece: str) -> Iterator[str]:
    """Yield the stem of one word, and of its parts if it is `camelCase` or `O'Brien`."""
    word = _ENDING.sub("", _fold(piece))
    if word.endswith("n't"):  # don't, can't, won't: all of them stop words
        return
    yield _stem(word.replace("'", ""))
    parts = word.split("'") if "'" in word else _CAMEL.split(_ENDING.sub("", piece))
    if len(parts) > 1:
        yield from (_stem(_fold(part)) for part in parts if len(part) > 1)


_FORMS: dict[str, Callable[[str], Iterator[str]]] = {
    "url": _url,
    "date": _date,
    "number": _number,
    "word": _word,
}


def folded(text: str) -> str:
    """Return `text` as two texts are compared: without case, full width as half."""
    return unicodedata.normalize("NFKC", text).casefold()


def _fold(text: str) -> str:
    """Return `text` without case and accents."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", text))


def _stem(word: str) -> str:
    """Return the Snowball stem of an English word; "" for a stop word."""
    if word in STOP_WORDS:
        return ""
    if len(word) > MAX_TERM or not (word.isascii() and word.isalpha()):
        return word
    return _stemmer()(word)


@cache
def _stemmer() -> Callable[[str], str]:
    # Not snowballstemmer.stemmer(): that takes PyStemmer where it is installed, of
    # whatever version, and one store would then hold the stems of two algorithms.
    from snowballstemmer.english_stemmer import EnglishStemmer  # type: ignore[import-untyped]

    stemmer, lock = EnglishStemmer(), Lock()  # the word is held in the object: not thread-safe

    def stem(word: str) -> str:
        with lock:
            return str(stemmer.stemWord(word))

    return stem


def _cut(term: str) -> str:
    if len(term) <= MAX_TERM:
        return term
    digest = hashlib.sha256(term.encode()).hexdigest()
    return term[: MAX_TERM - HASH_DIGITS] + digest[:HASH_DIGITS]
