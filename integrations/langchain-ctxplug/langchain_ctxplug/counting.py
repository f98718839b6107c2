"""ctxplug_token_counter: a token counter wherever LangChain takes one.

It counts what a model is sent: Chinese as Chinese, tool calls and results, thinking, tools;
an image, a recording or a file at what it costs and not as base64 text. A message's count is
kept by what is in it, so that copies, slices and reversed lists of it cost a look-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    MessageLikeRepresentation,
    ToolMessage,
    convert_to_messages,
)
from langchain_core.utils.function_calling import convert_to_openai_tool

from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message, OpaquePart, ToolResultPart
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.tokens import TokenCounter, count_tools
from ctxplug.tokens.counter import IMAGE_TOKENS
from ctxplug.tokens.default import default_counter
from langchain_ctxplug.messages import to_messages

__all__ = ["LangChainTokenCounter", "counter_of", "ctxplug_token_counter", "message_key"]

KEPT = 200_000  # counts; an entry takes about 150 bytes
BLOB = 256  # characters of base64 from which on it is an attachment and no text
# Bytes to a token, by what the type or media type says. Roughly: a second of speech is 10
# tokens and 16 kB, one of video 260 tokens and 250 kB, a page of a PDF 2,000 and 50 kB.
BYTES_PER_TOKEN: Mapping[str, float] = {"audio": 1_600, "video": 1_000, "pdf": 25, "": 25}
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_")


def ctxplug_token_counter(
    model: Any = None, *, counter: str | TokenCounter | None = None
) -> LangChainTokenCounter:
    """Return a counter for `token_counter=` of SummarizationMiddleware, trim_messages and others.

    `model`, a name or a chat model, picks how to count; `counter` names or is a counter of
    ctxplug, such as "estimate:claude". Raises UnknownComponentError for a name nobody offers.
    """
    return LangChainTokenCounter(counter_of(model, counter))


class LangChainTokenCounter:
    """Count LangChain messages, or what can be made one; usable from any thread."""

    def __init__(self, counter: TokenCounter) -> None:
        self.counter = counter
        self._counts: dict[int, int] = {}

    def __call__(
        self,
        messages: Iterable[MessageLikeRepresentation],
        *,
        tools: Sequence[Any] | None = None,
    ) -> int:
        """Return the tokens of a request with `messages`, and `tools` if any are given.

        It is the sum over the messages, whatever their order, and what a request costs
        besides; of nothing it is 0.
        """
        given: list[Any] = list(messages)
        if not all(isinstance(message, BaseMessage) for message in given):
            given = list(convert_to_messages(given))
        tokens = sum(map(self.count, given))
        if tools:
            dicts = [
                tool if isinstance(tool, dict) else convert_to_openai_tool(tool) for tool in tools
            ]
            tokens += count_tools(self.counter, dicts)
        return tokens + self.counter.request_tokens if tokens else 0

    def count(self, message: BaseMessage) -> int:
        """Return the tokens of one message, its framing included."""
        key = message_key(message)
        known = self._counts.get(key)
        if known is None:
            known = sum(count_with_attachments(m, self.counter) for m in to_messages([message]))
            if len(self._counts) >= KEPT:
                self._counts.clear()
            self._counts[key] = known
        return known

    def __repr__(self) -> str:
        return f"<ctxplug_token_counter {self.counter.name!r}>"


def counter_of(model: Any = None, counter: str | TokenCounter | Any = None) -> TokenCounter:
    """Return ctxplug's counter for a chat model, a model's name, or a counter or its spec."""
    registry = Registry(installed())
    if isinstance(counter, LangChainTokenCounter):
        return counter.counter
    if isinstance(counter, str):
        counter = registry.resolve("token counter", counter)
    if isinstance(counter, TokenCounter):
        return counter
    if counter is not None:
        raise InvalidValueError(
            f"{counter!r:.80} is no token counter of ctxplug; name one, such as 'estimate:claude',"
            " or leave it out to have it picked by the model.",
            path="counter",
        )
    for name in (model, getattr(model, "model_name", None), getattr(model, "model", None)):
        if isinstance(name, str):
            return default_counter(name, registry)
    return default_counter(None, registry)


def message_key(message: BaseMessage) -> int:
    """Return a number that is the same for messages that say the same to a model.

    Of a text only the hash is taken, which Python keeps with it: a deep copy costs nothing.
    """
    content = message.content
    said = content if isinstance(content, str) else _frozen(content)
    more: Any = None
    if isinstance(message, AIMessage):
        calls = [(c["id"], c["name"], _frozen(c["args"])) for c in message.tool_calls]
        bad = _frozen(message.invalid_tool_calls) if message.invalid_tool_calls else None
        legacy = message.additional_kwargs.get("function_call")
        more = tuple(calls), bad, _frozen(legacy)
    elif isinstance(message, ToolMessage):
        more = message.tool_call_id
    elif isinstance(message, ChatMessage):
        more = message.role
    return hash((type(message), message.name, said, more))


def _frozen(value: Any) -> Any:
    kind = type(value)
    if kind is str or value is None:
        return value
    if kind is dict:
        return tuple([(k, v if type(v) is str else _frozen(v)) for k, v in value.items()])
    if kind is list:
        return tuple([v if type(v) is str else _frozen(v) for v in value])
    return value if kind in (int, float, bool, bytes) else repr(value)


def count_with_attachments(message: Message, counter: TokenCounter) -> int:
    """Return the tokens of one of our messages, with attachments at what they cost."""
    extra = 0

    def light(part: Any) -> Any:
        nonlocal extra
        if isinstance(part, ToolResultPart) and any(
            isinstance(p, OpaquePart) for p in part.content
        ):
            return replace(part, content=tuple(light(p) for p in part.content))
        if not isinstance(part, OpaquePart):
            return part
        data, size = _without_blobs(part.data)
        extra += _cost(part.data, size)
        return OpaquePart(part.provider, data) if size else part

    content = tuple(light(part) for part in message.content)
    if any(new is not old for new, old in zip(content, message.content, strict=True)):
        message = replace(message, content=content)
    return counter.count(message) + extra


def _cost(data: Mapping[str, Any], size: int) -> int:
    """Return what an attachment of `size` bytes costs besides its description."""
    kind = f"{data.get('type')} {data.get('mime_type')} {data.get('media_type')}".lower()
    if "image" in kind:
        return IMAGE_TOKENS
    rate = next(rate for name, rate in BYTES_PER_TOKEN.items() if name in kind)
    return -int(-size // rate)


def _without_blobs(value: Any) -> tuple[Any, int]:
    """Return JSON without the base64 in it, and how many bytes that was."""
    if isinstance(value, Mapping):
        pairs = {key: _without_blobs(item) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, sum(n for _, n in pairs.values())
    if isinstance(value, list | tuple):
        items = [_without_blobs(item) for item in value]
        return [item for item, _ in items], sum(n for _, n in items)
    if isinstance(value, str) and len(value) >= BLOB:
        body = value.partition(";base64,")[2] if value.startswith("data:") else value
        if _BASE64.issuperset(body[:BLOB]) and _BASE64.issuperset(body[-BLOB:]):
            return "", len(body) * 3 // 4
    if isinstance(value, bytes):
        return "", len(value)
    return value, 0
