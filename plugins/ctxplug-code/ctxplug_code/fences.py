"""The fenced code blocks of a text, line by line: in time that grows with the text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_OPENS = re.compile(r"[ ]{0,3}(?P<fence>`{3,}+|~{3,}+)[ ]*+(?P<tag>[\w+#.-]*+)[^`]*+\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `first` up to `end` are the code; `tag` is what stands behind the opening fence."""

    first: int
    end: int
    tag: str


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Yield the blocks in `lines`; one that is never closed is none."""
    fence, tag, first = "", "", 0
    for row, line in enumerate(lines):
        if not fence:
            opening = _OPENS.match(line)
            if opening:
                fence, tag, first = opening["fence"], opening["tag"].lower(), row + 1
        elif line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            yield Block(first, row, tag)
            fence = ""


def without_blocks(text: str) -> str:
    """Return what stands around the blocks of `text`."""
    lines = text.split("\n")
    left = []
    row = 0
    for block in blocks(lines):
        left += lines[row : block.first]
        row = block.end
    return "\n".join(left + lines[row:])
