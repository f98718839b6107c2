"""Usage: what one model call consumed, read from any provider's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ctxplug.errors import InvalidValueError

_SHORT = "ephemeral_5m_input_tokens"
_LONG = "ephemeral_1h_input_tokens"


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call; each token is in one field only.

    `input_tokens` are those billed in full: neither read from the prompt cache
    (`cache_read_tokens`) nor written to it (`cache_write_tokens`, of which
    `cache_write_1h_tokens` live for an hour). `output_tokens` include thinking.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    model: str | None = None
    cache_write_1h_tokens: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name == "model":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidValueError(
                    f"{name} is a number of tokens, zero or more, not {value!r}.", path=name
                )
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise InvalidValueError(
                f"cache_write_1h_tokens is a part of cache_write_tokens, but"
                f" {self.cache_write_1h_tokens} is more than {self.cache_write_tokens}.",
                path="cache_write_1h_tokens",
            )

    @property
    def total_input(self) -> int:
        """All input tokens, however they were billed."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.total_input + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Return the sum; its model is the first one's."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.model,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
        )

    @classmethod
    def of(cls, source: Any, *, model: str | None = None) -> Usage:
        """Return the usage that `source` reports; `model` overrides the one it names.

        `source` is a Usage, or a dict or object of: Anthropic (`input_tokens` leaves cached
        tokens out), OpenAI chat and responses, LangChain's usage_metadata, Gemini (the
        input includes cached tokens), or a whole response that has one of these as `usage`
        or `usage_metadata`. Raises InvalidValueError for anything else.
        """
        if isinstance(source, Usage):
            return replace(source, model=model) if model else source
        for name in ("usage", "usage_metadata", "usageMetadata", "token_usage"):
            inner = _get(source, name)
            if inner is not None:
                return cls.of(inner, model=model or _model(source))
        for mark, read in _FORMS:
            if any(_get(source, name) is not None for name in mark):
                return replace(read(source), model=model or _model(source))
        raise InvalidValueError(
            f"A {type(source).__name__} reports no token usage that is known here:"
            f" {source!r:.120}. Give the provider's usage object, or"
            " Usage(input_tokens=..., output_tokens=...).",
            path="usage",
        )


def _openai_chat(source: Any) -> Usage:
    details = _get(source, "prompt_tokens_details")
    read = _int(details, "cached_tokens") or _int(source, "prompt_cache_hit_tokens")
    written = _int(details, "cache_write_tokens") or _int(details, "cache_creation_tokens")
    return _inclusive(
        _int(source, "prompt_tokens"), _int(source, "completion_tokens"), read, written
    )


def _openai_responses(source: Any) -> Usage:
    details = _get(source, "input_tokens_details")
    read, written = _int(details, "cached_tokens"), _int(details, "cache_write_tokens")
    return _inclusive(_int(source, "input_tokens"), _int(source, "output_tokens"), read, written)


def _langchain(source: Any) -> Usage:
    details = _get(source, "input_token_details")
    short, long = _int(details, _SHORT), _int(details, _LONG)
    # Where the two are given, langchain-anthropic sets cache_creation to zero.
    written = max(_int(details, "cache_creation"), short + long)
    whole, output = _int(source, "input_tokens"), _int(source, "output_tokens")
    return _inclusive(whole, output, _int(details, "cache_read"), written, long)


def _gemini(source: Any) -> Usage:
    def number(snake: str, camel: str) -> int:
        return _int(source, snake) or _int(source, camel)

    prompt = number("prompt_token_count", "promptTokenCount")
    results = number("tool_use_prompt_token_count", "toolUsePromptTokenCount")
    output = number("candidates_token_count", "candidatesTokenCount")
    thoughts = number("thoughts_token_count", "thoughtsTokenCount")
    cached = number("cached_content_token_count", "cachedContentTokenCount")
    return _inclusive(prompt + results, output + thoughts, cached, 0)


def _anthropic(source: Any) -> Usage:
    lives = _get(source, "cache_creation")
    long = _int(lives, _LONG)
    return Usage(
        input_tokens=_int(source, "input_tokens"),
        output_tokens=_int(source, "output_tokens"),
        cache_read_tokens=_int(source, "cache_read_input_tokens"),
        cache_write_tokens=max(
            _int(source, "cache_creation_input_tokens"), _int(lives, _SHORT) + long
        ),
        cache_write_1h_tokens=long,
    )


# By the names that only this form has, the more particular ones first.
_FORMS = (
    (("prompt_token_count", "promptTokenCount"), _gemini),
    (("prompt_tokens",), _openai_chat),
    (("input_tokens_details",), _openai_responses),
    (("input_token_details",), _langchain),
    (("input_tokens", "output_tokens"), _anthropic),
)


def _inclusive(whole: int, output: int, read: int, written: int, long: int = 0) -> Usage:
    """Return the usage where `whole` counts what was read from and written to the cache."""
    return Usage(max(0, whole - read - written), output, read, written, None, long)


def _get(source: Any, name: str) -> Any:
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def _int(source: Any, name: str) -> int:
    value = None if source is None else _get(source, name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValueError(f"{name} is a number of tokens, not {value!r:.60}.", path=name)
    return value


def _model(source: Any) -> str | None:
    metadata = _get(source, "response_metadata")
    names = [
        _get(source, name) for name in ("model", "model_version", "modelVersion", "model_name")
    ]
    names += [_get(metadata, name) for name in ("model_name", "model") if metadata is not None]
    return next((name for name in names if isinstance(name, str) and name), None)
