"""RecalledText: what a memory block shows, which knows its records and so how to be shortened."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ctxplug.compression.cutting import cut
from ctxplug.context.recalled import recalled_block
from ctxplug.recall.recalled import Recalled
from ctxplug.tokens import TokenCounter

Count = Callable[[str], int]

LEAST_SHARE = 48  # tokens of one record; rather than cut to less it is left out
FRAME = 24  # tokens of a line around what a record says
MOST_SHARE = 0.5  # of the block, that one record may take
_UNBOUNDED = 10**9
# What the template of LlamaIndex's Memory, or a reader of it, could take for markup of its own.
_MARKUP = re.compile(r"<(?=\s*/?\s*(?:memory|content_block|chat)\b)", re.IGNORECASE)
_JSON_LINE = re.compile(r"^(\s*)(?=\{)", re.MULTILINE)


class RecalledText(str):
    """The text of a block named `name`; `found` are its records, the most important first."""

    found: tuple[Recalled, ...]
    counter: TokenCounter
    name: str

    def __new__(cls, found: Sequence[Recalled], counter: TokenCounter, name: str) -> RecalledText:
        """Write the text of `found`, whole."""
        text, _ = recalled_block(found, counter, _UNBOUNDED, len(found)) if found else ("", ())
        made = super().__new__(cls, _harmless(text, name))
        made.found, made.counter, made.name = tuple(found), counter, name
        return made

    def __getnewargs__(self) -> Any:
        return self.found, self.counter, self.name


def fitted(
    found: Sequence[Recalled], counter: TokenCounter, limit: int, count: Count, name: str
) -> RecalledText:
    """Return what of `found` fits `limit` tokens: what is important first, then what fits best.

    A record that would take more than its share is cut, and left out if it still does not
    fit. What comes out may be empty.
    """
    most = max(int(MOST_SHARE * limit), LEAST_SHARE)
    ordered = sorted(found, key=_importance, reverse=True)
    ordered = [_cut(one, most, counter, count) for one in ordered]
    text = RecalledText(ordered, counter, name)
    if count(text) <= limit:
        return text
    text = RecalledText((), counter, name)
    for one in ordered:
        room = limit - count(text) - FRAME
        for short in (one, _cut(one, room, counter, count)):
            more = RecalledText((*text.found, short), counter, name)
            if count(more) <= limit:
                text = more
                break
    return text


def _importance(one: Recalled) -> tuple[float, float]:
    return one.record.importance, one.score


def _cut(one: Recalled, tokens: int, counter: TokenCounter, count: Count) -> Recalled:
    """Return `one` with its words in about `tokens`, if that is worth it."""
    if tokens < LEAST_SHARE or count(one.record.content) <= tokens:
        return one
    return replace(one, record=one.record.evolve(content=cut(one.record.content, tokens, counter)))


def _harmless(text: str, name: str) -> str:
    """Return `text` so that it neither ends its block nor stands as a message of its own."""
    text = re.sub(rf"<(?=\s*/?\s*{re.escape(name)}\b)", "[", text, flags=re.IGNORECASE)
    return _JSON_LINE.sub(r"\1| ", _MARKUP.sub("[", text))
