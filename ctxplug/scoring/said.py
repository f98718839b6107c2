"""What an item says, as text that scorers can look through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctxplug.messages import Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.scoring.scorer import Item

LOOKED_AT = 40_000  # characters of one item; of a longer one its beginning and its end
MAX_DEPTH = 100

# Han, kana and Hangul: scripts in which a character says about as much as half a word.
CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_CJK = re.compile(f"[{CJK}]")


def spoken(item: Item) -> str:
    """Return the text of `item`, tool results included and calls left out, shortened."""
    return shortened(item.text if isinstance(item, Message) else item.content)


def said(item: Item) -> str:
    """Return the text of `item` with the arguments of its tool calls, shortened."""
    if not isinstance(item, Message):
        return shortened(item.content)
    parts = [p.text for p in item.content if isinstance(p, TextPart | ToolResultPart)]
    parts += [leaf for call in item.tool_calls for leaf in arguments(call)]
    return shortened("\n".join(parts))


def arguments(call: ToolCallPart) -> Iterator[str]:
    """Yield the scalar values of a call's arguments as text, without keys, true and null."""
    if not call.arguments and call.raw_arguments:
        yield call.raw_arguments
    yield from _leaves(call.arguments, 0)


def length(text: str) -> int:
    """Return how long `text` is in Latin characters: one of Chinese stands for two and a half."""
    return len(text) + int(1.5 * len(_CJK.findall(text)))


def shortened(text: str) -> str:
    """Return `text`, or the first and last 20,000 characters of a longer one."""
    if len(text) <= LOOKED_AT:
        return text
    half = LOOKED_AT // 2
    return f"{text[:half]}\n{text[-half:]}"


def _leaves(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif depth < MAX_DEPTH and isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item, depth + 1)
    elif depth < MAX_DEPTH and isinstance(value, Sequence):
        for item in value:
            yield from _leaves(item, depth + 1)
