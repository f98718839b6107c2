"""Repeated lines once, with their number: `3 x "the line"`. Nothing is lost."""

from __future__ import annotations

import re
from itertools import groupby

_FOLDED = re.compile(r'([1-9][0-9]{0,8}) x "(.*)"', re.DOTALL)


def fold(text: str) -> str:
    """Return `text` with runs of equal neighbouring lines written once."""
    lines = []
    for line, run in groupby(text.split("\n")):
        n = len(list(run))
        once = f'{n} x "{line}"'
        lines += [once] if n > 1 and len(once) < n * (len(line) + 1) - 1 else [line] * n
    return "\n".join(lines)


def unfold(text: str) -> str:
    """Return what was folded; other than `fold(text)` it may be something else."""
    lines: list[str] = []
    for line in text.split("\n"):
        match = _FOLDED.fullmatch(line)
        lines += [match[2]] * int(match[1]) if match else [line]
    return "\n".join(lines)
