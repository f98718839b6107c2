"""InMemoryBackend: the law in plain Python, for tests and throw-away memories.

Everything is kept encoded, so what is read is always a fresh copy and what cannot be
stored elsewhere cannot be stored here.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from ctxplug import codec
from ctxplug.errors import ClosedError, UnknownComponentError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage.backend import (
    Append,
    Archived,
    ArchiveLog,
    ArchiveRecords,
    ArchiveState,
    Backend,
    CheckReport,
    Delete,
    Embed,
    Entry,
    Expect,
    Fork,
    Glance,
    Hit,
    Occurrences,
    Op,
    Put,
    SessionInfo,
    Stream,
    Touch,
    Unarchive,
    Unembed,
    Vector,
    VectorState,
    Where,
    entry_record,
    is_listed,
)
from ctxplug.storage.erasure import EraseReceipt
from ctxplug.storage.in_memory_archive import archive_log, archive_records, unarchive
from ctxplug.storage.in_memory_erasure import erase_all, erase_logs
from ctxplug.storage.in_memory_space import Row, Space, Spaces, Step, space_of, words_of
from ctxplug.storage.in_memory_vectors import SpaceVectors, check_stored
from ctxplug.storage.matching import (
    check_fork,
    matches,
    require_expected,
    require_forkable,
    require_head,
    require_unmarked,
)
from ctxplug.storage.vectors import CAPABILITY, to_vector
from ctxplug.times import to_datetime

BM25_K1 = 1.2
BM25_B = 0.75


def open_memory(argument: str) -> InMemoryBackend:
    """Open "memory:"; every opening is a new, empty store."""
    if argument.strip("/"):
        raise UnknownComponentError(
            f"'memory:{argument}' names a place, but this backend has none; write 'memory:'.",
            kind="option",
            name=argument,
            known=(),
        )
    return InMemoryBackend()


class InMemoryBackend(Backend):
    """A store in this process, gone when it ends."""

    capabilities = frozenset({"keyword", "archive", "fork"}) | CAPABILITY

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._spaces: Spaces = {}
        self._closed = False

    # -- log -----------------------------------------------------------------------

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops`, or none of them."""
        steps = [_prepared(op) for op in ops]
        if any(isinstance(op, Embed | Unembed) for op in ops):
            self._require("vector")
        if any(isinstance(op, ArchiveLog | ArchiveRecords | Unarchive) for op in ops):
            self._require("archive")
        if any(isinstance(op, Fork) for op in ops):
            self._require("fork")
        with self._lock:
            self._refuse_closed()
            self._check_expected(ops)
            check_stored(ops, {n: space.vectors for n, space in self._spaces.items()})
            return [step(self._spaces) for step in steps]

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
        """Return entries of `stream` by version range, from either end."""
        with self._lock:
            self._refuse_closed()
            space, which = self._space(stream.namespace), {"kinds": kinds, "pinned": pinned}
            if stream.session not in space.logs:
                return []
            found = space.read(stream, max(0, after), before, newest_first, **which)
            rows = list(islice(found, None if limit is None else max(0, limit)))
        return [replace(entry, stream=stream, body=codec.decode(body)) for entry, body in rows]

    def head(self, stream: Stream) -> int:
        """Return the newest version of `stream`, 0 if there is none."""
        with self._lock:
            self._refuse_closed()
            log = self._space(stream.namespace).logs.get(stream.session)
            return log.version if log else 0

    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Return the streams of `namespace` in order of creation."""
        with self._lock:
            self._refuse_closed()
            return [log.info(name) for name, log in self._space(namespace).logs.items()]

    def lineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Return the sessions whose entries `stream` reads, oldest first."""
        with self._lock:
            self._refuse_closed()
            return self._space(stream.namespace).lineage(stream.session)

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Return the namespaces that begin with `prefix`, sorted."""
        with self._lock:
            self._refuse_closed()
            held = [n for n, space in self._spaces.items() if space.in_use]
        return sorted(n for n in held if is_listed(n, prefix))

    # -- records -------------------------------------------------------------------

    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Return one record, or None."""
        with self._lock:
            self._refuse_closed()
            row = self._space(namespace).rows.get(id)
        return _copy(row.record) if row else None

    def find(
        self, where: Where, *, limit: int | None = None, offset: int = 0
    ) -> list[MemoryRecord]:
        """Return matching records, newest first."""
        found = [row.record for row in self._matching(where)]
        found.sort(key=lambda record: (record.created_at, record.id), reverse=True)
        stop = None if limit is None else max(0, offset) + max(0, limit)
        return [_copy(record) for record in found[max(0, offset) : stop]]

    def count(self, where: Where) -> int:
        """Return how many records match."""
        return len(self._matching(where))

    def search(
        self,
        where: Where,
        *,
        terms: Sequence[str] = (),
        vector: Vector | None = None,
        embedder: str | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Return the best matches for any of `terms` by BM25, or the nearest to `vector`."""
        if vector is not None:
            return self._nearest(where, vector, embedder, limit)
        wanted = {part for term in terms for part in term.split()}
        everything = [row for row in self._matching(Where(where.namespace)) if row.words]
        scores = _bm25(everything, wanted)
        hits = [
            Hit(row.record, scores[row.record.id])
            for row in self._matching(where)
            if row.record.id in scores
        ]
        hits.sort(key=lambda hit: hit.score, reverse=True)
        return [Hit(_copy(hit.record), hit.score) for hit in hits[: max(0, limit)]]

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Occurrences:
        """Return where `terms` occur among the records of `where`."""
        plain = replace(where, now=None, valid_at=None) == Where(where.namespace)
        with self._lock:
            self._refuse_closed()
            space = self._space(where.namespace)
            counts = None if plain else (lambda id: matches(space.rows[id].record, where))
            return space.words.occurrences(terms, limit, counts)

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Glance]:
        """Return what ranking needs of the searchable records of `where`, of `places` if given."""
        with self._lock:
            self._refuse_closed()
            space = self._space(where.namespace)
            if places is not None:
                ids: Sequence[str] = space.words.ids(places)
            else:
                ids = list(space.rows) if where.ids is None else where.ids
            rows = [space.rows[id] for id in dict.fromkeys(ids) if id in space.rows]
            return [
                _glance(row, space.words.place(row.record.id))
                for row in rows
                if row.words is not None and matches(row.record, where)
            ]

    def vector_state(self, namespace: Namespace) -> VectorState:
        """Return whose vectors `namespace` holds and how many records wait for one."""
        self._require("vector")
        with self._lock:
            self._refuse_closed()
            held = self._space(namespace).vectors
            pending = len(self._pending(namespace))
        if held is None:
            return VectorState(None, 0, pending)
        return VectorState(held.embedder, held.dimension, pending)

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        """Return up to `limit` searchable records without a vector, oldest writes first."""
        self._require("vector")
        with self._lock:
            self._refuse_closed()
            return [_copy(row.record) for row in self._pending(namespace)[: max(0, limit)]]

    def archived(
        self, where: Where, terms: Sequence[str] | None = None, *, limit: int | None = None
    ) -> list[Archived]:
        """Return archived records of `where`, newest first; with `terms`, those that hold any."""
        self._require("archive")
        wanted = None if terms is None else frozenset(p for term in terms for p in term.split())
        with self._lock:
            self._refuse_closed()
            found = list(self._space(where.namespace).archived(where.namespace, wanted, where.ids))
        found = [one for one in found if matches(one.record, where)]
        found.sort(key=lambda one: (one.record.created_at, one.record.id), reverse=True)
        return found[: None if limit is None else max(0, limit)]

    def archive_state(self, namespace: Namespace) -> ArchiveState:
        """Return how much of `namespace` is archived."""
        self._require("archive")
        with self._lock:
            self._refuse_closed()
            return self._space(namespace).archive_state()

    # -- care ----------------------------------------------------------------------

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Forget everything of `namespace`."""
        with self._lock:
            self._refuse_closed()
            return erase_all(self._spaces.pop(namespace, Space()), namespace)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Forget the own entries of sessions and the records that these are."""
        names = tuple(dict.fromkeys((session, *others)))
        with self._lock:
            self._refuse_closed()
            return erase_logs(self._space(namespace), namespace, names)

    def check(self) -> CheckReport:
        """Count what is there; versions are gapless by construction."""
        with self._lock:
            self._refuse_closed()
            spaces = list(self._spaces.values())
            counts = {
                "namespaces": len(spaces),
                "streams": sum(len(s.logs) for s in spaces),
                "entries": sum(log.version - log.forked for s in spaces for log in s.logs.values()),
                "records": sum(len(s.rows) for s in spaces),
                "segments": sum(s.archive_state().segments for s in spaces),
            }
        return CheckReport((), counts)

    def close(self) -> None:
        """Release everything. May be called twice."""
        with self._lock:
            self._closed = True
            self._spaces.clear()
        self._threads().dismiss()

    # -- inside the lock -------------------------------------------------------------

    def _refuse_closed(self) -> None:
        if self._closed:
            raise ClosedError("This in-memory store was closed; what it held is gone.")

    def _space(self, namespace: Namespace) -> Space:
        return space_of(self._spaces, namespace)

    def _matching(self, where: Where) -> list[Row]:
        with self._lock:
            self._refuse_closed()
            rows = list(self._space(where.namespace).rows.values())
        return [row for row in rows if matches(row.record, where)]

    def _pending(self, namespace: Namespace) -> list[Row]:
        space = self._space(namespace)
        held = space.vectors
        rows = (row for row in space.rows.values() if row.words is not None)
        return [row for row in rows if held is None or row.record.id not in held]

    def _nearest(self, where: Where, vector: Vector, embedder: str | None, limit: int) -> list[Hit]:
        self._require("vector")
        with self._lock:
            self._refuse_closed()
            space = self._space(where.namespace)
            if space.vectors is None:
                return []
            found = space.vectors.nearest(
                vector, embedder, limit, lambda id: matches(space.rows[id].record, where)
            )
            return [Hit(_copy(space.rows[id].record), score) for id, score in found]

    def _check_expected(self, ops: Sequence[Op]) -> None:
        """Refuse the whole write before anything is applied."""
        heads: Counter[Stream] = Counter()
        for op in ops:
            if isinstance(op, Expect):
                require_expected(op, self.get(op.namespace, op.id))
            if not isinstance(op, Append | Fork):
                continue
            if op.stream not in heads:
                heads[op.stream] = self.head(op.stream)
            if isinstance(op, Fork):
                parent = replace(op.stream, session=op.parent)
                length = heads[parent] if parent in heads else self.head(parent)
                require_forkable(op, heads[op.stream], length)
                heads[op.stream] = op.upto
                continue
            require_head(op, heads[op.stream])
            if op.unless is not None:
                kind, after = op.unless
                newer = self.read(op.stream, after=after, kinds=[kind], pinned=True, limit=1)
                require_unmarked(op, heads[op.stream], bool(newer))
            heads[op.stream] += 1


def _prepared(op: Op) -> Step:
    """Return what applies `op`; whatever can fail fails here, before anything is applied."""
    if isinstance(op, Append):
        return _append(op)
    if isinstance(op, Fork):
        return _fork(check_fork(op))
    if isinstance(op, Put):
        return _put(op)
    if isinstance(op, Delete):
        return lambda spaces: space_of(spaces, op.namespace).remove(op.id)
    if isinstance(op, Expect):
        return lambda spaces: 1
    if isinstance(op, Touch):
        return _touch(op)
    if isinstance(op, Embed):
        return _embed(op)
    if isinstance(op, Unembed):
        return lambda spaces: _unembed(space_of(spaces, op.namespace))
    if isinstance(op, ArchiveLog):
        return lambda spaces: archive_log(space_of(spaces, op.stream.namespace), op)
    if isinstance(op, ArchiveRecords):
        return lambda spaces: archive_records(space_of(spaces, op.namespace), op)
    if isinstance(op, Unarchive):
        return lambda spaces: unarchive(space_of(spaces, op.namespace), op)
    raise TypeError(f"{op!r} is no operation; write takes those of ctxplug.storage.backend.Op.")


def _append(op: Append) -> Step:
    body, words, at = codec.encode(op.body), words_of(op.terms), to_datetime(op.created_at)
    if words is not None:
        entry_record(Entry(op.stream, 0, op.kind, op.body, at))

    def step(spaces: Spaces) -> int:
        space = spaces.setdefault(op.stream.namespace, Space())
        log = space.log(op.stream.session, at)
        log.updated_at = max(log.updated_at, at)
        version = log.version + 1
        entry = Entry(op.stream, version, op.kind, {}, at, op.agent, op.pinned)
        log.entries.append((entry, body))
        if words is not None:
            record = entry_record(replace(entry, body=codec.decode(body)))
            space.put(Row(record, words, op.traits), log.number << 32 | version)
        return version

    return step


def _fork(op: Fork) -> Step:
    at = to_datetime(op.created_at or datetime.now(UTC))

    def step(spaces: Spaces) -> int:
        log = spaces[op.stream.namespace].log(op.stream.session, at)
        log.parent, log.forked = op.parent, op.upto
        return op.upto

    return step


def _put(op: Put) -> Step:
    record = MemoryRecord.from_dict(codec.decode(codec.encode(op.record.to_dict())))
    row = Row(record, words_of(op.terms), op.traits)

    def step(spaces: Spaces) -> int:
        space = spaces.setdefault(record.namespace, Space())
        log = space.logs.get(record.session or "") if op.version else None
        is_own = log and op.version and max(log.archived, log.forked) < op.version <= log.version
        space.put(row, log.number << 32 | op.version if log and op.version and is_own else None)
        return 1

    return step


def _touch(op: Touch) -> Step:
    at = to_datetime(op.at)

    def step(spaces: Spaces) -> int:
        rows = space_of(spaces, op.namespace).rows
        found = [id for id in op.ids if id in rows]
        for id in found:
            record = rows[id].record
            changed = record.evolve(
                access_count=record.access_count + 1,
                last_accessed=max(at, record.last_accessed or at),
                expires_at=_renewed(record.expires_at, op),
            )
            rows[id] = replace(rows[id], record=changed)
        return len(found)

    return step


def _renewed(expires_at: datetime | None, touch: Touch) -> datetime | None:
    if expires_at is None or touch.until is None or expires_at <= to_datetime(touch.at):
        return expires_at
    return max(expires_at, to_datetime(touch.until))


def _embed(op: Embed) -> Step:
    vector = to_vector(op.vector) if CAPABILITY else None

    def step(spaces: Spaces) -> int:
        space = space_of(spaces, op.namespace)
        row = space.rows.get(op.id)
        if row is None or vector is None or op.content not in (None, row.record.content):
            return 0
        if space.vectors is None:
            space.vectors = SpaceVectors(op.embedder, len(vector))
        space.vectors.put(op.id, vector)
        return 1

    return step


def _unembed(space: Space) -> int:
    held, space.vectors = space.vectors, None
    return 0 if held is None else len(held)


def _copy(record: MemoryRecord) -> MemoryRecord:
    """Return a record that shares nothing mutable with the stored one."""
    return record.evolve(metadata=codec.plain(record.metadata))


def _glance(row: Row, place: int) -> Glance:
    record = row.record
    name = record.metadata.get("name") if place > 0 else None
    return Glance(
        place,
        record.id,
        record.created_at,
        record.importance,
        record.access_count,
        record.last_accessed,
        None if name is None else str(name),
        row.traits,
    )


def _bm25(rows: Sequence[Row], wanted: set[str]) -> dict[str, float]:
    """Return the BM25 score of each row with any wanted word, by record id."""
    if not rows or not wanted:
        return {}
    lengths = [sum(row.words.values()) for row in rows if row.words]
    average = sum(lengths) / len(lengths)
    holders = Counter(word for row in rows for word in wanted & (row.words or {}).keys())
    scores: dict[str, float] = {}
    for row, length in zip(rows, lengths, strict=True):
        for word in wanted & (row.words or {}).keys():
            n = holders[word]
            rarity = math.log(1 + (len(rows) - n + 0.5) / (n + 0.5))
            tf = row.words[word] if row.words else 0
            norm = tf + BM25_K1 * (1 - BM25_B + BM25_B * length / average)
            score = rarity * tf * (BM25_K1 + 1) / norm
            scores[row.record.id] = scores.get(row.record.id, 0.0) + score
    return scores
