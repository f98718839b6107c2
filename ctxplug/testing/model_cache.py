"""The prompt cache of the model server, and how it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ctxplug import anthropic_format, codec
from ctxplug.context.validity.anthropic_turns import blocks_of, merged
from ctxplug.testing.model_thinking import bare
from ctxplug.tokens.counter import CALL_TOKENS, MESSAGE_TOKENS, TokenCounter
from ctxplug.tokens.estimate import estimate

LOOK_BACK = 20  # blocks before a mark in which the API looks for what it has


@dataclass(frozen=True, slots=True)
class Counted:
    """The input tokens of a request, as its usage tells them apart."""

    input: int
    read: int = 0
    written: int = 0
    written_1h: int = 0

    @property
    def total(self) -> int:
        """All input tokens."""
        return self.input + self.read + self.written

    def usage(self, output: int) -> dict[str, Any]:
        """Return the API's `usage`."""
        short = self.written - self.written_1h
        return {
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.written,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": short,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
            "output_tokens": output,
            "service_tier": "standard",
        }


@dataclass(slots=True)
class PromptCache:
    """What has been written to the cache; nothing expires while the server lives."""

    minimum: int = 1024
    _known: set[str] = field(default_factory=set)

    def count(self, body: Mapping[str, Any], *, write: bool = True) -> Counted:
        """Return the tokens of `body`, and remember the prefixes that its marks end."""
        steps = list(_steps(body))
        whole = _ttl(body)  # a mark on the request itself stands for one on its last block
        if steps and whole:
            steps[-1] = replace(steps[-1], ttl=steps[-1].ttl or whole)
        marked = [i for i, step in enumerate(steps) if step.ttl]
        total = steps[-1].total if steps else 0
        near = {i for mark in marked for i in range(max(0, mark - LOOK_BACK), mark + 1)}
        read = max((steps[i].total for i in near if steps[i].digest in self._known), default=0)
        new = [steps[i] for i in marked if steps[i].total >= max(self.minimum, read + 1)]
        written = new[-1].total - read if new else 0
        # A longer time to live stands before a shorter one, as the API wants it.
        long = max((step.total for step in new if step.ttl == "1h"), default=read) - read
        if write:
            self._known.update(step.digest for step in new)
        return Counted(total - read - written, read, written, long)


def count_content(content: list[dict[str, Any]]) -> int:
    """Return the output tokens of an answer's blocks."""
    return sum(_block_tokens("assistant", codec.canonical(block)) for block in content)


@dataclass(frozen=True, slots=True)
class _Step:
    digest: str
    total: int
    ttl: str | None


def _steps(body: Mapping[str, Any]) -> Iterator[_Step]:
    """Yield the request block by block in the order of the cache: tools, system, messages."""
    running = hashlib.sha256(codec.canonical(body.get("model")))
    total = _counter().request_tokens
    for role, first, block in _blocks(body):
        data = codec.canonical(bare(block))
        running.update(role.encode() + b"\n" + data)
        if role == "tool":
            total += CALL_TOKENS + _text_tokens(data)
        else:
            total += _block_tokens(role, data) + (MESSAGE_TOKENS if first else 0)
        yield _Step(running.hexdigest(), total, _ttl(block))


def _ttl(data: Mapping[str, Any]) -> str | None:
    mark = data.get("cache_control")
    return str(mark.get("ttl") or "5m") if isinstance(mark, Mapping) else None


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, bool, Mapping[str, Any]]]:
    for tool in body.get("tools") or ():
        yield "tool", False, tool
    for i, (_, block) in enumerate(blocks_of(body.get("system"), "system")):
        yield "system", i == 0, block
    for turn in merged(body.get("messages") or ()):
        for i, (_, block) in enumerate(turn.blocks):
            yield str(turn.role), i == 0, block


@lru_cache(maxsize=50_000)
def _block_tokens(role: str, data: bytes) -> int:
    messages = anthropic_format.from_dict({"role": role, "content": [codec.decode(data)]})
    return sum(_counter().count(message) - MESSAGE_TOKENS for message in messages)


@lru_cache(maxsize=10_000)
def _text_tokens(data: bytes) -> int:
    return _counter().count_text(data.decode("utf-8", "surrogatepass"))


@lru_cache(maxsize=1)
def _counter() -> TokenCounter:
    return estimate("claude")
