"""The verbs of AgentMemory that list and change memories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.errors import ConflictError, InvalidValueError, NotFoundError
from ctxplug.guards import Guards
from ctxplug.memories.filters import where
from ctxplug.records import MemoryRecord, Tier, to_tags
from ctxplug.registry import Registry
from ctxplug.scope import Scope
from ctxplug.storage import Backend, Expect, Put

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.memories.accesses import Accesses
    from ctxplug.memories.policy import MemoryPolicy

MESSAGE = "message"
ATTEMPTS = 100


class MemoryVerbs:
    """List and change memories; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    memory_policy: MemoryPolicy
    _guards: Guards
    _registry: Registry
    _accesses: Accesses

    if TYPE_CHECKING:

        def _write(self, *ops: Any) -> list[int]: ...
        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...

    def memories(
        self,
        *,
        kinds: Iterable[str] | str | None = None,
        tiers: Iterable[str] | str | None = None,
        tags: Iterable[str] | str | None = None,
        session: str | None = None,
        agent: str | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
        valid_at: datetime | str | float | None = None,
        include_superseded: bool = False,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[MemoryRecord]:
        """Return the memories of the namespace, without its messages, newest first.

        As with `recall`, what holds now, what held at `valid_at`, or all there is with
        `include_superseded`. What has expired is never returned.
        """
        self._refuse_closed()
        filter_by = where(
            self.scope.namespace,
            datetime.now(UTC),
            kinds=kinds,
            tiers=tiers,
            tags=tags,
            session=session,
            agent=agent,
            since=since,
            until=until,
            valid_at=valid_at,
            include_superseded=include_superseded,
            metadata=metadata,
            not_kinds=[MESSAGE],
        )
        return self.backend.find(filter_by, limit=limit, offset=offset)

    def update(
        self,
        record_id: str,
        *,
        content: str | None = None,
        kind: str | None = None,
        importance: float | None = None,
        tags: Iterable[str] | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tier: Tier | None = None,
        ttl: timedelta | float | None = None,
    ) -> MemoryRecord:
        """Change a memory in place and return it; what is left out stays as it is.

        A higher importance may move it up a tier, `tier` moves it anywhere and keeps it
        there; `ttl` counts from now (`math.inf`: for ever). Redacted and judged like a new
        one; raises GuardError if a plugin refuses it, NotFoundError if there is none.
        To say that a fact has changed, `remember(..., supersedes=record_id)` instead.
        """
        given = {"content": content, "kind": kind, "importance": importance, "metadata": metadata}
        changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
        if tags is not None:
            changes["tags"] = to_tags(tags)

        def changed(old: MemoryRecord) -> MemoryRecord:
            from ctxplug.memories.changes import updated

            now = datetime.now(UTC)
            return updated(old, changes, self.memory_policy, now, tier=tier, ttl=ttl)

        record = self._changed(record_id, changed)
        self._tell("memory.updated", id=record.id, kind=record.kind, tier=record.tier)
        return record

    def promote(self, record_id: str, tier: Tier | None = None) -> MemoryRecord:
        """Move a memory up to `tier`, or to the next one, and return it; its time begins anew.

        Raises NotFoundError if there is none, InvalidValueError for a tier below its own.
        """

        def changed(old: MemoryRecord) -> MemoryRecord:
            from ctxplug.memories.changes import promoted

            return promoted(old, tier, self.memory_policy, datetime.now(UTC))

        record = self._changed(record_id, changed)
        self._tell("memory.promoted", id=record.id, into=record.tier)
        return record

    # -- a-twins -------------------------------------------------------------------------

    async def amemories(self, **options: Any) -> list[MemoryRecord]:
        """Async twin of `memories`."""
        return await self.backend.arun(partial(self.memories, **options))

    async def aupdate(self, record_id: str, **changes: Any) -> MemoryRecord:
        """Async twin of `update`."""
        return await self.backend.arun(partial(self.update, record_id, **changes))

    async def apromote(self, record_id: str, tier: Tier | None = None) -> MemoryRecord:
        """Async twin of `promote`."""
        return await self.backend.arun(partial(self.promote, record_id, tier))

    # -- inside --------------------------------------------------------------------------

    def _live_by(self, policy: MemoryPolicy | None) -> None:
        """Take the policy memories live by."""
        from ctxplug.memories.accesses import Accesses
        from ctxplug.memories.policy import MemoryPolicy

        if not isinstance(policy, MemoryPolicy | None):
            raise InvalidValueError(
                f"memory_policy is a MemoryPolicy or None, not {policy!r:.60}.",
                path="memory_policy",
            )
        self.memory_policy = policy or MemoryPolicy()
        self._accesses = Accesses(self.scope.namespace, self.memory_policy)

    def _changed(
        self, record_id: str, change: Callable[[MemoryRecord], MemoryRecord]
    ) -> MemoryRecord:
        """Store what `change` makes of a memory, anew if it was changed meanwhile."""
        self._refuse_closed()
        namespace = self.scope.namespace
        for _ in range(ATTEMPTS):
            old = self.backend.get(namespace, record_id)
            if old is None or old.kind == MESSAGE:
                reason = "is a message, which the log keeps as it is" if old else "is not here"
                raise NotFoundError(
                    f"There is no memory {record_id!r} in this namespace: it {reason}. memories()"
                    " lists the ids."
                )
            new = change(old)
            if new != old:
                new = self._admitted(new)
                try:
                    self._write(Expect(namespace, old.id, old), _put(new))
                except ConflictError:
                    continue
            return new
        raise _contended(record_id)

    def _placed(self, record: MemoryRecord, supersedes: tuple[str, ...]) -> MemoryRecord:
        """Store a new memory, and with it the end of what it supersedes or contradicts."""
        from ctxplug.memories.contradictions import placed

        namespace, keyed = self.scope.namespace, self.memory_policy.always_long
        for _ in range(ATTEMPTS):
            rule = keyed if self.memory_policy.supersede else None
            new, pairs = placed(self.backend, record, supersedes, rule, datetime.now(UTC))
            expects = [Expect(namespace, old.id, old) for old, _ in pairs]
            puts = [_put(one) for one in (new, *(ended for _, ended in pairs))]
            try:
                self._write(*expects, *puts)
            except ConflictError:
                continue
            for old, ended in pairs:
                if ended.valid_to != old.valid_to:
                    self._tell("memory.superseded", id=old.id, into=new.id)
            return new
        raise _contended(record.id)

    def _admitted(self, record: MemoryRecord) -> MemoryRecord:
        from ctxplug.memories.remember import admitted

        return admitted(record, self._guards, self.scope, self.memory_policy)


def _put(record: MemoryRecord) -> Put:
    from ctxplug.recall.indexing import index_form  # at first use: it compiles much

    return Put(record, *index_form(record.content))


def _contended(id: str) -> ConflictError:
    return ConflictError(
        f"Others write all the time what {id!r} depends on; try again later.", expected=1, found=1
    )
