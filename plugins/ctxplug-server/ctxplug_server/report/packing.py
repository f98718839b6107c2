"""Packing: JSON data in which a long text stands once, safe to stand in a page.

A text of LEAST characters or more is `{"$": n}`, the n-th of `shared`; a key of the data that
begins with "$" has one more of them. `viewer/report_answers.js` reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Packer", "embedded"]

LEAST = 48
_LONE = re.compile("[\ud800-\udfff]")
_UNSAFE_IN_HTML = re.compile("[<>&\u2028\u2029]")


class Packer:
    """Answers by their address, each as JSON text; `size` is in bytes of the page."""

    def __init__(self) -> None:
        self.size = 0
        self._shared: dict[str, int] = {}
        self._answers: dict[str, str] = {}

    def put(self, address: str, answer: Any) -> None:
        """Add an answer, or replace the one that stands there."""
        text = embedded(self._packed(answer))
        self._answers[address] = text
        self.size += len(text.encode("utf-8")) + len(address)

    def mark(self) -> tuple[int, int, int]:
        """Return where it stands, for `back_to`."""
        return len(self._shared), len(self._answers), self.size

    def back_to(self, mark: tuple[int, int, int]) -> None:
        """Forget what was added since `mark`."""
        shared, answers, self.size = mark
        for known, length in ((self._shared, shared), (self._answers, answers)):
            for key in list(known)[length:]:
                del known[key]

    def text(self, about: Mapping[str, Any]) -> str:
        """Return all of it as one JSON object, which says of itself what is in `about`."""
        answers = ",".join(f"{embedded(key)}:{text}" for key, text in self._answers.items())
        shared = embedded(list(self._shared))
        return f'{{"about":{embedded(about)},"shared":{shared},"answers":{{{answers}}}}}'

    def _packed(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value) if len(value) >= LEAST else value
        if isinstance(value, Mapping):
            return {_key(str(name)): self._packed(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._packed(inner) for inner in value]
        if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
            return None
        return value

    def _text(self, text: str) -> dict[str, int]:
        if text not in self._shared:
            self._shared[text] = len(self._shared)
            self.size += len(embedded(text).encode("utf-8")) + 1
        return {"$": self._shared[text]}


def embedded(data: Any) -> str:
    """Return `data` as JSON that cannot end the element that it stands in, whatever it says."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _LONE.sub(_escaped, _UNSAFE_IN_HTML.sub(_escaped, text))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _key(name: str) -> str:
    return f"${name}" if name.startswith("$") else name
