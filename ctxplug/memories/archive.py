"""The archive: what was not used for long moves into compressed segments, and back.

Messages in the archive read as before: nothing of a session's log, its windows or its
references changes. What is archived is not recalled any more; `search` looks for it there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from typing import Any

from ctxplug.errors import ConflictError, InvalidValueError, NotFoundError
from ctxplug.memories.policy import MemoryPolicy
from ctxplug.memories.tiers import is_pinned, last_used
from ctxplug.messages import Message
from ctxplug.recall.recalled import Recalled
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import (
    Archived,
    ArchiveLog,
    ArchiveRecords,
    Backend,
    Delete,
    Entry,
    Expect,
    Op,
    Put,
    SessionInfo,
    Stream,
    Unarchive,
    Where,
    conversations,
)
from ctxplug.times import to_datetime

DEFAULT_AGE = timedelta(days=30)
CHUNK = 256  # entries or records moved in one write, a segment: other writers wait 50 ms
RANKED = 300  # of the archived records with words of a query, those that are ranked
MESSAGE = "message"
Write = Callable[..., list[int]]


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What a run moved into the archive; `bytes_before` of text became `bytes_after`.

    `sessions` names those of which it moved messages, `ids` the memories. `expired` of the
    memories that were in the archive had outlived their time and are gone.
    """

    before: datetime
    entries: int
    records: int
    bytes_before: int
    bytes_after: int
    sessions: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    expired: int = 0

    @property
    def ratio(self) -> float:
        """How many bytes became one; 1.0 if there were none."""
        return self.bytes_before / self.bytes_after if self.bytes_after else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "before": self.before.isoformat(),
            "entries": self.entries,
            "records": self.records,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "sessions": list(self.sessions),
            "ids": list(self.ids),
            "expired": self.expired,
        }


@dataclass(frozen=True, slots=True)
class UnarchiveReport:
    """How many log entries and memories came back out of the archive."""

    entries: int
    records: int


def archive(
    backend: Backend,
    namespace: Namespace,
    write: Write,
    *,
    before: datetime | timedelta | None = None,
    sessions: Iterable[str] | str | None = None,
    records: bool = True,
    policy: MemoryPolicy | None = None,
    now: datetime | None = None,
) -> ArchiveReport:
    """Move what was not used since `before` into the archive; see AgentMemory.archive."""
    now = now or datetime.now(UTC)
    cutoff = cutoff_of(before, now)
    start = backend.archive_state(namespace)
    entries, names = 0, []
    for info in _cold_sessions(backend, namespace, sessions, cutoff):
        moved = _archive_session(backend, Stream(namespace, info.session), info, write)
        entries += moved
        names += [info.session] * bool(moved)
    expired = _drop_expired(backend, namespace, now, write)
    ids: list[str] = []
    if records and sessions is None:
        ids = _archive_records(backend, namespace, cutoff, policy or MemoryPolicy(), now, write)
    end = backend.archive_state(namespace)
    return ArchiveReport(
        before=cutoff,
        entries=entries,
        records=len(ids),
        bytes_before=max(0, end.size - start.size),
        bytes_after=max(0, end.nbytes - start.nbytes),
        sessions=tuple(names),
        ids=tuple(ids),
        expired=expired,
    )


def unarchive(
    backend: Backend,
    namespace: Namespace,
    write: Write,
    *,
    sessions: Iterable[str] | str | None = None,
    ids: Iterable[str] | str | None = None,
) -> UnarchiveReport:
    """Bring sessions and memories back; see AgentMemory.unarchive."""
    if sessions is None and ids is None:
        names = [i.session for i in backend.sessions(namespace) if i.archived]
        records = _all_back(write, Unarchive(namespace, most=CHUNK))
    else:
        names = [] if sessions is None else [sessions] if isinstance(sessions, str) else [*sessions]
        given = () if ids is None else (ids,) if isinstance(ids, str) else tuple(ids)
        _require_known(backend, namespace, names)
        runs = (given[start : start + CHUNK] for start in range(0, len(given), CHUNK))
        records = sum(write(Unarchive(namespace, ids=run))[0] for run in runs)
    entries = sum(_all_back(write, Unarchive(namespace, name, most=CHUNK)) for name in names)
    return UnarchiveReport(entries, records)


def _all_back(write: Write, op: Unarchive) -> int:
    """Bring back run after run until nothing is left; return how many."""
    return sum(iter(lambda: write(op)[0], 0))


def search(backend: Backend, query: str, where: Where, k: int = 10) -> list[Recalled]:
    """Return the `k` best archived records of `where` that hold words of `query`."""
    from ctxplug.recall.query import read
    from ctxplug.recall.ranking import recall
    from ctxplug.storage.in_memory import InMemoryBackend

    if not isinstance(query, str):
        raise InvalidValueError(f"A query is text, not {query!r:.60}.", path="query")
    asked = read(query, where.now or datetime.now(UTC))
    terms = [*asked.terms, *asked.names]
    chosen = _worthiest(backend.archived(where, terms), frozenset(terms))
    with InMemoryBackend() as shelf:  # the archive has no index of its own to rank by
        shelf.write(*(Put(one.record, one.terms, one.traits) for one in chosen))
        best = recall(shelf, query, where, k)
    return [replace(one, archived=True) for one in best]


def cutoff_of(before: datetime | timedelta | None, now: datetime) -> datetime:
    """Return the time before which something counts as cold."""
    age = DEFAULT_AGE if before is None else before
    if isinstance(age, int | float):  # seconds since 1970, or days? neither is what it says
        raise InvalidValueError(
            f"before is a datetime or an age, not the number {age!r}; 30 days are"
            " timedelta(days=30).",
            path="before",
        )
    if isinstance(age, timedelta):
        if age < timedelta(0):
            raise InvalidValueError(f"before is an age, zero or more, not {age!r}.", path="before")
        return now - age
    return to_datetime(age)


def is_cold(record: MemoryRecord, cutoff: datetime, policy: MemoryPolicy) -> bool:
    """Say whether a memory belongs in the archive.

    It was not used since `cutoff`, nobody pinned it, and it was superseded before then, or is
    neither important nor of a kind that is always kept long.
    """
    if is_pinned(record) or last_used(record) >= cutoff:
        return False
    if record.valid_to is not None and record.valid_to < cutoff:
        return True
    return record.kind not in policy.always_long and record.importance < policy.long_from


def _cold_sessions(
    backend: Backend, namespace: Namespace, names: Iterable[str] | str | None, cutoff: datetime
) -> list[SessionInfo]:
    infos = conversations(backend, namespace)
    if names is not None:
        chosen = [names] if isinstance(names, str) else list(names)
        _require_known(backend, namespace, chosen)
        infos = [info for info in infos if info.session in chosen]
    return [i for i in infos if i.updated_at < cutoff and i.archived < i.version]


def _require_known(backend: Backend, namespace: Namespace, names: Iterable[str]) -> None:
    known = {info.session for info in conversations(backend, namespace)}
    for name in names:
        if name not in known:
            raise NotFoundError(
                f"There is no session {name!r} in this namespace; `sessions` of the backend"
                " lists them."
            )


def _archive_session(backend: Backend, stream: Stream, info: SessionInfo, write: Write) -> int:
    moved, after = 0, info.archived
    while after < info.version:
        entries = backend.read(stream, after=after, before=info.version + 1, limit=CHUNK)
        if not entries:
            break
        terms = {entry.version: _terms_of(entry) for entry in entries if entry.kind == MESSAGE}
        [done] = write(ArchiveLog(stream, entries[-1].version, terms, after))
        if not done:  # somebody else archives it, or brought it back
            break
        moved += done
        after = entries[-1].version
    return moved


def _archive_records(
    backend: Backend,
    namespace: Namespace,
    cutoff: datetime,
    policy: MemoryPolicy,
    now: datetime,
    write: Write,
) -> list[str]:
    where = Where(namespace, until=cutoff, now=now, not_kinds=[MESSAGE])
    cold = [record for record in backend.find(where) if is_cold(record, cutoff, policy)]
    moved: list[str] = []
    for start in range(0, len(cold), CHUNK):
        run = tuple(cold[start : start + CHUNK])
        write(ArchiveRecords(namespace, run, {r.id: _indexed(r.content) for r in run}))
        held = backend.archived(Where(namespace, ids=[record.id for record in run]))
        moved += [one.record.id for one in held]
    return moved


def _drop_expired(backend: Backend, namespace: Namespace, now: datetime, write: Write) -> int:
    """Remove what has expired in the archive, a run in each write."""
    if not backend.archive_state(namespace).records:
        return 0
    gone = [
        one.record.id
        for one in backend.archived(Where(namespace, not_kinds=[MESSAGE]))
        if one.record.expires_at is not None and one.record.expires_at <= now
    ]
    count = 0
    for start in range(0, len(gone), CHUNK):
        run = gone[start : start + CHUNK]
        # Brought back first: each segment is opened once. What is there by now was renewed.
        absent: list[Op] = [Expect(namespace, id, None) for id in run]
        deletes = [Delete(namespace, id) for id in run]
        with suppress(ConflictError):  # the next archiving will see to it
            back = Unarchive(namespace, ids=tuple(run))
            count += sum(write(*absent, back, *deletes)[-len(run) :])
    return count


def _terms_of(entry: Entry) -> str:
    message = Message.from_dict(entry.body["message"])
    return _indexed(message.text, message.name)


def _indexed(text: str, name: str | None = None) -> str:
    from ctxplug.recall.indexing import index_form

    return index_form(text, name)[0]


def _worthiest(found: list[Archived], wanted: frozenset[str]) -> Iterator[Archived]:
    """Yield those that are worth ranking: all if they are few, else those with the rarest words."""
    if len(found) <= RANKED:
        yield from found
        return
    held = [wanted.intersection((one.terms or "").split()) for one in found]
    counts = Counter(term for terms in held for term in terms)
    worth = {term: math.log(1 + len(found) / count) for term, count in counts.items()}
    scored = ((sum(worth[t] for t in terms), -n) for n, terms in enumerate(held))
    yield from (found[-n] for _, n in nlargest(RANKED, scored))
