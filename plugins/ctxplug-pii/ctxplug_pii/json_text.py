"""Change the texts and numbers in a JSON text: it stays JSON, and all else stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

LONG = 7  # digits of a number that may be somebody's

# A text, and the key that stands before it or "".
Leaf = tuple[str, str]
ChangeAll = Callable[[Sequence[Leaf]], Sequence[str]]

_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]++|\\.)*+")(?P<colon>\s*:)?|(?P<number>-?\d[\d.eE+-]*+)'
    r"|(?P<end>[}\]])",
    re.DOTALL,
)


def is_json(text: str) -> bool:
    """Say whether `text` is an object or a list in JSON, or lines of them."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    if _parses(text):
        return True
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) > 1 and all(map(_parses, lines))


def _parses(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def changed_json(text: str, change_all: ChangeAll) -> str:
    """Return the JSON `text` with its keys, texts and long numbers changed, all in one go.

    A number that changes becomes a text.
    """
    key = ""
    places: list[re.Match[str]] = []
    leaves: list[Leaf] = []
    for match in _TOKEN.finditer(text):
        said, number = match["text"], match["number"]
        if match["end"]:
            key = ""
        elif number is None:
            plain = json.loads(said) if "\\" in said else said[1:-1]
            places.append(match)
            leaves.append((plain, "" if match["colon"] else key))
            key = plain if match["colon"] else key
        elif len(number) >= LONG:
            places.append(match)
            leaves.append((number, key))
    parts, end = [], 0
    for match, (old, _), new in zip(places, leaves, change_all(leaves), strict=True):
        if new != old:
            written = json.dumps(new, ensure_ascii="\\u" in match[0])
            parts += [text[end : match.start()], written, match["colon"] or ""]
            end = match.end()
    return "".join([*parts, text[end:]])
