"""Which messages of a log are in view: all of them, until a KEPT entry names some.

An edit of a conversation (a message removed or replaced, a return to an earlier state) is
an entry of the log like any other. The newest one decides: of what stands before it only
the versions in its runs are in view, and all of what follows. Nothing leaves the log. One
that returns to a version tells of it as `restored`; its runs are what was in view there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias

from ctxplug.storage.backend import Backend, Entry, Stream

KEPT = "kept"
CHUNK = 1024

Run: TypeAlias = Sequence[int]  # [first version, last version]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in view of a log: `runs` of what stands before `version`, and all behind it.

    After a return to an earlier version, `restored` is that one; else it is 0.
    """

    version: int = 0
    runs: tuple[Run, ...] = ()
    note: Mapping[str, Any] = field(default_factory=dict)
    restored: int = 0

    @classmethod
    def of(cls, entry: Entry) -> Kept:
        """Read a KEPT entry."""
        runs = tuple((first, last) for first, last in entry.body["runs"])
        restored = entry.body.get("restored", 0)
        return cls(entry.version, runs, entry.body.get("note", {}), restored)

    def holds(self, version: int) -> bool:
        """Say whether `version` is in view."""
        if version > self.version:
            return True
        place = bisect_right(self.runs, version, key=lambda run: run[0]) - 1
        return place >= 0 and version <= self.runs[place][1]

    def up_to(self, head: int) -> list[Run]:
        """Return the runs of all that is in view of a log that ends at `head`."""
        behind = [(self.version + 1, head)] if head > self.version else []
        return [*self.runs, *behind]

    def entries(
        self, backend: Backend, stream: Stream, *, kind: str, after: int = 0
    ) -> Iterator[Entry]:
        """Yield the entries of `kind` in view with a version above `after`, oldest first."""
        for first, last in _stretches(self.runs):
            at = max(after, first - 1)
            while at < last:
                found = backend.read(stream, after=at, before=last + 1, limit=CHUNK, kinds=[kind])
                yield from (entry for entry in found if self.holds(entry.version))
                at = found[-1].version if len(found) == CHUNK else last
        at = max(after, self.version)
        while found := backend.read(stream, after=at, limit=CHUNK, kinds=[kind]):
            yield from found
            if len(found) < CHUNK:
                return
            at = found[-1].version

    def newest(self, backend: Backend, stream: Stream, *, kind: str, count: int) -> list[Entry]:
        """Return the newest `count` entries of `kind` in view, oldest first."""
        found: list[Entry] = []
        for first, last in reversed([*_stretches(self.runs), (self.version + 1, None)]):
            before = None if last is None else last + 1
            while missing := count - len(found):
                page = backend.read(
                    stream,
                    after=first - 1,
                    before=before,
                    limit=missing,
                    newest_first=True,
                    kinds=[kind],
                )
                found += [entry for entry in page if self.holds(entry.version)]
                if len(page) < missing:
                    break
                before = page[-1].version
        return found[::-1]


def newest_kept(
    backend: Backend, stream: Stream, *, after: int = 0, before: int | None = None
) -> Kept | None:
    """Return what the newest KEPT entry above `after` says, None if there is none.

    With `before`, the newest below that version.
    """
    entries = backend.read(
        stream, after=after, before=before, kinds=[KEPT], pinned=True, newest_first=True, limit=1
    )
    return Kept.of(entries[0]) if entries else None


def to_runs(versions: Sequence[int]) -> list[list[int]]:
    """Return ascending `versions` as [first, last] runs, in time that grows with the runs."""
    runs, start = [], 0
    while start < len(versions):
        first = versions[start]
        after = bisect_right(
            range(len(versions)), first - start, start, key=lambda i: versions[i] - i
        )
        runs.append([first, versions[after - 1]])
        start = after
    return runs


def from_runs(runs: Iterable[Run]) -> Iterable[int]:
    """Yield the versions of `runs`."""
    return chain.from_iterable(range(first, last + 1) for first, last in runs)


def without(runs: Sequence[Run], others: Sequence[Run]) -> list[Run]:
    """Return what `runs` hold beyond `others`; both ascend, and so does what is returned."""
    left: list[Run] = []
    place = 0
    for first, last in runs:
        while place < len(others) and others[place][1] < first:
            place += 1
        at = place
        while at < len(others) and others[at][0] <= last:
            if others[at][0] > first:
                left.append((first, others[at][0] - 1))
            first = others[at][1] + 1
            at += 1
        if first <= last:
            left.append((first, last))
    return left


def _stretches(runs: Sequence[Run]) -> list[tuple[int, int]]:
    """Join runs that lie close together: what is read between them costs less than a query."""
    joined: list[tuple[int, int]] = []
    for first, last in runs:
        if joined and first - joined[-1][1] <= CHUNK:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return joined
