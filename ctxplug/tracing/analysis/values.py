"""Values that a call needs from somewhere, and whether a text holds them, in whatever spelling.

General forms of English and Chinese texts; no list of a domain's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import Any

from ctxplug.recall.text import folded

PROSE = 7  # words, or twice so many Chinese characters, that make a sentence
SHORT = 6  # letters and digits; a shorter value is looked for as a whole word
_HAN = "\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>，。；）】]+"
    r"|[A-Za-z0-9_#$@~/\\.](?:[\w#$@/\\.:+%-](?<![\u3400-\u9fff\uf900-\ufaff]))*",
)
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ].*)?\Z", re.DOTALL)
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\+\d)?(?:am|pm)?\Z")
_NUMBER = re.compile(r"[-+]?[$€£¥￥]?\d[\d,]*(?:\.\d+)?%?\Z")
_NO_VALUE = re.compile(
    r"[\s?？.…*_-]*\Z|n/?a\Z|none\Z|null\Z|unknown\b.*|undefined\Z|x{3,}\Z|todo\Z|tbd\Z|your[_ -].*"
    r"|placeholder.*|example.*|[<\[{(（【][^()（）]*(?:[^\d\W]|[.…])[^()（）]*[>\]})）】]\Z|未知.*|不详\Z|待定\Z|无\Z|暂无\Z|某.{0,2}\Z"
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
_EMPTY = frozenset(
    """
    error that this with from have been could would should does must cannot which there their your
    were because about into than then they what when will
    """.split()  # noqa: SIM905
)
_EMPTY_HAN = frozenset("的了是在有和与您请我不无未错误失败")
_HAN_DIGITS = "〇一二三四五六七八九"


def squash(text: str) -> str:
    """Return the letters and digits of the text alone, folded."""
    return "".join(filter(str.isalnum, folded(text)))


def length(text: str) -> int:
    """Return the letters and digits of a text; a Chinese character says as much as three."""
    return sum(3 if _is_han(c) else 1 for c in squash(text))


class Haystack:
    """A text to look for values in."""

    def __init__(self, text: str) -> None:
        self._folded = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", folded(text))

    @cached_property
    def _squashed(self) -> str:
        return "".join(filter(str.isalnum, self._folded))

    def holds(self, value: str) -> bool:
        """Say whether the text holds `value`, spelled this way or another."""
        value = plain_number(folded(value).strip())
        day = to_date(value)
        if day is not None and any(form.search(self._folded) for form in _forms(day)):
            return True
        bare = squash(value)
        if not bare:
            return True
        if len(bare) >= SHORT or _is_han(bare):
            return bare in self._squashed
        return re.search(rf"(?<![a-z0-9]){re.escape(value)}(?![a-z0-9])", self._folded) is not None


def arguments(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the scalar leaves of JSON with the name that they go by."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            own = str(name)  # an "id" is one of what holds it
            yield from arguments(inner, own if not key or _words(own) else f"{key}_{own}")
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from arguments(inner, key)
    elif value is not None and not isinstance(value, bool):
        yield key, str(value).strip()


def specific(text: str) -> list[str]:
    """Return what of `text` nobody could say without having seen it: ids, addresses, long numbers.

    A short text is one value; of a longer one those in it.
    """
    whole = text.strip()
    single = _is_single(whole)
    if single and not re.search(f"[{_HAN}]", whole):
        return [whole] if is_specific(whole) else []
    found = (token.strip(".:,;/\\'\"-") for token in _TOKEN.findall(text))
    tokens = list(dict.fromkeys(token for token in found if is_specific(token)))
    return tokens or ([whole] if single and is_specific(whole) else [])


def is_specific(value: str) -> bool:
    """Say whether one value has a form that is not guessed."""
    letters = sum(c.isalpha() for c in value)
    digits = sum(c.isdigit() for c in value)
    if _TIME.match(folded(value)) or len(value) > 200:
        return False
    if to_date(value) is not None:
        return True
    if _NUMBER.match(value):
        return digits >= 7
    if "://" in value or re.fullmatch(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", value):
        return True
    if digits and letters:
        return letters + digits >= 4 and not re.fullmatch(r"\d{1,3}[a-z]{1,3}", folded(value))
    return letters >= SHORT and re.search(r"[/\\]", value) is not None


def is_code(value: str) -> bool:
    """Say whether a value is capital letters alone: a code, or a word of a list to choose from."""
    return value.isascii() and value.isalpha() and value.isupper() and len(value) >= SHORT


def words(text: str) -> list[str]:
    """Return the words of a text that say something: of 4 letters on, and pairs of characters."""
    plain = folded(text)
    found = [word for word in re.findall(r"[a-z]{4,}", plain) if word not in _EMPTY]
    runs = re.findall(f"[{_HAN}]+", plain)
    pairs = [a + b for run in runs for a, b in pairwise(run)]
    return found + [pair for pair in pairs if not set(pair) & _EMPTY_HAN]


def is_prose(text: str) -> bool:
    """Say whether a text is sentences rather than a value, a query or code."""
    if re.search(r"[=;{}<>|\\]|\w\(|^\s*[\[\"']", text):
        return False
    return len(text.split()) >= PROSE or sum(map(_is_han, text)) >= 2 * PROSE


def is_name(value: str) -> bool:
    """Say whether a value looks like a name or an address in words."""
    if to_date(value) or _NUMBER.match(value) or _TIME.match(folded(value)):
        return False
    han = sum(_is_han(c) for c in value)
    if han:
        return 2 <= len(value) <= 40 and han >= len(value) / 2
    words = value.split()
    capitals = [word[0].isupper() for word in words if word[0].isalpha()]
    return 2 <= len(words) <= 6 and bool(capitals) and all(capitals)


def is_placeholder(value: str) -> bool:
    """Say whether a value only stands for one that was not known."""
    return _NO_VALUE.match(folded(value).strip()) is not None


def shape(value: str) -> str:
    """Return the form of a value: two ids of one kind have the same."""
    out = []
    for run in re.findall(
        r"[A-Za-z0-9]+|[\u3400-\u9fff]+|[^A-Za-z0-9\u3400-\u9fff]+", value.strip()
    ):
        if run.isdigit():
            out.append("9")
        elif run.isascii() and run.isalnum():
            upper = run.upper() == run
            out.append(
                f"X{len(run)}" if upper else re.sub(r"\d+", "9", re.sub("[A-Za-z]+", "a", run))
            )
        else:
            out.append("中" if _is_han(run) else run)
    return "".join(out)


def same_key(one: str, other: str) -> bool:
    """Say whether two names of fields may name the same thing."""
    first, second = _words(one), _words(other)
    if not first or not second:
        return False
    return first == second or (len(first & second) >= 1 and (first <= second or second <= first))


def plain_number(value: str) -> str:
    """Return a number without a fraction of zeros; any other value as it is."""
    return re.sub(r"\.0+\Z", "", value) if _NUMBER.match(value) else value


def to_date(value: str) -> date | None:
    """Return the day that a value is, if it is one."""
    match = _DATE.match(value.strip())
    if not match:
        return None
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def tokens(text: str) -> Iterator[str]:
    """Yield what of a long text is specific, squashed."""
    for token in _TOKEN.findall(text):
        token = token.strip(".:,;/\\'\"-")
        if is_code(token) or (not token.isalpha() and is_specific(token)):
            yield squash(token)


def _is_single(text: str) -> bool:
    return len(text) <= 80 and not re.search(r"\s", text) and "," not in text and "，" not in text


def _words(key: str) -> set[str]:
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[\u3400-\u9fff]+", key)
    return {part.lower().rstrip("s") for part in parts} - {"id", "no", "the", "number", "code"}


def _is_han(text: str) -> bool:
    return all("\u3400" <= c <= "\u9fff" or "\uf900" <= c <= "\ufaff" for c in text)


def _forms(day: date) -> list[re.Pattern[str]]:
    """Return how a day may be written: with or without its year, in words or digits."""
    month, number = _MONTHS[day.month - 1], day.day
    han = _han(number)
    return [
        re.compile(rf"\b{month}[a-z]*\.? ?0?{number}(?!\d)"),
        re.compile(rf"(?<!\d)0?{number}(?:st|nd|rd|th)?(?: of)? ?{month}"),
        re.compile(rf"(?<!\d)0?{day.month} ?[-/.月] ?0?{number}(?!\d)"),
        re.compile(rf"(?<!\d)0?{number}[-/.]0?{day.month}(?!\d)"),
        re.compile(rf"(?:{_han(day.month)}|(?<!\d)0?{day.month})月(?:{han}|0?{number})[日号]"),
    ]


def _han(number: int) -> str:
    tens, ones = divmod(number, 10)
    head = "" if not tens else "十" if tens == 1 else f"{_HAN_DIGITS[tens]}十"
    return head + (_HAN_DIGITS[ones] if ones else "")
