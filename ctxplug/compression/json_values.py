"""Read and write JSON so that nothing is lost: numbers keep their digits, order is kept.

A value is None, bool, str, `Number`, list or dict. `parse` accepts JSON only; `parse_loosely`
also reads what tools print instead: JSON that was cut off, and Python literals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Number:
    """A JSON number as it was written, such as `1.10` or `1e3`."""

    text: str


Value: TypeAlias = "bool | str | Number | list[Value] | dict[str, Value] | None"

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[{}\[\](),:])"""
    r"""|(?P<string>"(?:[^"\\]|\\.)*+(?:"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z))"""
    r"""|(?P<bare>[^\s{}\[\](),:"']+))""",
    re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


def parse(text: str) -> Value:
    """Return the value of a JSON text.

    Raises ValueError if it is not JSON, is nested more than 50 levels deep, or says
    something that a value cannot hold (a key twice, NaN).
    """
    try:
        value: Value = json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=_refuse,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if depth(value) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    return value


def write(value: Value) -> str:
    """Return `value` as JSON without white space; lone surrogates are escaped."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(k)}:{write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(item) for item in value) + "]"
    return quoted(value) if isinstance(value, str) else bare(value)


def quoted(text: str) -> str:
    """Return a JSON string."""
    return _SURROGATE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def bare(value: bool | Number | None) -> str:
    """Return what JSON writes without quotes."""
    if isinstance(value, Number):
        return value.text
    return {None: "null", True: "true", False: "false"}[value]


def depth(value: Value) -> int:
    """Return how deeply lists and objects are nested; 0 for a scalar."""
    deepest, waiting = 0, [(value, 0)]
    while waiting:
        item, level = waiting.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, level + 1)
            inner = item.values() if isinstance(item, dict) else item
            waiting += [(child, level + 1) for child in inner]
    return deepest


def leaves(value: Value, path: str = "") -> Iterator[tuple[str, bool | str | Number | None]]:
    """Yield every scalar with its path, such as `flights.0.price`."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def parse_loosely(text: str) -> Value:
    """Return the value of a text that begins as JSON or as a Python literal.

    The text may end anywhere: what was open is closed. Raises ValueError where it is
    anything else.
    """
    try:
        return parse(text)
    except ValueError:
        pass
    reading = _Reading()
    position = 0
    while position < len(text) and not reading.done:
        match = _TOKEN.match(text, position)
        if match is None:
            break
        reading.take(match)
        position = match.end()
    if text[position:].strip() or reading.top is None:
        raise ValueError("not a JSON value")
    return reading.top


class _Reading:
    """What was read so far: the containers that are still open, innermost last."""

    def __init__(self) -> None:
        self.top: Value = None
        self.open: list[tuple[dict[str, Value] | list[Value], str]] = []
        self.key: str | None = None  # a key that waits for its value
        self.held: Value = None  # in an object: what may turn out to be a key
        self.wants = True  # whether a value may come next
        self.done = False

    def take(self, match: re.Match[str]) -> None:
        mark = match["mark"]
        if not self.open and (mark is None or mark not in "{["):
            raise ValueError("not a JSON value")
        if mark is None:
            self._scalar(_unescaped(match["string"]) if match["string"] else _word(match["bare"]))
        elif mark in "{[(":
            self._begin({} if mark == "{" else [], {"{": "}", "[": "]", "(": ")"}[mark])
        elif mark == ",":
            self.key, self.wants = None, True
        elif mark == ":":
            self._name()
        else:
            self._end(mark)

    def _scalar(self, value: Value) -> None:
        if not self.wants:
            raise ValueError("two values without a comma")
        self.wants = False
        container = self.open[-1][0]
        if isinstance(container, list):
            container.append(value)
        elif self.key is not None:
            container[self.key] = value
        else:
            self.held = value

    def _name(self) -> None:
        if not isinstance(self.open[-1][0], dict) or self.key is not None or self.wants:
            raise ValueError("a colon without a key")
        self.key = self.held if isinstance(self.held, str) else write(self.held)
        self.wants = True

    def _begin(self, container: dict[str, Value] | list[Value], closing: str) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise ValueError("nested too deeply")
        if not self.open:
            self.top = container
        else:
            if isinstance(self.open[-1][0], dict) and self.key is None:
                raise ValueError("an object without a key")
            self._scalar(container)
        self.open.append((container, closing))
        self.key, self.wants = None, True

    def _end(self, mark: str) -> None:
        if self.open[-1][1] != mark:
            raise ValueError("brackets that do not match")
        self.open.pop()
        self.key, self.wants, self.done = None, False, not self.open


def _unescaped(string: str) -> str:
    body = string[1:-1] if len(string) > 1 and string[-1] == string[0] else string[1:]
    try:
        return str(json.loads(f'"{body}"', strict=False)) if string[0] == '"' else body
    except ValueError:
        return body


def _word(word: str) -> Value:
    if word in _WORDS:
        return _WORDS[word]
    return Number(word) if NUMBER.fullmatch(word) else word


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key twice")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
