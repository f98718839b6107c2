"""What is worth remembering of what people say of themselves, as rules; English and Chinese.

A rule has a name, which stands in the record it makes (`made_by="capture:NAME"`), the kind
and importance of that record, and one pattern for each language. Rules are tried in order:
the first that matches a sentence names it. They are about the forms in which people state
things (I prefer, we decided, from now on; 我喜欢, 我们决定, 以后), not about any domain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ctxplug.memories import capture_chinese as zh
from ctxplug.memories import capture_english as en


@dataclass(frozen=True, slots=True)
class Rule:
    """One form of statement, and what a memory of it is: its kind, and how much it matters."""

    name: str
    kind: str
    importance: float
    english: re.Pattern[str]
    chinese: re.Pattern[str]


# The order settles what a sentence is: "from now on I prefer" is an instruction.
_RULES = (
    ("asked", "fact", 0.9),
    ("correction", "fact", 0.85),
    ("name", "fact", 0.9),
    ("health", "fact", 0.95),
    ("instruction", "instruction", 0.9),
    ("decision", "decision", 0.8),
    ("preference", "preference", 0.8),
    ("appointment", "commitment", 0.8),
    ("promise", "commitment", 0.8),
    ("goal", "goal", 0.8),
    ("home", "fact", 0.8),
    ("work", "fact", 0.8),
    ("people", "fact", 0.8),
    ("event", "fact", 0.6),
    ("habit", "fact", 0.6),
)


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules, compiled at first use."""
    return tuple(
        Rule(
            name,
            kind,
            importance,
            re.compile(en.PATTERNS[name], re.IGNORECASE | re.ASCII),
            re.compile(zh.PATTERNS[name]),
        )
        for name, kind, importance in _RULES
    )


@cache
def vetoes() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what keeps a sentence from being a statement: English and Chinese."""
    return re.compile(en.VETO, re.IGNORECASE | re.ASCII), re.compile(zh.VETO)


@cache
def pasted() -> re.Pattern[str]:
    """Return what announces that the text after it is not the speaker's own."""
    return re.compile(f"{en.PASTED}|{zh.PASTED}", re.IGNORECASE | re.ASCII)


@cache
def leaning() -> re.Pattern[str]:
    """Return how a sentence begins that needs the one before it to be understood."""
    return re.compile(f"{en.LEANING}|{zh.LEANING}", re.IGNORECASE)
