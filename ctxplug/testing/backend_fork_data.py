"""What the laws of forks write, and the lists that they should read as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ctxplug.errors import ConflictError
from ctxplug.scope import Namespace
from ctxplug.storage import Append, ArchiveLog, Fork, Op, Stream, Unarchive
from ctxplug.testing.backend_data import fresh_namespace, note

NAMES = ["a", "b", "c", "d@2"]
LENGTH = 40
_names = st.sampled_from(NAMES)
_steps = st.one_of(
    st.tuples(st.just("append"), _names, st.sampled_from("pq"), st.booleans()),
    st.tuples(st.just("append"), _names, st.sampled_from("pq"), st.booleans()),
    st.tuples(st.just("fork"), _names, _names, st.integers(1, 6)),
    st.tuples(st.just("archive"), _names, st.integers(0, 9)),
    st.tuples(st.just("unarchive"), _names, st.none() | st.integers(0, 4)),
)


@st.composite
def forests(draw: st.DrawFn) -> tuple[Namespace, list[Any]]:
    """Draw a namespace of its own, and what to do to its sessions."""
    first = [("append", "a", "p", False)] * draw(st.integers(0, 4))
    return fresh_namespace(), [*first, *draw(st.lists(_steps, max_size=16))]


def reads() -> st.SearchStrategy[dict[str, Any]]:
    """Draw options of `read`."""
    return st.fixed_dictionaries(
        {
            "after": st.integers(-2, 10),
            "before": st.none() | st.integers(-2, 12) | st.just(2**40),
            "limit": st.none() | st.integers(-1, 8),
            "newest_first": st.booleans(),
            "kinds": st.none() | st.lists(st.sampled_from("pqr"), max_size=2),
            "pinned": st.none() | st.booleans(),
        }
    )


@dataclass
class Logs:
    """Sessions as plain lists of (number, kind, pinned); a fork begins with a copy."""

    namespace: Namespace
    drawn: list[Any]
    archives: bool
    lists: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in NAMES})
    parents: dict[str, tuple[str, int]] = field(default_factory=dict)
    archived: dict[str, int] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def steps(self) -> Iterator[tuple[Op, Any]]:
        """Yield each operation with what it should return, or raise, and do the same here."""
        for number, (what, name, *rest) in enumerate(self.drawn):
            if self.archives or what in ("append", "fork"):
                yield getattr(self, f"_{what}")(number, name, *rest)

    def told(self) -> list[Any]:
        """Return what `sessions` should tell."""
        return [
            (name, len(self.lists[name]), *self._parent(name), self.archived.get(name, 0))
            for name in self.begun
        ]

    def lineage(self, name: str) -> list[tuple[str, int]]:
        """Return what `lineage` should tell."""
        line = [(name, len(self.lists[name]))]
        parent, upto = self._parent(name)
        while parent is not None:
            above, forked = self._parent(parent)
            if upto > forked:
                line.append((parent, upto))
            parent, upto = above, min(upto, forked)
        return line[::-1]

    def read(
        self,
        name: str,
        *,
        after: int,
        before: int | None,
        limit: int | None,
        newest_first: bool,
        kinds: Sequence[str] | None,
        pinned: bool | None,
    ) -> list[Any]:
        """Return what `read` should, as (version, kind, pinned, number)."""
        found = [
            (version, kind, pin, number)
            for version, (number, kind, pin) in enumerate(self.lists[name], 1)
            if version > after
            and (before is None or version < before)
            and (kinds is None or kind in kinds)
            and (pinned is None or pin == pinned)
        ]
        return found[:: -1 if newest_first else 1][: None if limit is None else max(0, limit)]

    def _parent(self, name: str) -> tuple[str | None, int]:
        return self.parents.get(name, (None, 0))

    def _append(self, number: int, name: str, kind: str, pinned: bool) -> tuple[Append, int]:
        if not self.lists[name]:
            self.begun.append(name)
        self.lists[name].append((number, kind, pinned))
        op = note(number, Stream(self.namespace, name), kind=kind, pinned=pinned)
        return op, len(self.lists[name])

    def _fork(self, _: int, name: str, parent: str, upto: int) -> tuple[Fork, Any]:
        op = Fork(Stream(self.namespace, name), parent, upto)
        own, length = len(self.lists[name]), len(self.lists[parent])
        if own:
            return op, ConflictError("", expected=0, found=own)
        if length < upto:
            return op, ConflictError("", expected=upto, found=length)
        self.begun.append(name)
        self.lists[name] = self.lists[parent][:upto]
        self.parents[name] = parent, upto
        return op, upto

    def _archive(self, _: int, name: str, through: int) -> tuple[ArchiveLog, int]:
        told = self.archived.get(name, 0)
        done, last = told or self._parent(name)[1], min(through, len(self.lists[name]))
        if last > done:
            self.archived[name] = last
        op = ArchiveLog(Stream(self.namespace, name), through, {}, told)
        return op, max(0, last - done)

    def _unarchive(self, _: int, name: str, most: int | None) -> tuple[Unarchive, int]:
        own = self.archived.pop(name, 0) - self._parent(name)[1]
        back = max(0, own if most is None else min(own, most))
        if own > back:
            self.archived[name] = self._parent(name)[1] + own - back
        return Unarchive(self.namespace, name, most=most), back
