"""The strategy "dedupe": of two copies, the older gives way to a pointer to the later.

Copies are equal texts, plain texts of which nine tenths are the same, and structured
results (JSON) that agree in most of their leaves. What differs stays in the pointer, so
the later copy and the pointer together say what the older copy said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from zlib import crc32

from ctxplug.compression.json_values import leaves, write
from ctxplug.compression.result_values import exact_value, without_note
from ctxplug.compression.strategy import VERBATIM, CompressionTools, Unit, total
from ctxplug.compression.tool_results import replace_texts
from ctxplug.messages import Message, TextPart, ThinkingPart

SIMILAR = 0.9  # Jaccard similarity of two plain texts' shingles
AGREE = 0.5  # share of an older result's leaves that the later has at the same place
MAX_SHARE = 0.6  # a pointer takes at most this share of the text's characters
MIN_CHARACTERS = 120  # a Chinese character counts for 3
SHINGLE = 3
SKETCH = 16  # least hashes by which similar texts find each other
CANDIDATES = 8  # later texts that are compared for each hash
LARGEST = 2**16  # shingles; of a longer text a sample is compared
_TOKEN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|\\w+")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|(?<=[。！？；])")
_FORMS = (VERBATIM, "shape-tool-results")


class Dedupe:
    """Replace older copies of tool results and of long messages, oldest first."""

    name = "dedupe"

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Replace older copies among `units` until they take `target` tokens."""
        result = list(units)
        excess = total(units) - target
        if excess <= 0:
            return tuple(result)
        pointers = _pointers(units, tools)
        for i in sorted(pointers):
            if excess <= 0:
                break
            result[i] = self._changed(units[i], pointers[i], tools)
            excess -= units[i].tokens - result[i].tokens
        return tuple(result)

    def _changed(self, unit: Unit, texts: Mapping[str, str], tools: CompressionTools) -> Unit:
        changed = replace_texts(unit, self.name, texts.get, tools.counter)
        messages = [_with_texts(item.message, texts.get) for item in changed.items]
        shorter = [
            message if tools.counter.count(message) < item.tokens else item.message
            for message, item in zip(messages, changed.items, strict=True)
        ]
        if all(m is item.message for m, item in zip(shorter, changed.items, strict=True)):
            return changed
        return changed.changed(self.name, shorter, tools.counter)


def _with_texts(message: Message, change: Callable[[str], str | None]) -> Message:
    """Return `message` with its own texts changed, and then without its thinking.

    A text with a provider's extras may be signed and is never touched.
    """
    parts = [
        replace(part, text=change(part.text) or part.text)
        if isinstance(part, TextPart) and not part.extra
        else part
        for part in message.content
    ]
    if all(new is old or new == old for new, old in zip(parts, message.content, strict=True)):
        return message
    return replace(message, content=tuple(p for p in parts if not isinstance(p, ThinkingPart)))


@dataclass(frozen=True)
class _Text:
    """A text that may be a copy of another, and the unit that holds it."""

    unit: int
    text: str

    @cached_property
    def leaves(self) -> dict[str, str]:
        """The leaves of a structured text with their paths; empty for plain text."""
        try:
            value = exact_value(self.text)
        except ValueError:
            return {}
        found = leaves(value)
        return {path: leaf if isinstance(leaf, str) else write(leaf) for path, leaf in found}

    @cached_property
    def shingles(self) -> frozenset[int]:
        """Hashes of what is compared: leaves with their places, or runs of words."""
        if self.leaves:
            return _hashes(f"{path}\0{leaf}" for path, leaf in self.leaves.items())
        words = _TOKEN.findall(self.text.casefold())
        runs = range(max(1, len(words) - SHINGLE + 1))
        return _hashes("\0".join(words[i : i + SHINGLE]) for i in runs)

    @cached_property
    def sketch(self) -> list[int]:
        """The least hashes: similar texts share some of them."""
        return sorted(self.shingles)[:SKETCH]


def _hashes(texts: Iterable[str]) -> frozenset[int]:
    hashes = {crc32(text.encode("utf-8", "surrogatepass")) for text in texts}
    while len(hashes) > LARGEST:
        # The same sample of two texts: what has the greatest power of two as a divisor.
        hashes = {h // 2 for h in hashes if h % 2 == 0}
    return frozenset(hashes)


def _pointers(units: Sequence[Unit], tools: CompressionTools) -> dict[int, dict[str, str]]:
    """Return for each unit, by its place, the texts that give way and to what.

    Later texts are looked at first, so that a pointer never leads to a pointer.
    """
    pointers: dict[int, dict[str, str]] = {}
    by_text: dict[str, _Text] = {}
    by_hash: dict[int, list[_Text]] = {}
    for text in reversed(list(_texts(units))):
        pointer = _pointer(text, by_text, by_hash, units, tools)
        if pointer:
            pointers.setdefault(text.unit, {}).setdefault(text.text, pointer)
            continue
        by_text.setdefault(without_note(text.text), text)
        for value in text.sketch:
            by_hash.setdefault(value, [])[CANDIDATES - 1 :] = [text]
    return pointers


def _texts(units: Sequence[Unit]) -> Iterable[_Text]:
    for i, unit in enumerate(units):
        if unit.form not in _FORMS:
            continue
        for item in unit.items:
            parts = [part for part in item.message.content if isinstance(part, TextPart)]
            for result in item.message.tool_results:
                parts += [part for part in result.content if isinstance(part, TextPart)]
            for part in parts:
                if len(part.text) >= MIN_CHARACTERS or _width(part.text) >= MIN_CHARACTERS:
                    yield _Text(i, part.text)


def _width(text: str) -> int:
    return sum(3 if char >= "\u2e80" else 1 for char in text)


def _pointer(
    text: _Text,
    by_text: Mapping[str, _Text],
    by_hash: Mapping[int, list[_Text]],
    units: Sequence[Unit],
    tools: CompressionTools,
) -> str:
    """Return what stands for `text`: "" if no later text is a copy of it."""
    own = tools.ref(units[text.unit])
    equal = by_text.get(without_note(text.text))
    if equal is not None and equal.unit != text.unit:
        return f"[same as {tools.ref(units[equal.unit])}, original: {own}]"
    near = (later for value in text.sketch for later in by_hash.get(value, ()))
    found = {id(later): later for later in near if later.unit != text.unit}
    best = max(found.values(), key=lambda t: (_similarity(text, t), t.unit), default=None)
    if best is None or _similarity(text, best) < (AGREE if text.leaves else SIMILAR):
        return ""
    differing = _differing_leaves(text, best) if text.leaves else _differing_lines(text, best)
    head = f"[as {tools.ref(units[best.unit])} but for what follows, original: {own}]"
    pointer = "\n".join([head, *differing])
    return pointer if len(pointer) <= MAX_SHARE * len(text.text) else ""


def _similarity(older: _Text, later: _Text) -> float:
    """Return Jaccard similarity; of structured texts, how much the later says of the older."""
    if bool(older.leaves) != bool(later.leaves):
        return 0.0
    common = len(older.shingles & later.shingles)
    whole = older.shingles if older.leaves else older.shingles | later.shingles
    return common / max(1, len(whole))


def _differing_leaves(older: _Text, later: _Text) -> list[str]:
    lines = [f"{p}: {leaf}" for p, leaf in older.leaves.items() if later.leaves.get(p) != leaf]
    missing = [path for path in later.leaves if path not in older.leaves]
    return [*lines, f"without {', '.join(missing)}"] if missing else lines


def _differing_lines(older: _Text, later: _Text) -> list[str]:
    ours, theirs = _pieces(older.text), set(_pieces(later.text))
    return [piece for piece in dict.fromkeys(ours) if piece not in theirs]


def _pieces(text: str) -> list[str]:
    lines = [piece for line in without_note(text).splitlines() for piece in _SENTENCE.split(line)]
    return [line.strip() for line in lines if line.strip()]
