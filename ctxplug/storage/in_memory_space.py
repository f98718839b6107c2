"""One namespace of the in-memory backend: its logs, records and archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from ctxplug import codec
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import Archived, ArchiveState, Entry, SessionInfo, Stream
from ctxplug.storage.in_memory_vectors import SpaceVectors
from ctxplug.storage.in_memory_words import SpaceWords
from ctxplug.storage.segments import Item, Segment, Use, holds_any, is_hit, place_of, unpacked

Line: TypeAlias = tuple[Entry, bytes]  # an entry without its body, which is kept encoded


@dataclass
class Log:
    """One stream: the `segments` hold its entries up to version `archived`, `entries` the rest.

    Those of a fork up to version `forked` are the `parent`'s.
    """

    number: int
    created_at: datetime
    updated_at: datetime
    parent: str | None = None
    forked: int = 0
    entries: list[Line] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    @property
    def archived(self) -> int:
        """The version up to which entries are in segments, or the parent's."""
        return self.segments[-1].last if self.segments else self.forked

    @property
    def version(self) -> int:
        """The newest version."""
        return self.archived + len(self.entries)

    def info(self, session: str) -> SessionInfo:
        """Return what is told of it."""
        shelved = self.archived if self.segments else 0
        times = self.created_at, self.updated_at
        return SessionInfo(session, self.version, *times, shelved, self.parent, self.forked)

    def read(
        self,
        stream: Stream,
        after: int = 0,
        before: int | None = None,
        newest_first: bool = False,
        kinds: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> Iterator[Line]:
        """Yield those of its own entries that are asked for, from either end."""
        old = (s for s in self.segments if s.wanted(after, before, kinds, pinned))
        runs: Iterable[Segment | list[Line]] = [*old, self.entries]
        for run in reversed(list(runs)) if newest_first else runs:
            lines = (
                archived_lines(stream, run) if isinstance(run, Segment) else self._in(after, before)
            )
            for line in reversed(lines) if newest_first else lines:
                entry = line[0]
                if (
                    entry.version > after
                    and (before is None or entry.version < before)
                    and (kinds is None or entry.kind in kinds)
                    and (pinned is None or entry.pinned == pinned)
                ):
                    yield line

    def _in(self, after: int, before: int | None) -> list[Line]:
        """Return the entries of these versions, without a look at the others."""
        end = None if before is None else max(0, before - 1 - self.archived)
        return self.entries[max(0, after - self.archived) : end]


@dataclass(frozen=True)
class Row:
    """A record with its words, None if it is not searchable."""

    record: MemoryRecord
    words: Counter[str] | None
    traits: int = 0


@dataclass
class Space:
    """One namespace: its logs, `begun` of them in all, and its records, in order of arrival."""

    begun: int = 0
    logs: dict[str, Log] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)  # of records
    archived_ids: set[str] = field(default_factory=set)  # of those
    vectors: SpaceVectors | None = None
    words: SpaceWords = field(default_factory=SpaceWords)

    @property
    def in_use(self) -> bool:
        """Whether it holds anything."""
        return bool(self.logs or self.rows or self.segments)

    def log(self, session: str, at: datetime) -> Log:
        """Return the log of a session, which begins now if there is none."""
        if session not in self.logs:
            self.begun += 1
            self.logs[session] = Log(self.begun, at, at)
        return self.logs[session]

    def put(self, row: Row, place: int | None = None) -> None:
        """Store `row`; a view of an entry has its `place`."""
        self.remove(row.record.id)
        self.rows[row.record.id] = row
        if row.words is not None:
            self.words.put(row.record.id, row.words, place)

    def remove(self, id: str) -> int:
        """Take the record `id` out, wherever it is; say whether it was there."""
        return self.take(id) or self._remove_archived(id)

    def take(self, id: str) -> int:
        """Take the record `id` out of what is searched; say whether it was there."""
        self.words.drop(id)
        if self.vectors is not None:
            self.vectors.drop(id)
        return int(self.rows.pop(id, None) is not None)

    def is_view(self, id: str) -> bool:
        """Say whether the record `id`, which is not archived, is a view of an entry."""
        return self.rows[id].words is not None and self.words.place(id) > 0

    def read(
        self, stream: Stream, after: int, before: int | None, newest_first: bool, **which: Any
    ) -> Iterator[Line]:
        """Return the entries of `stream` that are asked for, those of its past too."""
        log = self.logs[stream.session]
        if log.parent is None:
            return log.read(stream, after, before, newest_first, **which)
        return self._read_past(stream, after, before, newest_first, **which)

    def _read_past(
        self, stream: Stream, after: int, before: int | None, newest_first: bool, **which: Any
    ) -> Iterator[Line]:
        parts = self.lineage(stream.session)
        for session, last in reversed(parts) if newest_first else parts:
            log = self.logs[session]
            end = last + 1 if before is None else min(before, last + 1)
            if log.forked < end - 1 and after < last:
                yield from log.read(stream, after, end, newest_first, **which)

    def lineage(self, session: str) -> list[tuple[str, int]]:
        """Return the sessions that a log reads, oldest first, with the last version of each."""
        log = self.logs.get(session)
        parts = [(session, log.version if log else 0)]
        while log is not None and log.parent is not None:
            upto, session, log = log.forked, log.parent, self.logs[log.parent]
            while upto <= log.forked and log.parent is not None:
                session, log = log.parent, self.logs[log.parent]
            parts.append((session, upto))
        return parts[::-1]

    def own_entries(self, stream: Stream) -> Iterator[Entry]:
        """Yield every entry of `stream` that is its own."""
        for entry, body in self.logs[stream.session].read(stream):
            yield replace(entry, body=codec.decode(body))

    def own_records(self, namespace: Namespace) -> Iterator[MemoryRecord]:
        """Yield the records that are no view of an entry, archived ones too."""
        yield from (row.record for id, row in self.rows.items() if not self.is_view(id))
        for segment in self.segments:
            yield from (item.record(namespace, None) for item in unpacked(segment.data))

    def archived(
        self,
        namespace: Namespace,
        wanted: frozenset[str] | None,
        ids: Sequence[str] | None = None,
    ) -> Iterator[Archived]:
        """Yield archived records, those with any of the `wanted` terms, and of `ids`, if given.

        Records of other ids may be among them.
        """
        places = None if ids is None else [place_of(id) for id in ids]
        own = ids is None or not self.archived_ids.isdisjoint(ids)
        for session, segment in self._all_segments():
            if session is None and not own:
                continue
            if (
                places is not None
                and session is not None
                and not any(
                    name == session and segment.first <= version <= segment.last
                    for name, version in places
                )
            ):
                continue
            if wanted is None or holds_any(segment.words, wanted):
                items = (item for item in unpacked(segment.data) if is_hit(item, wanted))
                yield from (archived_of(item, namespace, session) for item in items)

    def archive_state(self) -> ArchiveState:
        """Return how much is archived."""
        every = [segment for _, segment in self._all_segments()]
        return ArchiveState(
            entries=sum(log.archived - log.forked for log in self.logs.values()),
            records=sum(segment.items for segment in self.segments),
            segments=len(every),
            size=sum(segment.size for segment in every),
            nbytes=sum(segment.nbytes for segment in every),
        )

    def _all_segments(self) -> Iterator[tuple[str | None, Segment]]:
        for session, log in self.logs.items():
            yield from ((session, segment) for segment in log.segments)
        yield from ((None, segment) for segment in self.segments)

    def _remove_archived(self, id: str) -> int:
        from ctxplug.storage.in_memory_archive import remove

        return remove(self, id)


Spaces: TypeAlias = dict[Namespace, Space]
Step: TypeAlias = Callable[[Spaces], int]


def space_of(spaces: Spaces, namespace: Namespace) -> Space:
    """Return the space of `namespace`, an empty one if there is none."""
    return spaces.get(namespace) or Space()


def words_of(terms: str | None) -> Counter[str] | None:
    """Return how often each term occurs."""
    return None if terms is None else Counter(terms.split())


def archived_lines(stream: Stream, segment: Segment) -> list[Line]:
    """Return the entries in a segment."""
    return [archived_line(stream, item) for item in unpacked(segment.data)]


def archived_line(stream: Stream, item: Item) -> Line:
    """Return the entry that an item is."""
    at = item.created_at
    return Entry(stream, item.version, item.kind, {}, at, item.agent, item.pinned), item.body


def archived_of(item: Item, namespace: Namespace, session: str | None) -> Archived:
    """Return the record that `item` was found by."""
    record = item.record(namespace, session)
    use = item.use or Use(None)
    return Archived(record, use.terms, use.traits)
