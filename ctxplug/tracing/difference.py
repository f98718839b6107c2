"""Difference: what of two windows is another, message by message and in tokens and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ctxplug.tokens.cache_meter import shared
from ctxplug.tracing.sent import Place, Sent


@dataclass(frozen=True, slots=True)
class Moved:
    """A message that stands otherwise in two windows; None where one does not have it at all."""

    id: str
    version: int
    role: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        return f"@{self.version} {self.role}: {self.before or 'absent'} -> {self.after or 'absent'}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What the input of a call costs where the provider caches prefixes.

    `read` tokens are read from the cache and `written` to it; `plain` is that in tokens of
    plain input, `dollars` its price, None where the model's is unknown.
    """

    read: int = 0
    written: int = 0
    plain: float = 0.0
    dollars: float | None = None

    def __add__(self, other: Cost) -> Cost:
        """Return the sum; what is unknown in one is unknown in it."""
        dollars = None
        if self.dollars is not None and other.dollars is not None:
            dollars = self.dollars + other.dollars
        return Cost(
            self.read + other.read, self.written + other.written, self.plain + other.plain, dollars
        )


@dataclass(frozen=True)
class Difference:
    """What `after` has otherwise than `before`.

    `entered` are messages that `before` said nothing of, `left` those that `after` says
    nothing of, and `changed` those that both have in different forms, the oldest first;
    `recalled_in` and `recalled_out` are records. `step` is the call's.
    """

    before: Sent
    after: Sent
    step: str | None = None
    costs: tuple[Cost, Cost] | None = None
    query: str | None = None

    @property
    def tokens(self) -> int:
        """How many tokens more `after` has."""
        return self.after.tokens - self.before.tokens

    @property
    def parts(self) -> dict[str, int]:
        """How many tokens more each part of it has, where that is not none."""
        names = dict.fromkeys((*self.before.parts, *self.after.parts))
        more = {n: self.after.parts.get(n, 0) - self.before.parts.get(n, 0) for n in names}
        return {name: count for name, count in more.items() if count}

    @property
    def compactions(self) -> int:
        """How many compactions more had been made."""
        return self.after.compactions - self.before.compactions

    @cached_property
    def moved(self) -> tuple[Moved, ...]:
        """All messages that stand otherwise, the oldest first."""
        return tuple(sorted(_moved(self.before.places, self.after.places), key=_by_version))

    @property
    def entered(self) -> tuple[Moved, ...]:
        """Messages that came in."""
        return tuple(m for m in self.moved if not _there(self.before, m))

    @property
    def left(self) -> tuple[Moved, ...]:
        """Messages that went out."""
        return tuple(m for m in self.moved if not _there(self.after, m))

    @property
    def changed(self) -> tuple[Moved, ...]:
        """Messages that are in both, in different forms."""
        both = (self.before, self.after)
        return tuple(m for m in self.moved if all(_there(one, m) for one in both))

    @property
    def recalled_in(self) -> tuple[str, ...]:
        """Ids of records that were recalled for `after` alone."""
        return tuple(id_ for id_ in self.after.recalled if id_ not in self.before.recalled)

    @property
    def recalled_out(self) -> tuple[str, ...]:
        """Ids of records that were recalled for `before` alone."""
        return tuple(id_ for id_ in self.before.recalled if id_ not in self.after.recalled)

    @cached_property
    def shared(self) -> int:
        """The tokens of their common beginning, which a cache that knows one has of the other."""
        if (self.before.front, self.before.tools) != (self.after.front, self.after.tools):
            return 0
        same = shared(self.before.prompt, self.after.prompt)
        return self.after.front + sum(one.tokens for one in self.after.prompt[:same])

    @property
    def same(self) -> bool:
        """Whether the model would have been sent the same."""
        return (
            self.before.error == self.after.error
            and self.before.tools == self.after.tools
            and len(self.before.prompt) == len(self.after.prompt)
            and shared(self.before.prompt, self.after.prompt) == len(self.after.prompt)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "step": self.step,
            "query": self.query,
            "same": self.same,
            "tokens": self.tokens,
            "parts": self.parts,
            "shared": self.shared,
            "compactions": self.compactions,
            "entered": [asdict(one) for one in self.entered],
            "left": [asdict(one) for one in self.left],
            "changed": [asdict(one) for one in self.changed],
            "recalled_in": list(self.recalled_in),
            "recalled_out": list(self.recalled_out),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "cost": [asdict(one) for one in self.costs] if self.costs else None,
        }

    def __str__(self) -> str:
        if self.same:
            return f"the same: {self.after.tokens:,} tokens"
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        before, after = self.before, self.after
        if before.error or after.error:
            yield f"{before.error or 'sent'} -> {after.error or 'sent'}"
        yield f"{before.tokens:,} -> {after.tokens:,} tokens ({self.tokens:+,})"
        yield from (f"  {name}: {count:+,}" for name, count in self.parts.items())
        for title, several in (
            ("entered", self.entered),
            ("left", self.left),
            ("changed", self.changed),
        ):
            yield from (f"{title} {one}" for one in several)
        yield from (f"recalled now: {id_}" for id_ in self.recalled_in)
        yield from (f"recalled no more: {id_}" for id_ in self.recalled_out)


def _moved(before: Mapping[str, Place], after: Mapping[str, Place]) -> Iterator[Moved]:
    for id_ in dict.fromkeys((*before, *after)):
        old, new = before.get(id_), after.get(id_)
        known = new or old
        if known is None or (old and new and old.form == new.form):
            continue
        if not (old and old.there) and not (new and new.there):
            continue
        forms = old.form if old else None, new.form if new else None
        yield Moved(id_, known.version, known.role, *forms)


def _there(one: Sent, moved: Moved) -> bool:
    place = one.places.get(moved.id)
    return place is not None and place.there


def _by_version(moved: Moved) -> tuple[int, str]:
    return moved.version, moved.id
