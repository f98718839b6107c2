"""ctxplug_summarizer: a summary without a model for SummarizationMiddleware.

The summary holds what a digest of ctxplug holds, in lines that say who spoke, and before them,
word for word as far as there is room, the system messages and the first request. An earlier
summary is read back into its lines: it is summarised further and never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage

from ctxplug.compression import Summarizer, Unit, block, lines
from ctxplug.compression.cutting import cut
from ctxplug.compression.summarize import asked
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Logged, Message
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.tokens import TokenCounter
from langchain_ctxplug.counting import count_with_attachments, counter_of
from langchain_ctxplug.messages import to_messages

__all__ = ["ctxplug_summarizer"]

HEADS = 0.4  # of the summary at most for instructions and the first request
REQUEST, INSTRUCTIONS = "First request: ", "Instructions: "
JOIN = 4  # tokens that two texts may take more together than one by one
NOTHING = "Nothing of note was said."
_BLOCK = re.compile(rf"<{block.TAG} .*?</{block.TAG}>", re.DOTALL)


def ctxplug_summarizer(
    target_tokens: int = 1_500,
    *,
    summarizer: str | Summarizer | None = None,
    timeout: float = 30.0,
    model: Any = None,
    counter: str | TokenCounter | None = None,
) -> Callable[[Sequence[AnyMessage]], str]:
    """Return a function from messages to a summary of at most `target_tokens`.

    Use it as `SummarizationMiddleware(model, summarizer=ctxplug_summarizer(),
    trim_tokens_to_summarize=None)`: without the None, most messages never get here. `summarizer`
    names or is one of ctxplug's, such as a model of your own; where it fails or takes more than
    `timeout` seconds, the lines stand in. `model` or `counter` say how tokens are counted.
    """
    if target_tokens < 100:
        raise InvalidValueError(
            f"A summary needs 100 tokens at least, not {target_tokens!r}.", path="target_tokens"
        )
    found = Registry(installed()).resolve("summarizer", summarizer) if summarizer else None
    return _Summary(target_tokens, counter_of(model, counter), found, timeout)


@dataclass(frozen=True)
class _Summary:
    target: int
    counter: TokenCounter
    summarizer: Summarizer | None
    timeout: float

    def __call__(self, messages: Sequence[AnyMessage]) -> str:
        """Return the summary of `messages`."""
        said = _Said.of(messages, self.counter)
        heads = self._heads(said)
        left = self.target - self.counter.count_text(heads) - JOIN
        body = self._asked(said, left) or self._extracted(said, left)
        return "\n".join(filter(None, (heads, body))) or NOTHING

    def _heads(self, said: _Said) -> str:
        room = int(HEADS * self.target)
        found: list[str] = []
        for head, text in ((INSTRUCTIONS, said.instructions), (REQUEST, said.request)):
            if text:
                share = room // 2 if not found and said.request and said.instructions else room
                found.append(head + block.one_line(cut(text, share, self.counter)))
                room -= self.counter.count_text(found[-1])
        return "\n".join(found)

    def _asked(self, said: _Said, tokens: int) -> str:
        if self.summarizer is None or not said.units:
            return ""
        messages = tuple(item.message for unit in said.units for item in unit.items)
        text, _ = asked(self.summarizer, messages, tokens, self.timeout)
        return text if text and self.counter.count_text(text) <= tokens else ""

    def _extracted(self, said: _Said, tokens: int) -> str:
        if not said.units:
            return ""
        ref = f"@{said.units[0].versions[0]}-{said.units[-1].versions[-1]}"
        render = partial(_rendered, ref)
        return lines.extract_as(render, said.units, tokens, self.counter, reduce=True) or ""


def _rendered(ref: str, found: Sequence[block.Line]) -> str:
    return block.render(ref, [replace(line, day="") for line in found])


@dataclass(frozen=True)
class _Said:
    """What there is to summarise: units, and what is kept word for word."""

    units: tuple[Unit, ...]
    instructions: str
    request: str

    @classmethod
    def of(cls, messages: Sequence[AnyMessage], counter: TokenCounter) -> _Said:
        units: list[Unit] = []
        instructions: list[str] = []
        request, version = "", 0
        for message in messages:
            earlier = _BLOCK.search(message.text) if isinstance(message, HumanMessage) else None
            if isinstance(message, SystemMessage):
                instructions.append(message.text)
            elif earlier:
                kept, asked_first = _heads_of(message.text[: earlier.start()])
                instructions, request = [*kept, *instructions], request or asked_first
                read = block.parse(earlier[0])
                version = max([version, *(line.version for line in read)])
                units.append(_unit(Message("user", earlier[0]), 1, version, counter, "digest"))
            else:
                for ours in to_messages([message]):
                    version += 1
                    units.append(_unit(ours, version, version, counter))
                if isinstance(message, HumanMessage) and not request:
                    request = message.text
        return cls(tuple(units), "\n".join(instructions), request)


def _unit(
    message: Message, first: int, last: int, counter: TokenCounter, form: str = "verbatim"
) -> Unit:
    tokens = count_with_attachments(message, counter)
    sources = tuple(range(first, last + 1)) if form != "verbatim" else ()
    return Unit((Logged(first, message, tokens),), form, sources)


def _heads_of(text: str) -> tuple[list[str], str]:
    """Return the instructions and the first request of an earlier summary."""
    rows = text.splitlines()
    kept = [row.removeprefix(INSTRUCTIONS) for row in rows if row.startswith(INSTRUCTIONS)]
    first = [row.removeprefix(REQUEST) for row in rows if row.startswith(REQUEST)]
    return kept, first[0] if first else ""
