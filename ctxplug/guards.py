"""Redaction and judgement: what plugins say before anything is stored. Fails closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ctxplug import codec
from ctxplug.errors import GuardError, InvalidValueError
from ctxplug.isolation import Guard
from ctxplug.messages import (
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.plugins import Plugins
from ctxplug.records import MemoryRecord, to_tags
from ctxplug.scope import Scope


class Guards:
    """The guards of all plugins, asked in order of plugin name."""

    def __init__(self, plugins: Plugins) -> None:
        self._redactors = [Guard(i) for i in plugins.implementations("redact")]
        self._judges = [Guard(i) for i in plugins.implementations("judge_memory")]

    @property
    def redacts(self) -> bool:
        """Whether there is any redactor."""
        return bool(self._redactors)

    def redact(self, text: str, scope: Scope) -> str:
        """Return `text` as the redactors leave it; raise GuardError if one fails."""
        for guard in self._redactors:
            answer = guard(text=text, scope=scope)
            if answer is None:
                continue
            if not isinstance(answer, str):
                raise guard.reject(answer)
            text = answer
        return text

    def redact_value(self, value: Any, scope: Scope) -> Any:
        """Return JSON with every text in it redacted; keys are kept."""
        if not self._redactors:
            return value
        return redacted(value, lambda text: self.redact(text, scope))

    def redact_message(self, message: Message, scope: Scope) -> Message:
        """Return `message` with every text in it redacted, tool arguments included.

        A provider's signature over thinking does not survive a change of its text: the
        part is then dropped.
        """
        if not self._redactors:
            return message
        parts = [
            _redact_part(part, lambda text: self.redact(text, scope)) for part in message.content
        ]
        return replace(message, content=tuple(part for part in parts if part is not None))

    def judge(self, record: MemoryRecord, scope: Scope) -> MemoryRecord:
        """Return the record as the judges leave it; raise GuardError if one refuses or fails."""
        for guard in self._judges:
            # A copy: what a judge does to its argument changes nothing.
            answer = guard(record=_copy(record), scope=scope)
            if answer is None or answer is True:
                continue
            if answer is False:
                raise GuardError(
                    f"Plugin {guard.plugin!r} refused to remember this {record.kind!r}:"
                    f" {record.content!r:.80}. Nothing was stored.",
                    plugin=guard.plugin,
                )
            if not isinstance(answer, MemoryRecord) or answer.namespace != record.namespace:
                raise guard.reject(answer)
            record = answer.evolve(id=record.id)
        return record

    def admit(self, record: MemoryRecord, scope: Scope) -> MemoryRecord:
        """Return `record` as it may be stored: redacted, judged, and redacted again.

        A judge's change is redacted too: nothing slips in behind the redactors. Raises
        GuardError. Whatever becomes a memory passes here, however it came to be.
        """
        judged = self.judge(self.redact_record(record, scope), scope)
        return self.redact_record(judged, scope)

    def redact_record(self, record: MemoryRecord, scope: Scope) -> MemoryRecord:
        """Return `record` with its content, tags and metadata texts redacted."""
        if not self._redactors:
            return record
        return record.evolve(
            content=self.redact(record.content, scope),
            tags=to_tags(tag for tag in (self.redact(t, scope) for t in record.tags) if tag),
            metadata=redacted(record.metadata, lambda text: self.redact(text, scope)),
        )


def _copy(record: MemoryRecord) -> MemoryRecord:
    return record.evolve(metadata=codec.plain(record.metadata))


def _redact_part(part: Part, redact: Callable[[str], str]) -> Part | None:
    if isinstance(part, TextPart):
        return replace(part, text=redact(part.text))
    if isinstance(part, ThinkingPart):
        return part if redact(part.text) == part.text else None
    if isinstance(part, ToolCallPart):
        raw = None if part.raw_arguments is None else redact(part.raw_arguments)
        return replace(part, arguments=redacted(part.arguments, redact), raw_arguments=raw)
    if isinstance(part, ToolResultPart):
        inner = tuple(_redact_part(p, redact) for p in part.content)
        return replace(part, content=tuple(p for p in inner if p is not None))  # type: ignore[misc]
    return part


def redacted(value: Any, redact: Callable[[str], str], depth: int = 0) -> Any:
    """Return JSON with every text in it as `redact` leaves it; keys are kept."""
    if isinstance(value, str):
        return redact(value)
    if depth > codec.MAX_DEPTH:
        raise InvalidValueError(f"A value is nested more than {codec.MAX_DEPTH} levels deep.")
    if isinstance(value, dict):
        return {key: redacted(item, redact, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, redact, depth + 1) for item in value]
    return value
