"""What a series of requests costs where the provider caches prefixes.

A request's longest common prefix with the one before it is read from the cache, the rest
is written to it: 0.1 and 1.25 of a plain input token (Anthropic's prices for the five
minute cache), unless other ratios are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctxplug.messages import Logged
from ctxplug.tokens.prices import CACHE_READ, CACHE_WRITE, CacheRatios


@dataclass
class CacheMeter:
    """Sums over requests; tokens."""

    calls: int = 0
    read: int = 0
    written: int = 0
    rewritten: int = 0
    extra: float = 0.0  # what the policy spent besides, in plain input tokens
    ratios: CacheRatios = field(default_factory=lambda: CacheRatios(CACHE_READ, CACHE_WRITE))
    _last: Sequence[Logged] = field(default=(), repr=False)
    _front: tuple[int, object] = field(default=(0, None), repr=False)

    def request(
        self,
        messages: Sequence[Logged],
        *,
        front: int = 0,
        key: object = None,
        cold: bool = False,
    ) -> tuple[int, int]:
        """Count one request, given as its messages with their tokens, system first.

        `front` are the tokens of what stands before them, such as tools, and `key` tells one
        such from another. After a pause in which the cache has expired, it is `cold`. Returns
        the tokens that are read from the cache, and those written to it.
        """
        warm = self.calls > 0 and not cold and (front, key) == self._front
        same = shared(self._last, messages) if warm else 0
        read = sum(m.tokens for m in messages[:same]) + (front if warm else 0)
        written = sum(m.tokens for m in messages[same:]) + (0 if warm else front)
        self.calls += 1
        self.read += read
        self.written += written
        self.rewritten += sum(m.tokens for m in self._last[same:])
        self._last, self._front = messages, (front, key)
        return read, written

    @property
    def tokens(self) -> int:
        """All input tokens."""
        return self.read + self.written

    @property
    def cost(self) -> float:
        """The effective input cost, in plain input tokens."""
        return self.ratios.read * self.read + self.ratios.write * self.written + self.extra

    @property
    def hit_share(self) -> float:
        """The share of input that was read from the cache, 0.0 to 1.0."""
        return self.read / self.tokens if self.tokens else 0.0


def shared(before: Sequence[Logged], after: Sequence[Logged]) -> int:
    """Return how many messages two requests have in common from their beginning on."""
    same = 0
    for old, new in zip(before, after, strict=False):
        if old is not new and (
            old.message.role != new.message.role or old.message.content != new.message.content
        ):
            break
        same += 1
    return same
