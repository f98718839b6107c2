"""The verbs of AgentMemory about the sessions of its namespace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.errors import ConflictError, InvalidValueError
from ctxplug.messages import Message
from ctxplug.scope import Scope
from ctxplug.sessions.gate import Gate
from ctxplug.sessions.host import SessionHost
from ctxplug.sessions.log import SessionLog
from ctxplug.sessions.policy import SessionPolicy
from ctxplug.sessions.session import Session, check_whole
from ctxplug.sessions.states import to_states
from ctxplug.storage import Append, Backend, Op

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.guards import Guards
    from ctxplug.sessions.info import SessionState
    from ctxplug.sessions.retention import Progress, RetireReport


class SessionVerbs:
    """List sessions, and remove old ones; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    session_policy: SessionPolicy
    _gate: Gate

    if TYPE_CHECKING:
        _guards: Guards

        def _add(self, *args: Any) -> Any: ...
        def _write(self, *ops: Any) -> list[int]: ...
        def _tell(self, kind: str, /, **data: Any) -> None: ...
        def _refuse_closed(self) -> None: ...
        def _forget_read(self) -> None: ...

    def sessions(
        self,
        state: str | Iterable[str] | None = None,
        *,
        parent: str | None = None,
        limit: int | None = None,
    ) -> list[SessionState]:
        """Return the sessions of the namespace, those that last grew first.

        `state` is one state, or several; with `parent`, only forks of that session.
        """
        self._refuse_closed()
        if limit is not None:
            check_whole(limit, "limit")
        from ctxplug.sessions.retention import listed

        return listed(
            self.backend,
            self.scope.namespace,
            self.session_policy,
            states=to_states(state),
            parent=parent,
            limit=limit,
        )

    def retire(
        self,
        older_than: timedelta | float | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> RetireReport:
        """Remove for good the sessions that ended longer ago than `older_than`.

        Left out, it is the session policy's `retain`. Ended is what is completed, failed or
        expired; what has a fork that stays, stays. Memories stay. `progress` is called with
        how many were looked at, and of how many. Raises InvalidValueError without a time.
        """
        self._refuse_closed()
        policy = SessionPolicy(retain=older_than) if older_than is not None else self.session_policy
        age = policy.time("retain")
        if age is None:
            raise InvalidValueError(
                "Say how long ended sessions are kept: memory.retire(timedelta(days=90)), or open"
                " the memory with session_policy=SessionPolicy(retain=timedelta(days=90)).",
                path="older_than",
            )
        return self._retire(age, dry_run, progress)

    async def asessions(self, *args: Any, **options: Any) -> list[SessionState]:
        """Async twin of `sessions`."""
        return await self.backend.arun(partial(self.sessions, *args, **options))

    async def aretire(self, *args: Any, **options: Any) -> RetireReport:
        """Async twin of `retire`."""
        return await self.backend.arun(partial(self.retire, *args, **options))

    # -- inside --------------------------------------------------------------------------

    def _retire(
        self,
        age: timedelta,
        dry_run: bool,
        progress: Progress | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> RetireReport:
        from ctxplug.sessions.retention import Retention

        before = datetime.now(UTC) - age
        namespace = self.scope.namespace
        retention = Retention(self.backend, namespace, self.session_policy, before)
        report = retention.report(dry_run=dry_run, progress=progress, stopped=stopped)
        if report.sessions and not dry_run:
            self._forget_read()
            self._tell("session.retired", sessions=report.sessions, entries=report.entries)
        return report

    def _session_of(self, log: SessionLog, policy: SessionPolicy | None) -> Session:
        """Take the policy by which sessions age, and return the session of `log`."""
        if policy is not None and not isinstance(policy, SessionPolicy):
            raise InvalidValueError(
                f"session_policy is a SessionPolicy or None, not {policy!r:.60}.",
                path="session_policy",
            )
        self.session_policy = policy or SessionPolicy()
        self._gate = Gate(self.backend, log.stream, self.session_policy)
        memory: Any = self  # an AgentMemory
        host = SessionHost(
            add=self._add,
            write=self._write,
            redact=lambda value: self._guards.redact_value(value, self.scope),
            tell=self._tell,
            check_open=self._refuse_closed,
            beside=memory.beside,
            forget_read=self._forget_read,
            policy=self.session_policy,
            agent=self.scope.agent,
        )
        return Session(self.backend, log, host)

    def _require_open(self, messages: Sequence[Message] = (), look: bool = True) -> None:
        """Raise SessionStateError unless `messages`, of whatever time they are, can be added."""
        at = messages[0].created_at if messages else datetime.now(UTC)
        self._gate.require_open(at, look=look)

    def _write_open(
        self,
        messages: Sequence[Message],
        first: Sequence[Op],
        appends: Sequence[Append],
        then: Sequence[Op],
    ) -> list[int]:
        """Write the `appends` of `messages` between other operations, unless it is closed by now.

        Raises SessionStateError then; a change that leaves it open is no conflict.
        """
        while True:
            unless = self._gate.unless()
            guarded = [replace(one, unless=unless) for one in appends[:1]]
            try:
                versions = self._write(*first, *guarded, *appends[1:], *then)
            except ConflictError:
                if first or not self._gate.moved(unless):
                    raise
                self._require_open(messages, look=False)
                continue
            if appends:
                last = max(message.created_at for message in messages)
                self._gate.written(versions[len(first) + len(appends) - 1], last)
            return versions
