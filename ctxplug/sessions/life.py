"""What becomes of a session: its states, its metadata, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.scope import RESERVED
from ctxplug.sessions.attempts import until_written
from ctxplug.sessions.host import SessionHost
from ctxplug.sessions.log import SessionLog
from ctxplug.sessions.states import (
    ACTIVE,
    COMPLETED,
    FAILED,
    SESSION,
    SUSPENDED,
    Standing,
    last_said,
    require_legal,
    standing_of,
    state_at,
    to_text,
)
from ctxplug.storage import Append, Backend, EraseReceipt

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.sessions.info import SessionState

TRACE = f"{RESERVED}trace:"  # begins the name of the log that holds a session's steps


class SessionLife:
    """The states of a session; Session brings the attributes below."""

    _backend: Backend
    _log: SessionLog
    _host: SessionHost

    if TYPE_CHECKING:

        @property
        def head(self) -> int:
            """The version of the newest entry of its log."""

    # -- states --------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """What it is now, one of `ctxplug.sessions.states.STATES`.

        It is "created" until its first message and "active" from then on; "idle", and
        "expired", it is by the session policy once nothing was said for long; "suspended",
        "completed" and "failed" it is made. In these and once expired, nothing is added to it.
        """
        return self._state()[0]

    def info(self) -> SessionState:
        """Return what is known of it: state, times, metadata, parent, snapshots, messages."""
        from ctxplug.sessions.info import info_of, unknown

        self._host.check_open()
        stream, now = self._log.stream, datetime.now(UTC)
        for info in self._backend.sessions(stream.namespace):
            if info.session == stream.session:
                found = info_of(self._backend, stream.namespace, info, self._host.policy, now)
                return replace(found, messages=sum(1 for _ in self._log.entries()))
        return unknown(self._log.stream.session)

    def suspend(self, reason: str | None = None) -> None:
        """Let nothing be added to it until `resume`.

        Raises SessionStateError, like the verbs below, where its state does not allow it.
        """
        self._make(SUSPENDED, "suspended", reason)

    def resume(self) -> None:
        """Go on with it after it was suspended, completed or failed, or has expired."""
        self._make(ACTIVE, "resumed")

    def complete(self) -> None:
        """Close it: what it was for is done."""
        self._make(COMPLETED, "completed")

    def fail(self, reason: str | None = None) -> None:
        """Close it: what it was for failed."""
        self._make(FAILED, "failed", reason)

    def update(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change its metadata, in any state; return all of it.

        The keys given take the place of those there are; one that is given as None goes.
        """
        self._host.check_open()
        if not isinstance(metadata, Mapping):
            raise InvalidValueError(
                f"metadata is a dict of JSON values, not {metadata!r:.60}.", path="metadata"
            )
        given = self._host.redact(codec.plain(metadata, "metadata"))

        def attempt() -> Mapping[str, Any]:
            head = self.head
            old = standing_of(self._backend, self._log.stream) or Standing()
            merged = {**old.metadata, **given}
            merged = {key: value for key, value in merged.items() if value is not None}
            new = replace(old, metadata=merged)
            self._host.write(self._entry(SESSION, new.body("updated"), expected=head))
            return merged

        merged = until_written(attempt)
        self._host.tell("session.updated", keys=sorted(given))
        return merged

    def erase(self) -> EraseReceipt:
        """Remove all that was said in it, and its trace, and return a receipt.

        Memories that were made of it stay, as they are the namespace's. Raises ConflictError
        if there are forks of it.
        """
        self._host.check_open()
        stream = self._log.stream
        names = [
            name
            for name in (self._log.stream.session, TRACE + self._log.stream.session)
            if self._has(name)
        ]
        receipt = self._backend.erase_session(
            stream.namespace, *(names or [self._log.stream.session])
        )
        self._host.forget_read()
        self._host.tell("session.erased", entries=receipt.entries, records=receipt.records)
        return receipt

    # -- a-twins -------------------------------------------------------------------------

    async def ainfo(self) -> SessionState:
        """Async twin of `info`."""
        return await self._backend.arun(self.info)

    async def asuspend(self, reason: str | None = None) -> None:
        """Async twin of `suspend`."""
        await self._backend.arun(partial(self.suspend, reason))

    async def aresume(self) -> None:
        """Async twin of `resume`."""
        await self._backend.arun(self.resume)

    async def acomplete(self) -> None:
        """Async twin of `complete`."""
        await self._backend.arun(self.complete)

    async def afail(self, reason: str | None = None) -> None:
        """Async twin of `fail`."""
        await self._backend.arun(partial(self.fail, reason))

    async def aupdate(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """Async twin of `update`."""
        return await self._backend.arun(partial(self.update, metadata))

    async def aerase(self) -> EraseReceipt:
        """Async twin of `erase`."""
        return await self._backend.arun(self.erase)

    # -- inside --------------------------------------------------------------------------

    def _state(self) -> tuple[str, Standing]:
        self._host.check_open()
        stream = self._log.stream
        standing = standing_of(self._backend, stream) or Standing()
        said = last_said(self._backend, stream)
        return state_at(standing, said, self._host.policy, datetime.now(UTC))[0], standing

    def _make(self, wanted: str, event: str, reason: str | None = None) -> None:
        """Make it what is `wanted`, or raise SessionStateError."""
        reason = None if reason is None else self._host.redact(to_text(reason, "reason"))

        def attempt() -> str:
            head = self.head
            state, old = self._state()
            require_legal(self._log.stream.session, state, wanted)
            new = replace(old, made=wanted, since=datetime.now(UTC), reason=reason)
            self._host.write(self._entry(SESSION, new.body(event), expected=head))
            return state

        before = until_written(attempt)
        self._host.tell(f"session.{event}", before=before, reason=reason)

    def _has(self, session: str) -> bool:
        return self._backend.head(replace(self._log.stream, session=session)) > 0

    def _entry(self, kind: str, body: Mapping[str, Any], expected: int | None = None) -> Append:
        return Append(
            stream=self._log.stream,
            kind=kind,
            body=body,
            created_at=datetime.now(UTC),
            agent=self._host.agent,
            pinned=True,
            expected=expected,
        )
