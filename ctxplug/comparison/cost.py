"""What a series of requests costs where the provider caches prefixes.

A request's longest common prefix with the one before it is read from the cache, the rest
is written to it: 0.1 and 1.25 of a plain input token (Anthropic's prices for the five
minute cache). All requests are taken to follow within the cache's life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxplug.messages import Logged

READ = 0.1
WRITE = 1.25


@dataclass
class CacheMeter:
    """Sums over requests; tokens."""

    calls: int = 0
    read: int = 0
    written: int = 0
    rewritten: int = 0
    extra: float = 0.0  # what the policy spent besides, in plain input tokens
    _last: Sequence[Logged] = field(default=(), repr=False)

    def request(self, messages: Sequence[Logged]) -> None:
        """Count one request, given as its messages with their tokens, system first."""
        same = 0
        for old, new in zip(self._last, messages, strict=False):
            if old is not new and old.message.content != new.message.content:
                break
            same += 1
        self.calls += 1
        self.read += sum(m.tokens for m in messages[:same])
        self.written += sum(m.tokens for m in messages[same:])
        self.rewritten += sum(m.tokens for m in self._last[same:])
        self._last = messages

    @property
    def tokens(self) -> int:
        """All input tokens."""
        return self.read + self.written

    @property
    def cost(self) -> float:
        """The effective input cost, in plain input tokens."""
        return READ * self.read + WRITE * self.written + self.extra

    @property
    def hit_share(self) -> float:
        """The share of input that was read from the cache, 0.0 to 1.0."""
        return self.read / self.tokens if self.tokens else 0.0
