"""Going back in a session, and branching off from it: snapshots, restores, forks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.scope import new_id, to_session
from ctxplug.sessions.attempts import until_written
from ctxplug.sessions.host import SessionHost
from ctxplug.sessions.log import SessionLog
from ctxplug.sessions.states import SESSION, Standing, standing_of, to_text
from ctxplug.storage import Append, Backend, Fork, Op, Stream
from ctxplug.storage.kept import Run

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.sessions.snapshots import Snapshot


class Branches:
    """The snapshots, restores and forks of a session; Session brings the attributes below."""

    _backend: Backend
    _log: SessionLog
    _host: SessionHost

    if TYPE_CHECKING:

        @property
        def head(self) -> int:
            """The version of the newest entry of its log."""

        def _entry(self, kind: str, body: Mapping[str, Any]) -> Append: ...
        def _viewed(self) -> list[Run]: ...
        def _edit_ops(
            self, head: int, before: Sequence[Run], after: Sequence[Run], **more: Any
        ) -> list[Op]: ...

    def snapshot(self, name: str, note: str | None = None) -> Snapshot:
        """Mark where it stands under `name`, in any state, and return the mark.

        It costs one small entry, however long the session is. A name may be used again: then
        it means the newest.
        """
        from ctxplug.sessions.snapshots import SNAPSHOT, Snapshot, check_name

        self._host.check_open()
        body = self._host.redact({"name": check_name(name)})
        if note is not None:
            body["note"] = self._host.redact(to_text(note, "note"))
        entry = self._entry(SNAPSHOT, body)
        version = self._host.write(entry)[0]
        self._host.tell("session.snapshot", name=body["name"], version=version)
        return Snapshot(body["name"], version, entry.created_at, body.get("note"), entry.agent)

    def snapshots(self) -> list[Snapshot]:
        """Return its snapshots, oldest first; a fork has those of its past too."""
        from ctxplug.sessions.snapshots import snapshots_of

        self._host.check_open()
        return snapshots_of(self._backend, self._log.stream)

    def restore(self, to: str | int) -> int:
        """Go back to a snapshot, or to a version of its log; return that version.

        What was in view then is in view again, in windows and in recall, and what came later
        is not. Nothing leaves the log: restoring to a later snapshot brings it back. Metadata
        and state stay. Raises NotFoundError if there is no such place.
        """
        from ctxplug.sessions.snapshots import view_at

        self._host.check_open()
        version, name = self._place(to)

        def attempt() -> None:
            head, before = self.head, self._viewed()
            after = view_at(self._backend, self._log.stream, version)
            more = {"restored": version, **({"name": name} if name else {})}
            self._host.add([], self._edit_ops(head, before, after, **more))

        until_written(attempt)
        self._host.tell("session.restored", version=version, name=name)
        return version

    def fork(self, session: str | None = None, at: str | int | None = None) -> Any:
        """Branch off: return an AgentMemory on a new session whose past is this one's, shared.

        It begins where this one stands, or stood `at` a snapshot or version. Neither sees what
        is added to the other from then on. `session` is its name, a new one when left out;
        raises ConflictError if there is a session of that name.
        """
        self._host.check_open()
        stream = self._log.stream
        child = Stream(stream.namespace, new_id() if session is None else to_session(session))
        version = self.head if at is None else self._place(at)[0]
        now = datetime.now(UTC)
        past = standing_of(self._backend, stream, before=version + 1) or Standing()
        new = Standing(since=now, metadata=past.metadata)
        body = new.body("forked", parent=stream.session, at=version)
        entry = replace(self._entry(SESSION, body), stream=child, created_at=now)
        self._host.write(Fork(child, stream.session, version, now), entry)
        self._host.tell("session.forked", session=child.session, version=version)
        return self._host.beside(session=child.session)

    # -- a-twins -------------------------------------------------------------------------

    async def asnapshot(self, name: str, note: str | None = None) -> Snapshot:
        """Async twin of `snapshot`."""
        return await self._backend.arun(partial(self.snapshot, name, note))

    async def asnapshots(self) -> list[Snapshot]:
        """Async twin of `snapshots`."""
        return await self._backend.arun(self.snapshots)

    async def arestore(self, to: str | int) -> int:
        """Async twin of `restore`."""
        return await self._backend.arun(partial(self.restore, to))

    async def afork(self, session: str | None = None, at: str | int | None = None) -> Any:
        """Async twin of `fork`."""
        return await self._backend.arun(partial(self.fork, session, at))

    # -- inside --------------------------------------------------------------------------

    def _place(self, wanted: str | int) -> tuple[int, str | None]:
        from ctxplug.sessions.snapshots import place_of

        if isinstance(wanted, str):
            wanted = str(self._host.redact(wanted))  # as it was stored
        return place_of(self._backend, self._log.stream, wanted)
