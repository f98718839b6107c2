"""Stored text as a terminal may show it: what would move the cursor or hide text is escaped."""

from __future__ import annotations

import unicodedata

# What would move the cursor, hide text or turn its direction: shown, not obeyed.
_HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")
_HARMLESS = {"\n", "\t", "\u200d"}  # the last joins emoji


def visible(text: str) -> str:
    """Return `text` with control codes, lone surrogates and direction marks as escapes."""
    if text.replace("\n", "").replace("\t", "").isprintable():  # of all harmful ones none is
        return text
    return "".join(ascii(c)[1:-1] if is_harmful(c) else c for c in text)


def is_harmful(c: str) -> bool:
    """Say whether a terminal would obey the character instead of showing it."""
    return c not in _HARMLESS and unicodedata.category(c) in _HARMFUL


def short(text: str, width: int) -> str:
    """Return `text` on one line, cut to `width` characters."""
    line = " ".join(visible(text[: width * 4]).split())
    return line if len(line) <= width else line[: width - 1] + "…"
