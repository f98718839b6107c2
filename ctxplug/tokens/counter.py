"""The law of token counters, and the plain counter that everything textual builds on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ctxplug import codec
from ctxplug.messages import (
    ImagePart,
    Message,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)

MESSAGE_TOKENS = 4  # role and delimiters, as OpenAI documents for its chat format
REQUEST_TOKENS = 3  # every reply is primed with the assistant's opening
CALL_TOKENS = 3  # delimiters around a tool call, a tool result or a tool definition
IMAGE_TOKENS = 1_600  # a full-size image at Anthropic; the size in pixels is not known here
FILE_CHARACTERS = 4_096  # of base64, from which on no model reads it as text
_BASE64 = re.compile(r"(?:data:[^,]{0,200},)?[A-Za-z0-9+/_-]+={0,2}")


@runtime_checkable
class TokenCounter(Protocol):
    """Count the tokens that messages cost as model input.

    The law:

    - `count` is additive: a list of messages costs the sum of its messages, plus
      `request_tokens` once per request, whatever their order. That is what lets a
      count be made once and stored with the message.
    - Counts are integers, never negative, and the same every time, on any thread.
    - A message costs at least its text; its calls, results and images cost something.
    - Any text can be counted: lone surrogates, NUL, a megabyte without a space, and
      special tokens such as `<|endoftext|>`, which count as the text they are.
    - Counting touches no network, unless the counter is of a plugin that asks a service; then
      it never raises for one that cannot be reached, and says that it `estimated`.
    - `name` is the full spec, such as "tiktoken:o200k_base": counts under one name are
      comparable, counts under two are not.
    - `estimated` says whether the true count may differ; `margin` is then the share of a
      budget to keep free (0.10). An exact counter keeps none, or up to 0.05 where a whole
      request may differ a little from the sum of its messages.
    """

    @property
    def name(self) -> str:
        """The full spec of this counter, stored beside its counts."""

    @property
    def estimated(self) -> bool:
        """Whether the counts are estimates."""

    @property
    def margin(self) -> float:
        """The share of a budget to keep free, 0.0 to 1.0."""

    @property
    def request_tokens(self) -> int:
        """What every request costs besides its messages and tools."""

    def count(self, message: Message) -> int:
        """Return the tokens of one message, its framing included."""

    def count_text(self, text: str) -> int:
        """Return the tokens of bare text, without any framing."""


@dataclass(frozen=True, slots=True)
class MessageCounter:
    """A TokenCounter made from a function that counts text.

    A message costs 4 tokens of framing, its name, and its parts: text; thinking (where
    the text is withheld, its redacted or signed form stands for it); a tool call's name
    and arguments as compact JSON; a tool result's call id and content; 1,600 tokens an
    image; an opaque part as its JSON, in which every file in base64 (a document, a sound)
    is 1,600 tokens too. Metadata and provider extras are not counted.
    """

    name: str
    count_text: Callable[[str], int]
    estimated: bool = False
    margin: float = 0.0
    request_tokens: int = REQUEST_TOKENS

    def count(self, message: Message) -> int:
        """Return the tokens of one message, its framing included."""
        tokens = MESSAGE_TOKENS + sum(self._part(part) for part in message.content)
        return tokens + (1 + self.count_text(message.name) if message.name else 0)

    def _part(self, part: Part) -> int:
        if isinstance(part, TextPart):
            return self.count_text(part.text)
        if isinstance(part, ToolCallPart):
            raw = part.raw_arguments
            arguments = _json(part.arguments) if raw is None else raw
            return CALL_TOKENS + self.count_text(part.name) + self.count_text(arguments)
        if isinstance(part, ToolResultPart):
            content = sum(self._part(inner) for inner in part.content)
            return CALL_TOKENS + self.count_text(part.call_id) + content
        if isinstance(part, ThinkingPart):
            return self.count_text(part.text or part.redacted or part.signature or "")
        if isinstance(part, ImagePart):
            return IMAGE_TOKENS
        assert isinstance(part, OpaquePart)
        data, files = _without_files(part.data)
        return self.count_text(_json(data)) + files * IMAGE_TOKENS


def count_tools(counter: TokenCounter, tools: Sequence[Mapping[str, Any]]) -> int:
    """Return the tokens that tool definitions (provider dicts) add to a request.

    Each is counted as its compact JSON plus framing. Raises InvalidValueError if one is
    not JSON.
    """
    return sum(CALL_TOKENS + counter.count_text(_json(tool)) for tool in tools)


def _without_files(value: Any) -> tuple[Any, int]:
    """Return `value` without long base64 texts, and how many there were."""
    if isinstance(value, str) and len(value) >= FILE_CHARACTERS and _BASE64.fullmatch(value):
        return "", 1
    if isinstance(value, Mapping):
        found = {key: _without_files(item) for key, item in value.items()}
        return {key: item for key, (item, _) in found.items()}, sum(n for _, n in found.values())
    if isinstance(value, list | tuple):
        items = [_without_files(item) for item in value]
        return [item for item, _ in items], sum(n for _, n in items)
    return value, 0


def _json(value: Any) -> str:
    return codec.encode(value).decode("utf-8", "surrogatepass")
