"""The verbs of AgentMemory around the archive and what was erased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.recall.recalled import Recalled
from ctxplug.records import to_tags
from ctxplug.scope import Scope
from ctxplug.storage import Backend, EraseReceipt, Where
from ctxplug.times import to_datetime

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.memories.archive import ArchiveReport, UnarchiveReport
    from ctxplug.memories.erasure import ErasureReport
    from ctxplug.memories.policy import MemoryPolicy


class ArchiveVerbs:
    """Archive, search there, bring back, verify; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    memory_policy: MemoryPolicy

    if TYPE_CHECKING:

        def _write(self, *ops: Any) -> list[int]: ...
        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...

    def verify_erased(self, receipt: EraseReceipt | Mapping[str, Any]) -> ErasureReport:
        """Say whether anything of what `receipt` (or its `to_dict`) lists has come back.

        The report's `ok` is true while nothing has; else it names what was found.
        """
        from ctxplug.memories.erasure import verify_erased

        self._refuse_closed()
        return verify_erased(self.backend, self.scope.namespace, receipt)

    def archive(
        self,
        before: datetime | timedelta | None = None,
        *,
        sessions: Iterable[str] | str | None = None,
        records: bool = True,
    ) -> ArchiveReport:
        """Compress sessions and memories that were not used since `before` (a time, or an age).

        30 days, unless given. With `sessions`, only these. Logs read as before; what is
        archived is found by `search_archive`, not by `recall`. Memories that are pinned,
        important or of a kind always kept long stay, unless superseded. Raises
        UnsupportedError if the backend has no archive.
        """
        from ctxplug.memories.archive import archive

        self._refuse_closed()
        report = archive(
            self.backend,
            self.scope.namespace,
            self._write,
            before=before,
            sessions=sessions,
            records=records,
            policy=self.memory_policy,
        )
        self._tell("memory.archived", entries=report.entries, records=report.records)
        return report

    def unarchive(
        self,
        sessions: Iterable[str] | str | None = None,
        *,
        ids: Iterable[str] | str | None = None,
    ) -> UnarchiveReport:
        """Bring back `sessions` and the memories `ids`, or everything, as it was before."""
        from ctxplug.memories.archive import unarchive

        self._refuse_closed()
        report = unarchive(
            self.backend, self.scope.namespace, self._write, sessions=sessions, ids=ids
        )
        self._tell("memory.unarchived", entries=report.entries, records=report.records)
        return report

    def search_archive(
        self,
        query: str,
        *,
        k: int = 10,
        kinds: Iterable[str] | str | None = None,
        tags: Iterable[str] | str | None = None,
        session: str | None = None,
        since: datetime | str | float | None = None,
        until: datetime | str | float | None = None,
    ) -> list[Recalled]:
        """Return the `k` best archived memories and messages that hold words of `query`.

        Their `archived` is true. Bring them back with `unarchive(sessions, ids=...)`.
        """
        from ctxplug.memories.archive import search

        self._refuse_closed()
        where = Where(
            self.scope.namespace,
            kinds=None if kinds is None else to_tags(kinds),
            tags=to_tags(tags),
            session=session,
            since=None if since is None else to_datetime(since),
            until=None if until is None else to_datetime(until),
            now=datetime.now(UTC),
        )
        found = search(self.backend, query, where, k)
        self._tell("archive.searched", query=query, found=[one.record.id for one in found])
        return found

    # -- a-twins -----------------------------------------------------------------------

    async def averify_erased(self, receipt: EraseReceipt | Mapping[str, Any]) -> ErasureReport:
        """Async twin of `verify_erased`."""
        return await self.backend.arun(partial(self.verify_erased, receipt))

    async def aarchive(self, *args: Any, **options: Any) -> ArchiveReport:
        """Async twin of `archive`."""
        return await self.backend.arun(partial(self.archive, *args, **options))

    async def aunarchive(self, *args: Any, **options: Any) -> UnarchiveReport:
        """Async twin of `unarchive`."""
        return await self.backend.arun(partial(self.unarchive, *args, **options))

    async def asearch_archive(self, query: str, **options: Any) -> list[Recalled]:
        """Async twin of `search_archive`."""
        return await self.backend.arun(partial(self.search_archive, query, **options))
