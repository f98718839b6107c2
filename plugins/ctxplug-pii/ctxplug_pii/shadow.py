"""A copy of a text, of the same length, in which every form of a digit or mark is the plain one.

Patterns look at the shadow; what they find has the same place in the text. BLOCK stands where
nothing is to be found: it matches no pattern and is no border either.
"""

from __future__ import annotations

import re

from ctxplug_pii.kinds import PLACEHOLDER

BLOCK = "\0"
BEFORE = r"(?<![0-9A-Za-z_\0])"
AFTER = r"(?![0-9A-Za-z_\0])"

_ZEROS = "٠۰०০๐"  # the digits of some scripts; full-width forms are below
_PLAIN = {
    **{0xFF01 + i: chr(0x21 + i) for i in range(94) if 0xFF01 + i != ord("，")},
    **{ord(zero) + i: str(i) for zero in _ZEROS for i in range(10)},
    **dict.fromkeys(map(ord, "\u00a0\u202f\u205f\u3000\t"), " "),
    **dict.fromkeys(range(0x2000, 0x200B), " "),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
}
# What has no width: soft hyphens, joiners and marks of direction, which come along when a page or
# a contact is copied. A text's own BLOCK is one of them.
_UNSEEN = re.compile(
    "[\0\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff]"
)
# An escape of JSON ends a word: in "\\nalice@..." the "n" is not part of the name.
_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{4}|[nrtbf"/\\])')
# What is made of digits and is nobody's number: identifiers and times.
_NOBODYS = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9])(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])"
    r"(?:[T ]{1,2}\d{1,2}:\d\d(?::\d\d(?:\.\d{1,9}(?!\d))?)?)?(?![0-9])",
    re.ASCII,
)
# Without any of these there is nothing to find, and most texts have none.
_WORTH = re.compile(r"@|(?:\d[\W_]{0,3}){4}|[A-Za-z0-9_.+/-]{20}|::|PRIVATE KEY")


def shadow(text: str) -> str | None:
    """Return the shadow of `text`, or None where nothing can be found in it."""
    plain = text if text.isascii() else text.translate(_PLAIN)
    if _WORTH.search(plain) is None:
        return None
    if "\\" in plain:
        plain = _ESCAPE.sub(lambda match: "\n" * len(match[0]), plain)
    return blocked(PLACEHOLDER, blocked(_NOBODYS, plain))


def seen_alone(text: str) -> tuple[str, list[int]]:
    """Return `text` without what has no width, and where each of its characters stood.

    The places are empty where nothing was left out.
    """
    if (text.isascii() and BLOCK not in text) or _UNSEEN.search(text) is None:
        return text, []
    places = [place for place, c in enumerate(text) if _UNSEEN.match(c) is None]
    return "".join([text[place] for place in places]), places


def blocked(pattern: re.Pattern[str], text: str) -> str:
    """Return `text` with BLOCK wherever `pattern` matches."""
    return pattern.sub(lambda match: BLOCK * len(match[0]), text)
