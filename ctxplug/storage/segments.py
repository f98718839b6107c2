"""Segments: runs of entries or records, compressed with zlib, and what is in each.

A segment is two lines of JSON for each item: what is known about it, and its body as it
was stored, byte for byte. Its terms are kept apart, so that a search opens only segments
that hold one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ctxplug import codec
from ctxplug.errors import CorruptStoreError, InvalidValueError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import Entry, Stream, entry_record
from ctxplug.times import to_datetime

ITEMS = 256  # in a segment: enough to compress well, few enough to open one for one entry
LEVEL = 6


@dataclass(frozen=True, slots=True)
class Use:
    """How an item was searchable and used: `terms` is None for what no search found."""

    terms: str | None
    traits: int = 0
    access_count: int = 0
    last_accessed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An archived entry with the record it was found by, if any, or (version 0) a record."""

    body: bytes
    created_at: datetime
    version: int = 0
    kind: str = ""
    agent: str | None = None
    pinned: bool = False
    use: Use | None = None

    def entry(self, stream: Stream) -> Entry:
        """Return the entry, which is of `stream`."""
        body = codec.decode(self.body)
        return Entry(
            stream, self.version, self.kind, body, self.created_at, self.agent, self.pinned
        )

    def record(self, namespace: Namespace, session: str | None) -> MemoryRecord:
        """Return the record that it was found by, with what was counted on it."""
        if not self.version or session is None:
            return MemoryRecord.from_dict(codec.decode(self.body))
        record = entry_record(self.entry(Stream(namespace, session)))
        if self.use is None:
            return record
        return record.evolve(
            access_count=self.use.access_count, last_accessed=self.use.last_accessed
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """Compressed items; `size` is that of their bodies and terms before."""

    first: int
    last: int
    items: int
    records: int
    pinned: int
    kinds: tuple[str, ...]
    size: int
    words: bytes
    data: bytes

    @property
    def nbytes(self) -> int:
        """How many bytes it takes."""
        return len(self.words) + len(self.data)

    def wanted(
        self, after: int, before: int | None, kinds: Sequence[str] | None, pinned: bool | None
    ) -> bool:
        """Say whether entries of that kind may be in it."""
        return (
            self.last > after
            and (before is None or self.first < before)
            and (kinds is None or not set(kinds).isdisjoint(self.kinds))
            and (pinned is None or (self.pinned > 0 if pinned else self.pinned < self.items))
        )


def packed(items: Sequence[Item]) -> Segment:
    """Return the segment that holds `items`."""
    lines, words = list[bytes](), set[str]()
    size = records = 0
    for item in items:
        terms = (item.use.terms or "") if item.use else ""
        words.update(terms.split())
        size += len(item.body) + len(terms.encode("utf-8", "surrogatepass"))
        records += item.use is not None
        lines += (_head(item), item.body)
    return Segment(
        first=items[0].version,
        last=items[-1].version,
        items=len(items),
        records=records,
        pinned=sum(item.pinned for item in items),
        kinds=tuple(sorted({item.kind for item in items})),
        size=size,
        words=_compressed(" ".join(sorted(words)).encode("utf-8", "surrogatepass")),
        data=_compressed(b"\n".join(lines)),
    )


def packed_all(items: Sequence[Item]) -> Iterator[Segment]:
    """Yield the segments that hold `items`, in order."""
    for start in range(0, len(items), ITEMS):
        yield packed(items[start : start + ITEMS])


def unpacked(data: bytes) -> list[Item]:
    """Return the items of a segment; raise CorruptStoreError if it is damaged."""
    lines = _expanded(data).split(b"\n")
    try:
        return [_item(*pair) for pair in zip(lines[::2], lines[1::2], strict=True)]
    except (InvalidValueError, TypeError, ValueError) as exc:
        raise CorruptStoreError(f"A segment of the archive is damaged: {exc}.") from exc


def words_in(words: bytes) -> set[str]:
    """Return the terms of a segment; raise CorruptStoreError if they are damaged."""
    return set(_expanded(words).decode("utf-8", "surrogatepass").split(" "))


def holds_any(words: bytes, wanted: frozenset[str]) -> bool:
    """Say whether one of the `wanted` terms is among a segment's `words`."""
    held = b" %b " % _expanded(words)  # looked through as it is: a set of them costs more
    return any(b" %b " % term.encode("utf-8", "surrogatepass") in held for term in wanted)


def is_hit(item: Item, wanted: frozenset[str] | None) -> bool:
    """Say whether `item` was found by a record that holds one of the `wanted` terms."""
    if item.use is None or wanted is None:
        return item.use is not None
    return not wanted.isdisjoint((item.use.terms or "").split())


def without(items: Iterable[Item], id: str, session: str | None) -> list[Item]:
    """Return `items` without the record `id`; of an entry, only its record goes."""
    if session is None:
        return [item for item in items if codec.decode(item.body)["id"] != id]
    return [
        replace(item, use=None) if f"{session}@{item.version}" == id else item for item in items
    ]


def place_of(id: str) -> tuple[str, int]:
    """Return the session and version that the id of a view of an entry tells, else version 0."""
    session, _, version = id.rpartition("@")
    plain = version.isascii() and version.isdecimal() and len(version) < 11
    return session, int(version) if plain and f"{int(version)}" == version else 0


def _expanded(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error as exc:
        raise CorruptStoreError(f"A segment of the archive is damaged: {exc}.") from exc


def _compressed(data: bytes) -> bytes:
    return zlib.compress(data, LEVEL)


def _head(item: Item) -> bytes:
    use = item.use and [
        item.use.terms,
        item.use.traits,
        item.use.access_count,
        item.use.last_accessed and item.use.last_accessed.isoformat(),
    ]
    at = item.created_at.isoformat()
    return codec.encode([item.version, item.kind, at, item.agent, item.pinned, use])


def _item(head: bytes, body: bytes) -> Item:
    version, kind, at, agent, pinned, used = codec.decode(head)
    use = None
    if used is not None:
        terms, traits, count, last = used
        use = Use(terms, traits, count, last and to_datetime(last))
    return Item(body, to_datetime(at), version, kind, agent, pinned, use)
