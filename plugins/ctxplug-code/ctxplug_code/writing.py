"""Write a source file with marks in place of what was left out of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ctxplug_code.outline import Cut

LEAST = 2  # lines that are worth a mark
MOST_VALUES = 8  # of one gap
# Whole strings are read, so that what stands between two of them is not taken for one.
_VALUE = re.compile(
    r"""(?P<quote>["'])(?P<text>(?:[^"'\\\n]|\\.)*)(?P=quote)|(?<![\w.])\d[\d_]*(?:\.\d+)?(?![\w.])"""
)
_SHORT = re.compile(r"(?=.*\w)[^\s\\]{2,40}")


def written(
    lines: Sequence[str], source: Sequence[str], cuts: Sequence[Cut], comment: str, *, terse: bool
) -> str:
    """Return `lines` without the cuts; each gap is a comment that says its length.

    `source` are the same lines as they were parsed. Unless `terse`, the mark also has numbers of
    two digits and more and short texts of what was left out, each once in the file.
    """
    left: set[int] = set()
    for cut in cuts:
        left.update(row for row in range(cut.first, cut.last + 1) if row not in cut.kept)
    said: set[str] = set()
    result: list[str] = []
    row = 0
    while row < len(lines):
        end = row
        while end in left and end < len(lines):
            end += 1
        if end - row < LEAST:
            result += lines[row : max(end, row + 1)]
            row = max(end, row + 1)
            continue
        values = [] if terse else _values(source[row:end], said)
        result.append(_mark(source[row:end], comment, values))
        row = end
    return "\n".join(result)


def _mark(gap: Sequence[str], comment: str, values: Sequence[str]) -> str:
    first = next((line for line in gap if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    return f"{indent}{comment} ... {len(gap)} lines{': ' if values else ''}{' '.join(values)}"


def _values(gap: Sequence[str], said: set[str]) -> list[str]:
    found: list[str] = []
    for line in gap:
        for match in _VALUE.finditer(line):
            value = match[0] if match["text"] is None else match["text"]
            fits = _SHORT.fullmatch(value) and value not in said
            if fits and len(found) < MOST_VALUES:
                said.add(value)
                found.append(value)
    return found
