"""AccessBackend: a store as agents may use it.

It is a Backend in every respect but that what may not be read is not there, and what may
not be done raises AccessError. Where no rule keeps anything from its agents, it passes
everything on; that there is none is asked of the store at every operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctxplug.access import searching, writing
from ctxplug.access.rule import READ, SHARE, WRITE
from ctxplug.access.sight import MESSAGE, Sight
from ctxplug.access.stored import StoredRules
from ctxplug.errors import ConflictError
from ctxplug.records import MemoryRecord
from ctxplug.scope import Namespace
from ctxplug.storage import (
    Archived,
    ArchiveState,
    Backend,
    CheckReport,
    Entry,
    EraseReceipt,
    Glance,
    Hit,
    Occurrences,
    Op,
    SessionInfo,
    Stream,
    VectorState,
    Where,
)
from ctxplug.storage.backend import Vector
from ctxplug.storage.workers import Workers


class AccessBackend(Backend):
    """`store` as `agents` may use it, all of them at once; `guarded` makes one."""

    def __init__(self, store: Backend, agents: tuple[str, ...], rules: StoredRules) -> None:
        self._agents = agents
        self.capabilities = store.capabilities  # type: ignore[misc]  # those of its store
        self._inner = store
        self._rules = rules

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents whose rules hold, the one that acts last."""
        return self._agents

    # -- the log -------------------------------------------------------------------------

    def write(self, *ops: Op) -> list[int]:
        """Apply `ops` if all of them may be done; raise AccessError, and do nothing, if not."""
        return self._inner.write(*writing.permitted(ops, self._sight))

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        """Return entries of a stream that may be read, all of its past included."""
        self._require(READ, stream)
        return self._inner.read(stream, **options)

    def head(self, stream: Stream) -> int:
        """Return the newest version of a stream that may be read or written."""
        sight = self._sight(stream.namespace)
        if not sight.is_free(READ) and not sight.may(WRITE, stream.session):
            sight.require(READ, stream.session)
        return self._inner.head(stream)

    def lineage(self, stream: Stream) -> list[tuple[str, int]]:
        """Return the sessions whose entries a stream that may be read is made of."""
        self._require(READ, stream)
        return self._inner.lineage(stream)

    def sessions(self, namespace: Namespace) -> list[SessionInfo]:
        """Return the streams that may be read, in order of creation."""
        sight, infos = self._sight(namespace), self._inner.sessions(namespace)
        if sight.is_free(READ):
            return infos
        return [info for info in infos if sight.may(READ, info.session)]

    def namespaces(self, prefix: Namespace = ()) -> list[Namespace]:
        """Return the namespaces that hold anything; that they do is no secret of a session."""
        return self._inner.namespaces(prefix)

    # -- records -------------------------------------------------------------------------

    def get(self, namespace: Namespace, id: str) -> MemoryRecord | None:
        """Return one record that may be read, or None."""
        sight, record = self._sight(namespace), self._inner.get(namespace, id)
        if record is None or sight.is_free(READ) or sight.may_record(READ, record):
            return record
        return None

    def find(
        self, where: Where, *, limit: int | None = None, offset: int = 0
    ) -> list[MemoryRecord]:
        """Return matching records that may be read, newest first."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.find(where, limit=limit, offset=offset)
        return searching.found_by(sight, where, limit, offset)

    def count(self, where: Where) -> int:
        """Return how many records match that may be read."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.count(where)
        return len(sight.sees(self._inner.find(where)))

    def search(
        self,
        where: Where,
        *,
        terms: Sequence[str] = (),
        vector: Vector | None = None,
        embedder: str | None = None,
        limit: int = 10,
    ) -> list[Hit]:
        """Return the best matches of what may be read."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.search(
                where, terms=terms, vector=vector, embedder=embedder, limit=limit
            )
        if vector is None:
            return searching.by_words(sight, where, terms, limit)
        given = vector

        def kept(hits: list[Hit]) -> list[Hit]:
            return [hit for hit in hits if sight.may_record(READ, hit.record)]

        return searching.enough(
            lambda most: self._inner.search(where, vector=given, embedder=embedder, limit=most),
            kept,
            limit,
        )

    def nearest(
        self, where: Where, vector: Vector, *, embedder: str | None = None, limit: int = 10
    ) -> list[tuple[str, float]]:
        """Return id and score of what is nearest of what may be read."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.nearest(where, vector, embedder=embedder, limit=limit)

        def kept(found: list[tuple[str, float]]) -> list[tuple[str, float]]:
            seen = sight.seen_ids(id for id, _ in found)
            return [one for one in found if one[0] in seen]

        return searching.enough(
            lambda most: self._inner.nearest(where, vector, embedder=embedder, limit=most),
            kept,
            limit,
        )

    def occurrences(self, where: Where, terms: Sequence[str], *, limit: int) -> Occurrences:
        """Return where `terms` occur among the records that may be read."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.occurrences(where, terms, limit=limit)
        return searching.occurrences(sight, where, terms, limit)

    def glance(self, where: Where, places: Sequence[int] | None = None) -> list[Glance]:
        """Return what ranking needs of records that may be read."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.glance(where, places)
        return searching.glance(sight, where, places)

    def vector_state(self, namespace: Namespace) -> VectorState:
        """Return whose vectors there are, and how many records that may be read wait for one."""
        sight, state = self._sight(namespace), self._inner.vector_state(namespace)
        if sight.is_free(READ):
            return state
        waiting = sight.sees(self._inner.unembedded(namespace, state.pending))
        return VectorState(state.embedder, state.dimension, len(waiting))

    def unembedded(self, namespace: Namespace, limit: int) -> list[MemoryRecord]:
        """Return up to `limit` records that may be read and have no vector."""
        sight = self._sight(namespace)
        if sight.is_free(READ):
            return self._inner.unembedded(namespace, limit)
        return searching.enough(
            lambda most: self._inner.unembedded(namespace, most), sight.sees, limit
        )

    def archived(
        self, where: Where, terms: Sequence[str] | None = None, *, limit: int | None = None
    ) -> list[Archived]:
        """Return archived records that may be read, newest first."""
        sight = self._sight(where.namespace)
        if sight.is_free(READ):
            return self._inner.archived(where, terms, limit=limit)
        found = self._inner.archived(where, terms)
        seen = [one for one in found if sight.may_record(READ, one.record)]
        return seen[: None if limit is None else max(0, limit)]

    def archive_state(self, namespace: Namespace) -> ArchiveState:
        """Return how much is archived of what may be read; then sizes are not told."""
        sight, state = self._sight(namespace), self._inner.archive_state(namespace)
        if sight.is_free(READ):
            return state
        entries = sum(
            info.archived - info.forked for info in self.sessions(namespace) if info.archived
        )
        records = len(self.archived(Where(namespace, not_kinds=[MESSAGE])))
        return ArchiveState(entries=entries, records=records)

    # -- care ----------------------------------------------------------------------------

    def erase(self, namespace: Namespace) -> EraseReceipt:
        """Remove everything of `namespace`; where that has rules, only its owner does."""
        writing.guard_erasure(self._sight(namespace))
        return self._inner.erase(namespace)

    def erase_session(self, namespace: Namespace, session: str, *others: str) -> EraseReceipt:
        """Remove sessions that may be written."""
        sight = self._sight(namespace)
        writing.guard_chain(sight)
        for one in (session, *others):
            writing.guard_log(sight, one)
            sight.require(WRITE, one)
        try:
            return self._inner.erase_session(namespace, session, *others)
        except ConflictError as exc:
            if sight.is_free(READ):
                raise
            target = exc.target
        raise ConflictError(  # what forks there are is not told to who may not see them
            "What is to be erased has forks, which read from it, or was changed meanwhile; nothing"
            " was erased.",
            expected=0,
            found=1,
            target=target,
        )

    def check(self) -> CheckReport:
        """Examine the store; what is wrong and how much there is, where nothing is hidden."""
        report = self._inner.check()
        if all(self._sight(one).is_free(READ) for one in self._inner.namespaces()):
            return report
        told = f"{len(report.problems)} problems, which the owner of the store may see"
        return CheckReport((told,) if report.problems else (), {})

    def backup(self, target: str) -> None:
        """Copy the whole store: for who may read and share all of it."""
        for namespace in self._inner.namespaces():
            self._sight(namespace).require_all(READ, SHARE)
        self._inner.backup(target)

    def close(self) -> None:
        """Close the store."""
        self._inner.close()

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getattr__(self, name: str) -> Any:
        """Tell where the store is, if it is in a file; of what else it has nothing is shown."""
        if name == "path":
            return self._inner.path  # type: ignore[attr-defined]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # -- inside --------------------------------------------------------------------------

    def _sight(self, namespace: Namespace) -> Sight:
        """Return what the agents may do in `namespace` at this moment."""
        return Sight(self._inner, namespace, self._rules.of(namespace), self._agents)

    def _require(self, verb: str, stream: Stream) -> None:  # type: ignore[override]
        sight = self._sight(stream.namespace)
        if not sight.is_free(verb):
            sight.require(verb, stream.session)

    def _threads(self) -> Workers:
        return self._inner._threads()
