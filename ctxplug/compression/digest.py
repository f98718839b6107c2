"""The strategy "digest": a chain of digests in place of the oldest units.

The oldest units become one digest of a bounded size: telegraphic lines, each with its
version and speaker, chosen by salience and word coverage. When more than `fan` digests of
one level stand side by side they become one of the next level; and whenever the chain
exceeds its share of the target, its two oldest digests become one, about as large as one of
them. So the number of digests grows with the logarithm of the history, their text never
exceeds its share, and `sources` still names every version. Lines are only ever left out or
shortened, never rephrased, so a digest of digests says nothing that was not said, and what
is kept longest is what says most, not what is newest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from ctxplug.compression import lines
from ctxplug.compression.strategy import CompressionTools, Unit, merged, total
from ctxplug.errors import InvalidValueError

LEVEL = "digest_level"  # in the metadata of a digest's message
LEAST = 160  # tokens; a smaller digest would be mostly its own frame


class Digest:
    """Put digests in place of the oldest units, as few as reach the target.

    `share` of the tokens of what it replaces is what a new digest may have; the chain may
    take `chain` of the target, the rest being for newer units as they are. `telegraphic`
    False keeps whole sentences. Raises InvalidValueError for values out of range.
    """

    name = "digest"

    def __init__(
        self,
        *,
        share: float = 0.3,
        chain: float = 0.9,
        fan: int = 4,
        telegraphic: bool = True,
    ) -> None:
        if not (0 < share < 1 and 0 < chain <= 1 and fan >= 2):
            raise InvalidValueError(
                f"A digest needs 0 < share < 1, 0 < chain <= 1, fan >= 2, not"
                f" share={share!r}, chain={chain!r}, fan={fan!r}."
            )
        self.share = share
        self.chain = chain
        self.fan = fan
        self.telegraphic = telegraphic

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Return `units` with a chain of digests for the oldest; see the law (strategy.py)."""
        if total(units) <= target:
            return tuple(units)
        count = next((i for i, u in enumerate(units) if u.form != self.name), len(units))
        chain, rest = list(units[:count]), list(units[count:])
        allowed = max(int(self.chain * target), LEAST)
        taken = self._oldest(rest, total(chain), target, allowed)
        if taken:
            chain, rest = self._extended(chain, taken, rest, allowed, tools)
        chain = self._by_level(chain, allowed, tools)
        chain = self._within(chain, allowed, tools)
        return (*chain, *rest)

    def _extended(
        self,
        chain: list[Unit],
        taken: Sequence[Unit],
        rest: list[Unit],
        allowed: int,
        tools: CompressionTools,
    ) -> tuple[list[Unit], list[Unit]]:
        """Return the chain with a digest of `taken` at its end, and the rest without them."""
        size = max(int(self.share * total(taken)), LEAST)
        level = max(map(digest_level, taken)) or 1
        if len(chain) == 1 and total(chain) + size > allowed:  # they would be merged anyway
            new = self._digest([*chain, *taken], allowed, max(digest_level(chain[0]), 2), tools)
            return ([new], rest[len(taken) :]) if new else (chain, rest)
        size = min(size, max(allowed // 2, allowed - total(chain)))
        new = self._digest(taken, size, level, tools)
        return ([*chain, new], rest[len(taken) :]) if new else (chain, rest)

    def _oldest(
        self, rest: Sequence[Unit], chain: int, target: int, allowed: int
    ) -> Sequence[Unit]:
        """Return the fewest oldest units whose digest would reach the target, or all."""
        left, taken = total(rest), 0
        for n, unit in enumerate(rest):
            if left + min(allowed, chain + int(self.share * taken)) <= target:
                return rest[:n]
            left -= unit.tokens
            taken += unit.tokens
        return rest

    def _by_level(self, chain: list[Unit], allowed: int, tools: CompressionTools) -> list[Unit]:
        """Merge digests of one level while more than `fan` of them stand side by side."""
        while True:
            start = 0
            for level, group in groupby(chain, digest_level):
                run = list(group)
                if len(run) > self.fan:
                    room = allowed - total(chain) + total(run)
                    size = max(room, *(unit.tokens for unit in run))
                    new = self._digest(run, size, level + 1, tools)
                    if new is None:
                        return chain
                    chain = [*chain[:start], new, *chain[start + len(run) :]]
                    break
                start += len(run)
            else:
                return chain

    def _within(self, chain: list[Unit], allowed: int, tools: CompressionTools) -> list[Unit]:
        """Merge the two oldest digests, or shrink the only one, until the chain fits."""
        while chain and total(chain) > allowed:
            pair = chain[:2]
            others = total(chain[2:])
            size = max(max(unit.tokens for unit in pair), allowed - others)
            older, newer = map(digest_level, (pair[0], pair[-1]))
            level = older + 1 if older == newer and len(pair) == 2 else max(older, newer)
            new = self._digest(pair, min(size, allowed), level, tools)
            if new is None:
                return chain
            chain = [new, *chain[2:]]
        return chain

    def _digest(
        self, units: Sequence[Unit], size: int, level: int, tools: CompressionTools
    ) -> Unit | None:
        """Return one digest of at most `size` tokens, or None if it would save nothing."""
        size = min(size, total(units) - 1)
        empty = merged(units, self.name, "", tools.counter)
        frame = empty.tokens  # what a message costs besides its text
        text = lines.extract(
            units, tools.ref(empty), size - frame, tools.counter, reduce=self.telegraphic
        )
        if text is None:
            return None
        unit = merged(units, self.name, text, tools.counter)
        (item,) = unit.items
        message = replace(item.message, metadata={LEVEL: level})
        return replace(unit, items=(replace(item, message=message),))


def digest_level(unit: Unit) -> int:
    """Return the level of a digest, 1 or more; 0 for any other unit."""
    if unit.form != Digest.name:
        return 0
    level = unit.items[0].message.metadata.get(LEVEL)
    return level if isinstance(level, int) else 1
