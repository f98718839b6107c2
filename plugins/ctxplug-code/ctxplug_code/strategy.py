"""The strategy "code": what the agent read or wrote as code stays as its outline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ctxplug.compression import VERBATIM, CompressionTools, Unit, total
from ctxplug.messages import Message, TextPart, ThinkingPart, ToolResultPart
from ctxplug_code.fences import without_blocks
from ctxplug_code.languages import of_path
from ctxplug_code.outline import Spoken
from ctxplug_code.texts import outlined, outlined_blocks

_SPOKEN = re.compile(r"[A-Za-z_]\w{3,}|\d{3,}")


class Code:
    """Reduce source code in tool results and fenced blocks to outlines, oldest first.

    First with docstrings, values and what was spoken of; where that is not enough, again without.
    Only verbatim units are changed. Which language it is, is told by a path in the call's
    arguments or by the block's tag, else guessed; what does not parse is left alone.
    """

    name = "code"

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Return `units` with outlines for code, until they take `target` tokens."""
        result = list(units)
        if total(units) <= target:
            return tuple(result)
        spoken = _spoken_of(units)
        excess = total(units) - target
        for terse in (False, True):
            for i, unit in enumerate(units):
                if excess <= 0:
                    return tuple(result)
                if unit.form != VERBATIM or (terse and result[i] is unit):
                    continue
                made = self._outlined(unit, spoken, tools, terse)
                if made.tokens < result[i].tokens:
                    excess -= result[i].tokens - made.tokens
                    result[i] = made
        return tuple(result)

    def _outlined(self, unit: Unit, spoken: Spoken, tools: CompressionTools, terse: bool) -> Unit:
        """Return the unit with outlines, or the same one if no message would be shorter."""
        calls = {c.id: c.arguments for item in unit.items for c in item.message.tool_calls}
        note = f"\n[see {tools.ref(unit)}]"
        messages = []
        for item in unit.items:
            message = _reduced(item.message, calls, spoken, note, terse)
            shorter = message is not item.message and tools.counter.count(message) < item.tokens
            messages.append(message if shorter else item.message)
        same = all(m is item.message for m, item in zip(messages, unit.items, strict=True))
        return unit if same else unit.changed(self.name, messages, tools.counter)


def _reduced(
    message: Message,
    calls: Mapping[str, Mapping[str, Any]],
    spoken: Spoken,
    note: str,
    terse: bool,
) -> Message:
    parts: list[Any] = []
    for part in message.content:
        if isinstance(part, TextPart):
            parts.append(_noted(part, outlined_blocks(part.text, spoken, terse=terse), note))
        elif isinstance(part, ToolResultPart):
            parts.append(_result(part, calls.get(part.call_id, {}), spoken, note, terse))
        else:
            parts.append(part)
    if all(new is old for new, old in zip(parts, message.content, strict=True)):
        return message
    # Thinking is bound to the message as it was: a changed one goes without.
    kept = tuple(part for part in parts if not isinstance(part, ThinkingPart))
    return replace(message, content=kept)


def _result(
    result: ToolResultPart, arguments: Mapping[str, Any], spoken: Spoken, note: str, terse: bool
) -> ToolResultPart:
    language = of_path("\n".join(value for value in arguments.values() if isinstance(value, str)))
    content: list[Any] = []
    for part in result.content:
        if isinstance(part, TextPart):
            text = outlined_blocks(part.text, spoken, terse=terse)
            if text == part.text:
                text = outlined(text, language, spoken, terse=terse)
            part = _noted(part, text, note)
        content.append(part)
    if all(new is old for new, old in zip(content, result.content, strict=True)):
        return result
    return replace(result, content=tuple(content))


def _noted(part: TextPart, text: str, note: str) -> TextPart:
    return part if text == part.text else replace(part, text=text.removesuffix("\n") + note)


def _spoken_of(units: Sequence[Unit]) -> Spoken:
    """Return whether a name or number stands in what was said, code and results apart."""
    words: set[str] = set()
    for unit in units:
        for item in unit.items:
            for part in item.message.content:
                if isinstance(part, TextPart):
                    words.update(filter(_is_name, _SPOKEN.findall(without_blocks(part.text))))
            for call in item.message.tool_calls:
                said = " ".join(str(v) for v in call.arguments.values() if len(str(v)) < 2_000)
                words.update(filter(_is_name, _SPOKEN.findall(said)))
    return words.__contains__


def _is_name(word: str) -> bool:
    """Say whether a word looks like a name or a number and not like prose."""
    return not word.isalpha() or not (word.islower() or word.istitle())
