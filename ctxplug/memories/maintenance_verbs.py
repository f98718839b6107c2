"""The verbs of AgentMemory that keep its memories tidy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from ctxplug.errors import UnsupportedError
from ctxplug.records import MemoryRecord
from ctxplug.registry import Registry
from ctxplug.scope import Scope, new_id
from ctxplug.storage import Backend, Entry, Stream

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.memories.policy import MemoryPolicy
    from ctxplug.memories.report import MaintenanceReport
    from ctxplug.memories.steps import Steps
    from ctxplug.memories.upkeep import Upkeep

PAGE = 256  # entries of the log that are read at once


class MaintenanceVerbs:
    """Consolidate and maintain, now or in the background; AgentMemory brings the attributes."""

    backend: Backend
    scope: Scope
    memory_policy: MemoryPolicy
    _registry: Registry
    _upkeep: Upkeep | None

    if TYPE_CHECKING:

        def _write(self, *ops: Any) -> list[int]: ...
        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...
        def _admitted(self, record: MemoryRecord) -> MemoryRecord: ...

    def consolidate(self, *, dry_run: bool = False) -> MaintenanceReport:
        """Merge what says the same, supersede what is contradicted, promote, sum up sessions.

        A second run finds nothing to do. The report says what was done; `maintenance_log`
        keeps it.
        """
        from ctxplug.memories.maintenance import Maintenance

        return self._maintained("consolidate", Maintenance.consolidate, dry_run)

    def maintain(
        self, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False
    ) -> MaintenanceReport:
        """Remove what expired, consolidate, remove what there is no room for, and archive.

        Sessions go that ended longer ago than the session policy retains them. The report
        says what was done, or with `dry_run` what would be; `maintenance_log` keeps it.
        `stopped` is asked between two writes whether to end early.
        """
        from ctxplug.memories.maintenance import Maintenance

        def work(maintenance: Maintenance) -> None:
            maintenance.expire()
            maintenance.consolidate()
            maintenance.evict()
            self._retire_ended(maintenance.steps)
            self._archive_cold(maintenance.steps)

        return self._maintained("maintain", work, dry_run, stopped)

    def maintenance_log(self, limit: int | None = 20) -> list[MaintenanceReport]:
        """Return what the last runs of `maintain` and `consolidate` did, newest first."""
        from ctxplug.memories.report import STREAM, reports_of

        self._refuse_closed()

        def newest_first() -> Iterator[Entry]:
            stream = Stream(self.scope.namespace, STREAM)
            before: int | None = None
            while entries := self.backend.read(
                stream, newest_first=True, before=before, limit=PAGE
            ):
                yield from entries
                before = entries[-1].version

        return reports_of(newest_first(), limit)

    # -- a-twins -------------------------------------------------------------------------

    async def aconsolidate(self, **options: Any) -> MaintenanceReport:
        """Async twin of `consolidate`."""
        return await self.backend.arun(partial(self.consolidate, **options))

    async def amaintain(self, **options: Any) -> MaintenanceReport:
        """Async twin of `maintain`."""
        return await self.backend.arun(partial(self.maintain, **options))

    async def amaintenance_log(self, limit: int | None = 20) -> list[MaintenanceReport]:
        """Async twin of `maintenance_log`."""
        return await self.backend.arun(partial(self.maintenance_log, limit))

    # -- inside --------------------------------------------------------------------------

    def _maintain_every(self, seconds: float | None) -> None:
        """Maintain in the background; None: do not."""
        from ctxplug.memories.upkeep import Upkeep

        self._upkeep = None if seconds is None else Upkeep(self, seconds)

    def tell_failed(self, exc: Exception) -> None:
        """Tell observers that maintenance in the background failed."""
        self._tell("maintenance.failed", error=f"{type(exc).__name__}: {exc}")

    def _maintained(
        self,
        verb: str,
        work: Callable[[Any], None],
        dry_run: bool,
        stopped: Callable[[], bool] = lambda: False,
    ) -> MaintenanceReport:
        from ctxplug.memories.maintenance import Maintenance
        from ctxplug.memories.steps import Steps

        self._refuse_closed()
        if not dry_run:
            self._write()  # access counts that wait: promotion goes by them
        now = datetime.now(UTC)
        steps = Steps(self.backend, self.scope, new_id(), verb, now, self._write, dry_run, stopped)
        maintenance = Maintenance(steps, self.memory_policy, self._registry, self._admitted)
        work(maintenance)
        report = maintenance.report()
        if not dry_run:
            for change in report.changes:
                self._tell(f"memory.{change.what}", id=change.id, into=change.into)
            self._tell("maintenance.done", run=report.run, verb=verb, counts=report.counts)
        return report

    def _retire_ended(self, steps: Steps) -> None:
        """Remove the sessions that ended long ago, where the session policy says so."""
        from ctxplug.memories.report import Change
        from ctxplug.memories.steps import Step

        memory = cast(Any, self)
        age = memory.session_policy.time("retain")
        if age is None or steps.stopped():
            return
        report = memory._retire(age, steps.dry, stopped=steps.stopped)
        changes = tuple(Change("retired", session) for session in report.sessions)
        if changes and steps.dry:
            steps.done += changes
        elif changes:
            steps.written([Step(changes, {}, {})])
        for session, forks in report.kept.items():
            steps.note(f"The session {session!r} stays, because of its forks: {', '.join(forks)}.")

    def _archive_cold(self, steps: Steps) -> None:
        """Archive what was not used for as long as the policy says."""
        from ctxplug.memories.report import Change

        age = self.memory_policy.archive_after
        if age is None or steps.stopped():
            return
        if steps.dry:
            steps.note("What would be archived is not looked into by a dry run.")
            return
        try:
            moved = cast(Any, self).archive(timedelta(seconds=float(age)))  # type: ignore[arg-type]
        except UnsupportedError as exc:
            steps.note(f"Nothing was archived: {exc}")
            return
        steps.done += [Change("archived", id) for id in (*moved.sessions, *moved.ids)]
