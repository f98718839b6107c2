"""Sentences: cut a text where one statement ends and the next begins.

`split(text)` gives pieces whose concatenation is the text, byte for byte: white space
belongs to the piece before it. A fenced code block is one piece, a line of a list is one,
and abbreviations, decimals, versions, initials and addresses are not cut. A sentence of
over 1,000 characters is cut at a comma or a space, because a piece that large could be
neither kept nor left out sensibly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 1_000  # characters of one piece outside code

_CLOSERS = "\"'”’」』）)\\]】》*_"
# An end: a Western mark that white space follows, a Chinese mark, or a line's end.
_END = re.compile(
    rf"(?:(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s)|[。！？；…][。！？；…!?]*[{_CLOSERS}]*|(?=[\r\n]))\s*"
)
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)", re.MULTILINE)
_LAST_WORD = re.compile(r"([^\W\d_](?:[^\s(\[\"'“]*[^\W\d_])?|\d+)\Z")
_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof st vs e.g i.e cf approx dept fig nos vol pp eds gen col sgt capt lt rev
    hon gov sen ave blvd jan feb apr jun jul aug sept oct nov tues thu thur thurs tel ext
    """.split()  # noqa: SIM905
)
_ALSO_WORDS = frozenset("no al est ed rep rd mar dec sep mon tue wed fri sat sun".split())  # noqa: SIM905
# After these a sentence may well end, so only what follows tells.
_MAY_END = frozenset("etc a.m p.m u.s u.k e.u inc ltd co corp jr sr ph.d b.a m.a".split())  # noqa: SIM905


def split(text: str) -> list[str]:
    """Return the sentences of `text`; joined they are `text`."""
    pieces: list[str] = []
    for block, is_code in _blocks(text):
        if is_code:
            pieces.append(block)
        else:
            for sentence in _sentences(block):
                pieces += _shortened(sentence)
    return pieces


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the text cut into prose and fenced code; an open fence reaches to the end."""
    start = 0
    while (fence := _FENCE.search(text, start)) is not None:
        if fence.start() > start:
            yield text[start : fence.start()], False
        closing = re.compile(rf"^[ \t]*{re.escape(fence[1])}[ \t]*\r?$\n?", re.MULTILINE)
        end = closing.search(text, fence.end())
        stop = end.end() if end else len(text)
        yield text[fence.start() : stop], True
        start = stop
    if start < len(text):
        yield text[start:], False


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        if end > start and end < len(text) and not _continues(text, start, match):
            yield text[start:end]
            start = end
    if start < len(text):
        yield text[start:]


def _continues(text: str, start: int, match: re.Match[str]) -> bool:
    """Say whether the mark at `match` is inside a sentence, as in "Dr. Chen"."""
    if not match[0].startswith(".") or "\n" in match[0]:
        return False
    following = text[match.end()]
    if match[0].startswith(".."):
        return following.islower()
    found = _LAST_WORD.search(text, max(start, match.start() - 24), match.start())
    if found is None:
        return False
    word = found[1].lower()
    if word in _MAY_END:
        return not following.isupper()
    if word.isdigit():  # the number of a list's item
        return not text[start : found.start()].strip(" \t*-")
    if word in _ALSO_WORDS:
        return following.isdigit()
    return word in _ABBREVIATIONS or (len(word) == 1 and found[1].isupper() and word != "i")


def _shortened(sentence: str) -> Iterator[str]:
    start = 0
    while len(sentence) - start > LONGEST:
        least, most = start + LONGEST // 2, start + LONGEST
        cut = max(sentence.rfind(mark, least, most) for mark in "，,、 \t")
        cut = cut + 1 if cut >= 0 else most
        yield sentence[start:cut]
        start = cut
    yield sentence[start:]
