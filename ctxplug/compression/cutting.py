"""Cut a long text down to its head, its tail and what stands out between them.

What stands out: lines with errors and warnings, lines whose form is rare among the others,
and the least and greatest numbers that stand at one place of a form. What is cut is marked
where it stood, with its count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ctxplug.tokens import TokenCounter

LONG = 400  # characters; a longer line is cut into pieces
HEAD, TAIL = 0.35, 0.25  # shares of the limit; the rest is for what stands out
RARE = 2  # lines at most that share a rare form
MARK_TOKENS = 10
ALARM = re.compile(
    r"\b(?:errors?|warn(?:ing)?s?|exceptions?|fail(?:ed|ure|s)?|fatal|traceback|critical|panic"
    r"|denied|refused|timed?[ -]?out|invalid|cannot|unable|abort(?:ed)?)\b"
    r"|(?:Error|Exception|Warning)\b|错误|失败|异常|警告|超时|拒绝|崩溃|无法|致命|无效",
    re.IGNORECASE,
)
_TABLE_HEAD = re.compile(r"[\[{]#[1-9][0-9]*\{")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_WORD = re.compile(r"[^\W\d_]+")
_BREAK = re.compile(r"(?<=[.!?;,])(?=\s|\")|(?<=[。！？；，、,}\]])")


def cut(text: str, limit: int, counter: TokenCounter) -> str:
    """Return `text` in at most about `limit` tokens; the same text if it takes no more.

    Every gap is a line `[... n lines left out]`, or pieces where a line was too long.
    """
    if counter.count_text(text) <= limit:
        return text
    pieces = list(segments(text))
    sizes = [counter.count_text(piece) for piece in pieces]
    heads = [i for i, piece in enumerate(pieces) if _TABLE_HEAD.search(piece)]
    striking = outliers(pieces)
    room = limit
    while room > 0:
        shown = _join(pieces, _chosen(sizes, room, heads, striking))
        excess = counter.count_text(shown) - limit
        if excess <= 0:
            return shown
        room -= max(excess, limit // 10, 1)
    return _join(pieces, set())


def segments(text: str) -> Iterator[str]:
    """Yield lines with their ends, long lines in pieces; together they are `text`."""
    for line in text.splitlines(keepends=True):
        start = 0
        while len(line) - start > LONG:
            breaks = [m.start() for m in _BREAK.finditer(line, start + 1, start + LONG)]
            end = breaks[-1] if breaks else start + LONG
            yield line[start:end]
            start = end
        yield line[start:]


def _chosen(
    sizes: Sequence[int], room: int, heads: Sequence[int], striking: Sequence[int]
) -> set[int]:
    """Return the places of the pieces to keep in `room` tokens; `heads` if they fit."""
    chosen = set(heads)
    used = sum(sizes[i] for i in chosen)
    if used > room * HEAD:
        chosen, used = set(), 0
    last = len(sizes) - 1
    used = _take(range(len(sizes)), sizes, room * HEAD, used, chosen)
    used = _take(range(last, -1, -1), sizes, room * (HEAD + TAIL), used, chosen)
    for i in striking:
        if used >= room:
            break
        gap = 0 if i - 1 in chosen or i + 1 in chosen else MARK_TOKENS
        if i not in chosen and used + sizes[i] + gap <= room:
            chosen.add(i)
            used += sizes[i] + gap
    _take(range(len(sizes)), sizes, room, used, chosen)
    return chosen


def _take(
    order: Sequence[int], sizes: Sequence[int], room: float, used: int, chosen: set[int]
) -> int:
    """Add neighbours in `order` while they fit."""
    for i in order:
        if i in chosen:
            continue
        if used + sizes[i] > room:
            break
        chosen.add(i)
        used += sizes[i]
    return used


def outliers(pieces: Sequence[str]) -> list[int]:
    """Return the places of pieces that stand out: alarms, then extremes, then rare forms."""
    forms = [_WORD.sub("w", _NUMBER.sub("0", piece.strip())) for piece in pieces]
    often = Counter(forms)
    alarms = [i for i, piece in enumerate(pieces) if ALARM.search(piece)]
    rare = [i for i, form in enumerate(forms) if often[form] <= RARE and form]
    if len(rare) * 2 > len(pieces):
        rare = []  # where most forms are rare, none stands out
    return list(dict.fromkeys([*alarms, *_extremes(pieces, forms, often), *rare]))


def _extremes(pieces: Sequence[str], forms: Sequence[str], often: Counter[str]) -> Iterator[int]:
    least: dict[tuple[str, int], tuple[float, int]] = {}
    greatest: dict[tuple[str, int], tuple[float, int]] = {}
    for i, (piece, form) in enumerate(zip(pieces, forms, strict=True)):
        if often[form] <= RARE:
            continue
        for place, number in enumerate(_NUMBER.findall(piece)):
            key, value = (form, place), (float(number), i)
            least[key] = min(least.get(key, value), value)
            greatest[key] = max(greatest.get(key, value), value)
    for key, low in least.items():
        if low[0] != greatest[key][0]:
            yield greatest[key][1]
            yield low[1]


def _join(pieces: Sequence[str], chosen: set[int]) -> str:
    """Return the chosen pieces in order, each gap as a line that says how long it is."""
    shown: list[str] = []
    marks = [-1, *sorted(chosen), len(pieces)]
    for before, after in pairwise(marks):
        missing = pieces[before + 1 : after]
        if missing:
            if shown and not shown[-1].endswith("\n"):
                shown.append("\n")
            lines = sum(piece.endswith("\n") for piece in missing)
            what = f"{lines} lines" if lines else f"{sum(map(len, missing))} characters"
            shown.append(f"[... {what} left out]\n")
        if after < len(pieces):
            shown.append(pieces[after])
    return "".join(shown).removesuffix("\n")
