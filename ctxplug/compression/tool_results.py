"""Change the texts of a unit's tool results and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ctxplug.compression.strategy import Unit, total
from ctxplug.messages import Message, TextPart, ToolResultPart
from ctxplug.tokens import TokenCounter


def oldest_first(
    units: Sequence[Unit], target: int, change: Callable[[Unit], Unit]
) -> tuple[Unit, ...]:
    """Return `units` with the oldest changed, one after the other, until they take `target`."""
    result = list(units)
    excess = total(units) - target
    for i, unit in enumerate(result):
        if excess <= 0:
            break
        result[i] = change(unit)
        excess -= unit.tokens - result[i].tokens
    return tuple(result)


def replace_results(
    unit: Unit,
    form: str,
    change: Callable[[ToolResultPart], ToolResultPart | None],
    counter: TokenCounter,
) -> Unit:
    """Return `unit` with every result that `change` gives another for; None leaves it.

    A message that would not become shorter stays as it is, and so does the unit if none
    does.
    """
    messages = []
    for item in unit.items:
        message = _changed(item.message, change)
        shorter = message is not item.message and counter.count(message) < item.tokens
        messages.append(message if shorter else item.message)
    same = all(m is item.message for m, item in zip(messages, unit.items, strict=True))
    return unit if same else unit.changed(form, messages, counter)


def replace_texts(
    unit: Unit, form: str, change: Callable[[str], str | None], counter: TokenCounter
) -> Unit:
    """Return `unit` with every text of its results that `change` gives another for."""

    def changed(result: ToolResultPart) -> ToolResultPart | None:
        content = []
        for part in result.content:
            text = change(part.text) if isinstance(part, TextPart) else None
            content.append(part if text is None else replace(part, text=text))  # type: ignore[arg-type]
        parts = tuple(content)
        return replace(result, content=parts) if parts != result.content else None

    return replace_results(unit, form, changed, counter)


def _changed(
    message: Message, change: Callable[[ToolResultPart], ToolResultPart | None]
) -> Message:
    parts = []
    for part in message.content:
        changed = change(part) if isinstance(part, ToolResultPart) else None
        parts.append(part if changed is None else changed)
    content = tuple(parts)
    return replace(message, content=content) if content != message.content else message
