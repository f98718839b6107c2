"""The summarizer "extractive": sentences of the messages themselves; no model, no network."""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug.compression import lines
from ctxplug.compression.block import Line, one_line
from ctxplug.compression.strategy import Unit
from ctxplug.messages import Logged, Message
from ctxplug.tokens.estimate import estimate


class ExtractiveSummarizer:
    """Summarize by choosing sentences; tokens are estimated.

    `telegraphic` drops words without content as well.
    """

    def __init__(self, *, telegraphic: bool = False) -> None:
        self.telegraphic = telegraphic
        self._counter = estimate()

    def summarize(self, messages: Sequence[Message], target_tokens: int) -> str:
        """Return the most salient sentences, one line a speaker; "" if none fits."""
        counter = self._counter
        units = [Unit((Logged(i, m, counter.count(m)),)) for i, m in enumerate(messages, 1)]
        text = lines.extract_as(_rows, units, target_tokens, counter, reduce=self.telegraphic)
        return text or ""


def _rows(found: Sequence[Line]) -> str:
    return "\n".join(f"{line.who}: {one_line(line.text)}" for line in found)
