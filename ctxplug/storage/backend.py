"""The law of memory backends.

A backend holds, per namespace, **streams** (the log of one session: entries with gapless
versions 1, 2, 3, ..., immutable) and **records** (documents by id, found by filter, by
keyword and, where the backend declares it, by vector).

1. `write(*ops)` applies all of its operations or none, and returns when they are durable
   as the backend promises. It returns one int per operation: the version of an Append, that
   at which a Fork begins, the number of records touched by the others. An Append with
   `expected` fails with ConflictError unless the stream's newest version is `expected`, and a
   write with an Expect unless its record is stored so before anything of it is applied.
2. An Append with `terms` is also a record, `entry_record(entry)`, without being stored
   twice: `get`, `find` and `search` see it. Deleting that record leaves the log as it is.
3. A namespace is part of every key. Nothing written under one is ever seen from another:
   not in results, not in counts, not in errors. A namespace does not contain its children.
   Its labels are as `ctxplug.scope.to_labels` makes them. `namespaces` leaves out those
   whose first label is PRIVATE, unless the first of the prefix is.
4. Reads see every write that returned before they began. `read` yields entries in order of
   version, from either end.
5. `terms` are words in lower case separated by spaces, made by `ctxplug.recall.text` for
   indexing and querying alike; a backend splits at spaces and does nothing else to them.
6. Expired records (`expires_at` <= `where.now`) are not found unless asked for.
7. Everything may be called from any thread. The sync methods are the law; `arun` runs a
   whole unit of work on the backend's own worker threads, and nothing awaits inside a
   transaction, so a cancelled caller never leaves half a write.
8. `capabilities` names what works beyond this: "keyword", "vector", "archive", "fork",
   "backup", "durable" (survives the process). What is not named raises UnsupportedError, in
   `write` too: for an Embed or Unembed, what archives or brings back, and a Fork.
9. `close` may be called twice; every other call after it raises ClosedError. Errors are in
   the family of StorageError, with the cause chained.
10. With "vector": an Embed gives a record the vector of its content, and a Put takes it
   away. `nearest` tells the ids and scores of what `search` finds by a vector. A namespace
   holds vectors of one embedder, by name and dimension; the first Embed decides, and what
   comes from another raises EmbedderChangedError, in `write`, `search` and `nearest`, until
   an Unembed has removed them all: vectors of two embedders never meet.
11. With "keyword": `occurrences` lists where terms occur, and `glance` tells what ranking
   needs of records without reading them. A record's **place** is an int for as long as it
   is searchable: places of one stream's messages differ as their versions do, and any
   other two places of a namespace are at least 16 apart.
12. With "archive": an ArchiveLog moves the beginning of a stream, and the records that its
   entries are, into compressed segments; an ArchiveRecords moves other records; an Unarchive
   brings them back as they were, but for vectors. To `read`, `head` and `sessions` nothing
   changes. An archived record is found by `archived` alone: a Delete removes it, an Append
   or Put under its id takes its place, nothing else sees it.
13. With "fork": a Fork lets a stream that is empty read as the first entries of another of
   its namespace, followed by its own. To `read`, `head` and `expected` it is one gapless
   log; nothing is copied, and what the other gains later is not in it. An entry tells the
   stream it was read from, but the record that it is stays that of the session that said
   it: `lineage` tells which. What archives, erases or exports a stream is about its own
   entries. A stream that has forks is erased only together with them.
"""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, TypeVar

from ctxplug.errors import UnsupportedError
from ctxplug.messages import Message
from ctxplug.records import MemoryRecord
from ctxplug.scope import PRIVATE, RESERVED, Namespace
from ctxplug.storage.erasure import EraseReceipt
from ctxplug.storage.workers import Workers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

COMMON = 2  # terms too common to be listed whole that `occurrences` lists in part

T = TypeVar("T")
Vector: TypeAlias = "Sequence[float] | npt.NDArray[np.float32]"


@dataclass(frozen=True, slots=True)
class Stream:
    """The key of one session's log."""

    namespace: Namespace
    session: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One immutable line of a log; `body` is JSON."""

    stream: Stream
    version: int
    kind: str
    body: Mapping[str, Any]
    created_at: datetime
    agent: str | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Add an entry at the end of `stream`; `pinned` entries can be read alone.

    `traits` says what its text is like (`ctxplug.recall.traits`); backends only keep it.
    `unless` is (kind, version): if the stream has come to that version, and has no pinned
    entry of that kind above it, the write succeeds, else it fails with ConflictError.
    """

    stream: Stream
    kind: str
    body: Mapping[str, Any]
    created_at: datetime
    agent: str | None = None
    pinned: bool = False
    terms: str | None = None
    traits: int = 0
    expected: int | None = None
    unless: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Store `record` under its namespace and id, replacing what is there.

    With `version` it is what a Delete took away: the record of the session's own entry of that
    version (rule 2), which it is again unless that is archived.
    """

    record: MemoryRecord
    terms: str | None = None
    traits: int = 0
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one record; removing what is not there is no error."""

    namespace: Namespace
    id: str


@dataclass(frozen=True, slots=True)
class Expect:
    """Let the whole write fail with ConflictError unless `record` is what is stored under `id`.

    All of it counts, accesses included; None: nothing is stored there.
    """

    namespace: Namespace
    id: str
    record: MemoryRecord | None


@dataclass(frozen=True, slots=True)
class Touch:
    """Count one access to each record of `ids` at time `at`.

    With `until`, those that expire, and had not by `at`, do not before `until`.
    """

    namespace: Namespace
    ids: tuple[str, ...]
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Embed:
    """Give a record its vector, in place of any it has; float32, as `embedder` made it.

    With `content` it applies only while that is what the record holds, so that a vector
    made meanwhile from what was replaced touches nothing.
    """

    namespace: Namespace
    id: str
    embedder: str
    vector: Vector
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Unembed:
    """Remove all vectors of `namespace`, and with them the name of their embedder."""

    namespace: Namespace


@dataclass(frozen=True, slots=True)
class ArchiveLog:
    """Move the entries of `stream` up to version `through` into the archive.

    `terms` holds, by version, those of each that is searchable (as in its Append): the
    archive is searched by them, and they come back with it. With `after`, nothing is moved
    unless that is the version up to which the stream is archived already.
    """

    stream: Stream
    through: int
    terms: Mapping[int, str]
    after: int | None = None


@dataclass(frozen=True, slots=True)
class ArchiveRecords:
    """Move `records` of `namespace` into the archive, with `terms` by id (as in their Puts).

    One that holds other content by now, or is a view of an entry, stays where it is.
    """

    namespace: Namespace
    records: tuple[MemoryRecord, ...]
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unarchive:
    """Bring back the log of `session`; without one, records: all of them, or those of `ids`.

    With `most`, only the newest so many entries of the log, or of all records about so many:
    again and again until none is left, it lets other writers in between.
    """

    namespace: Namespace
    session: str | None = None
    ids: tuple[str, ...] | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """Let `stream`, which is empty, read as the first `upto` entries of the session `parent`.

    The version of its first own entry is upto + 1; the parent may be a fork, or archived.
    Fails with ConflictError unless `stream` is empty and the parent has that many entries.
    `created_at` is when the stream begins, None: now.
    """

    stream: Stream
    parent: str
    upto: int
    created_at: datetime | None = None


Op: TypeAlias = (
    Append
    | Fork
    | Put
    | Delete
    | Expect
    | Touch
    | Embed
    | Unembed
    | ArchiveLog
    | ArchiveRecords
    | Unarchive
)


@dataclass(frozen=True, slots=True)
class Where:
    """Which records of one namespace: every condition given must hold.

    `tags` must all be present; `metadata` compares top-level keys for equality as JSON
    (true is not 1, 1 is not "1"); `since` <= created_at < `until`; `valid_at` lies in
    [valid_from, valid_to); `now` is the time by which records count as expired (None:
    expired ones are found too); `not_kinds` are left out.
    """

    namespace: Namespace
    ids: Sequence[str] | None = None
    kinds: Sequence[str] | None = None
    tiers: Sequence[str] | None = None
    tags: Sequence[str] = ()
    session: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    valid_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None
    not_kinds: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class VectorState:
    """Whose vectors a namespace holds (None: it holds none) and how many records wait for one."""

    embedder: str | None
    dimension: int
    pending: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A record found by `search`; of two hits of one search, the higher `score` is better."""

    record: MemoryRecord
    score: float


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Where terms occur in a namespace (rule 11).

    `total` counts its searchable records, `counts` those that hold each term, and `places`
    lists them; a term that no record holds is in neither.
    """

    total: int
    counts: Mapping[str, int]
    places: Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Glance:
    """What ranking needs of a searchable record; `name` is who said it, if it has a name."""

    place: int
    id: str
    created_at: datetime
    importance: float = 0.5
    access_count: int = 0
    last_accessed: datetime | None = None
    name: str | None = None
    traits: int = 0


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One stream: its newest version, when it began and last grew, and what is `archived`.

    That is the version up to which its own entries are in the archive, 0 if none is. A fork
    has a `parent`; its entries up to version `forked` are not its own.
    """

    session: str
    version: int
    created_at: datetime
    updated_at: datetime
    archived: int = 0
    parent: str | None = None
    forked: int = 0


@dataclass(frozen=True, slots=True)
class Archived:
    """A record in the archive, with its terms (None: no search found it) and traits."""

    record: MemoryRecord
    terms: str | None
    traits: int = 0


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """What the archive of a namespace holds; `size` in bytes of text, `nbytes` compressed."""

    entries: int = 0
    records: int = 0
    segments: int = 0
    size: int = 0
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found; `ok` is whether there are no `problems`.

    `counts` holds at least the "entries" and "records" of the store.
    """

    problems: tuple[str, ...]
    counts: Mapping[str, int]

    @property
    def ok(self) -> bool:
        """Whether the store is sound."""
        return not self.problems


def entry_record(entry: Entry) -> MemoryRecord:
    """Return the record that a searchable message entry stands for (rule 2)."""
    message = Message.from_dict(entry.body["message"])
    session = entry.stream.session
    return MemoryRecord(
        namespace=entry.stream.namespace,
        id=f"{session}@{entry.version}",
        kind=entry.kind,
        content=message.text,
        tier="short",
        metadata={
            **message.metadata,
            "version": entry.version,
            "session": session,
            "role": message.role,
            **({"name": message.name} if message.name else {}),
        },
        created_at=message.created_at,
        sources=(message.id,),
        origin=message.role,
        session=session,
        agent=entry.agent,
        made_by="said",
    )


def is_listed(namespace: Namespace, prefix: Namespace) -> bool:
    """Say whether `namespaces(prefix)` tells of `namespace`, if it holds anything (rule 3)."""
    own = namespace[0] == PRIVATE and tuple(prefix[:1]) != (PRIVATE,)
    return not own and namespace[: len(prefix)] == tuple(prefix)


def record_ids(backend: Backend, stream: Stream, versions: Iterable[int]) -> set[str]:
    """Return the ids of the records that entries of `stream` are, those of its past included."""
    lineage = backend.lineage(stream)
    owners, ends = [name for name, _ in lineage], [last for _, last in lineage[:-1]]
    return {f"{owners[bisect_left(ends, version)]}@{version}" for version in versions}


def conversations(backend: Backend, namespace: Namespace) -> list[SessionInfo]:
    """Return the sessions of `namespace` without ctxplug's own logs, in order of creation."""
    return [info for info in backend.sessions(namespace) if not info.session.startswith(RESERVED)]


class Backend(ABC):
    """The law's methods; a-twins come with it. Subclass, implement, run the suite."""

    capabilities: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def write(self, *ops: Op) -> list[int]:
        """Apply `ops` atomically and durably; see rule 1."""

    @abstractmethod
    def read(
        self,
        stream: Stream,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        kinds: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> list[Entry]:
        """Return entries with `after` < version < `before`; an unknown stream is empty."""

    @abstractmethod
    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`, 0 if there is none."""

    @abstractmethod
    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Return the streams of `namespace` in order of creation."""

    @abstractmethod
    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Return the namespaces that hold anything and begin with the labels of `prefix`."""

    @abstractmethod
    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Return one record, or None."""

    @abstractmethod
    def find(
        self, where: Where, *, limit: int | None = None, offset: int = 0
    ) -> list[MemoryRecord]:
        """Return matching records, newest first (by created_at, then by id)."""

    @abstractmethod
    def count(self, where: Where) -> int:
        """Return how many records match."""

    @abstractmethod
    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Remove everything of `namespace`, leaving no copy of its text in the store."""

    @abstractmethod
    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Remove the own entries of sessions, and the records that these are, as `erase` does.

        Other records of `namespace` stay. Raises ConflictError, and removes nothing, if one
        of the sessions has a fork that is not among them.
        """

    @abstractmethod
    def check(self) -> CheckReport:
        """Examine the store: its own invariants and those of the engine beneath."""

    @abstractmethod
    def close(self) -> None:
        """Finish pending writes and release everything."""

    def lineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Return the sessions whose entries `stream` reads, oldest first.

        Each comes with the last version that is its own; the last is the stream itself.
        """
        return [(stream.session, self.head(stream))]

    def search(
        self,
        where: Where,
        *,
        terms: Sequence[str] = (),
        vector: Vector | None = None,
        embedder: str | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Return the best matches: records with any of `terms` (BM25), or nearest to `vector`.

        Nearest is by dot product, which is then the score. `embedder` names what made
        `vector` (None: unknown, only its dimension is checked; rule 10).
        """
        raise self._lacks("vector" if vector is not None else "keyword")

    def nearest(
        self, where: Where, vector: Vector, *, embedder: str | None = None, limit: int = 10
    ) -> list[tuple[str, float]]:
        """Return id and score of what `search` finds by `vector`, without reading records."""
        hits = self.search(where, vector=vector, embedder=embedder, limit=limit)
        return [(hit.record.id, hit.score) for hit in hits]

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Occurrences:
        """Return where `terms` occur among the records of `where`.

        `total` and `counts` are of the whole namespace. Terms are taken by `counts`, the
        rarest first. As long as their `counts` fit in `limit` together, each is listed
        whole. Of the rest the first COMMON are listed where one of those occurs too; if
        there is none of those, the newer places of the rarest are, and of the others beside
        it. Further terms are not listed: they would tell little and cost most.
        """
        raise self._lacks("keyword")

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Glance]:
        """Return what ranking needs of the searchable records of `where`, of `places` if given."""
        raise self._lacks("keyword")

    def vector_state(self, namespace: Namespace) -> VectorState:
        """Return whose vectors `namespace` holds and how many records wait for one."""
        raise self._lacks("vector")

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        """Return up to `limit` searchable records without a vector, oldest writes first."""
        raise self._lacks("vector")

    def archived(
        self, where: Where, terms: Sequence[str] | None = None, *, limit: int | None = None
    ) -> list[Archived]:
        """Return archived records of `where`, newest first; with `terms`, those that hold any."""
        raise self._lacks("archive")

    def archive_state(self, namespace: Namespace) -> ArchiveState:
        """Return how much of `namespace` is archived."""
        raise self._lacks("archive")

    def backup(self, target: str) -> None:
        """Write a consistent copy of the whole store to the file `target`."""
        raise self._lacks("backup")

    def _require(self, capability: str) -> None:
        if capability not in self.capabilities:
            raise self._lacks(capability)

    def _lacks(self, capability: str) -> UnsupportedError:
        return UnsupportedError(
            f"{type(self).__name__} does not offer {capability!r}; it declares"
            f" {sorted(self.capabilities)}. Choose another backend for this.",
            capability=capability,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- a-twins -------------------------------------------------------------------

    async def arun(self, unit: Callable[[], T]) -> T:
        """Run `unit` on a worker thread of this backend.

        A caller cancelled before it began leaves nothing done; later it runs to its end.
        """
        context = contextvars.copy_context()
        import asyncio  # a fifth of the import time, and sync callers do without

        return await asyncio.wrap_future(self._threads().submit(context.run, unit))

    def _threads(self) -> Workers:
        """Return the workers of this backend; `close` dismisses them."""
        workers: Workers = vars(self).setdefault("_workers", Workers())
        return workers

    async def awrite(self, *ops: Op) -> list[int]:
        """Async twin of `write`."""
        return await self.arun(partial(self.write, *ops))

    async def aread(self, stream: Stream, **options: Any) -> list[Entry]:
        """Async twin of `read`."""
        return await self.arun(partial(self.read, stream, **options))

    async def ahead(self, stream: Stream) -> int:
        """Async twin of `head`."""
        return await self.arun(partial(self.head, stream))

    async def alineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Async twin of `lineage`."""
        return await self.arun(partial(self.lineage, stream))

    async def asessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Async twin of `sessions`."""
        return await self.arun(partial(self.sessions, namespace))

    async def anamespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Async twin of `namespaces`."""
        return await self.arun(partial(self.namespaces, prefix))

    async def aget(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Async twin of `get`."""
        return await self.arun(partial(self.get, namespace, id))

    async def afind(self, where: Where, **options: Any) -> list[MemoryRecord]:
        """Async twin of `find`."""
        return await self.arun(partial(self.find, where, **options))

    async def acount(self, where: Where) -> int:
        """Async twin of `count`."""
        return await self.arun(partial(self.count, where))

    async def asearch(self, where: Where, **options: Any) -> list[Hit]:
        """Async twin of `search`."""
        return await self.arun(partial(self.search, where, **options))

    async def aarchived(self, where: Where, **options: Any) -> list[Archived]:
        """Async twin of `archived`."""
        return await self.arun(partial(self.archived, where, **options))

    async def aarchive_state(self, namespace: Namespace) -> ArchiveState:
        """Async twin of `archive_state`."""
        return await self.arun(partial(self.archive_state, namespace))

    async def aerase(self, namespace: Namespace) -> EraseReceipt:
        """Async twin of `erase`."""
        return await self.arun(partial(self.erase, namespace))

    async def aerase_session(
        self, namespace: Namespace, session: str, *others: str
    ) -> EraseReceipt:
        """Async twin of `erase_session`."""
        return await self.arun(partial(self.erase_session, namespace, session, *others))

    async def acheck(self) -> CheckReport:
        """Async twin of `check`."""
        return await self.arun(self.check)

    async def abackup(self, target: str) -> None:
        """Async twin of `backup`."""
        return await self.arun(partial(self.backup, target))

    async def aclose(self) -> None:
        """Async twin of `close`."""
        return await self.arun(self.close)
