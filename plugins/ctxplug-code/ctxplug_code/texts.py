"""Find source code in a text: a whole file, with or without line numbers, or fenced blocks."""

from __future__ import annotations

import re

from ctxplug_code.fences import blocks
from ctxplug_code.languages import GRAMMARS, TAGS, guesses
from ctxplug_code.outline import Spoken, cuts
from ctxplug_code.writing import written

LEAST_LINES, MOST_CHARACTERS = 12, 1_000_000
_NUMBERED = re.compile(r"[ ]{0,8}(\d{1,7})(?:\t|→|[ ]?[|:][ ]?|[ ]{2})")


def outlined_blocks(text: str, spoken: Spoken, *, terse: bool = False) -> str:
    """Return `text` with its fenced code blocks reduced to outlines."""
    lines = text.split("\n")
    shown: list[str] = []
    row = 0
    for block in blocks(lines):
        language = TAGS.get(block.tag)
        if block.tag and language is None:
            continue
        code = "\n".join(lines[block.first : block.end])
        shorter = outlined(code, language, spoken, terse=terse)
        if shorter != code:
            shown += [*lines[row : block.first], shorter]
            row = block.end
    return "\n".join([*shown, *lines[row:]])


def outlined(text: str, language: str | None, spoken: Spoken, *, terse: bool = False) -> str:
    """Return a source file reduced to its outline, or as it is where it is none.

    Without a `language` it is guessed, and a text with any syntax error is left as it is.
    """
    lines = text.split("\n")
    if len(lines) < LEAST_LINES or len(text) > MOST_CHARACTERS:
        return text
    source = _without_numbers(lines)
    joined = "\n".join(source)
    for name in [language] if language else guesses(joined):
        found = cuts(joined, name, spoken, strict=language is None, terse=terse)
        if found:
            return written(lines, source, found, GRAMMARS[name].comment, terse=terse)
    return text


def _without_numbers(lines: list[str]) -> list[str]:
    """Return the lines without the ascending numbers before them, if they have such."""
    matches = [_NUMBERED.match(line) for line in lines]
    numbers = [int(match[1]) for match in matches if match]
    said = sum(bool(line.strip()) for line in lines)
    if len(numbers) < said * 0.9 or numbers != sorted(set(numbers)):
        return lines
    return [line[m.end() :] if m else line for line, m in zip(lines, matches, strict=True)]
