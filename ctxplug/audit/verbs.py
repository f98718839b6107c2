"""What AgentMemory has of auditing: `memory.audit`, and the backend that enters what is done."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ctxplug.access.guarding import beneath
from ctxplug.guards import Guards
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope
from ctxplug.storage import Backend

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.audit.log import AuditLog
    from ctxplug.audit.recorder import Recorder


class AuditVerbs:
    """The audit of a memory; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    _guards: Guards
    _audits: bool
    _recorder: Recorder

    if TYPE_CHECKING:

        def _tell(self, kind: str, /, **data: Any) -> None: ...

    @staticmethod
    def _unaudited(backend: Backend) -> Backend:
        """Return what is beneath the audit of another memory."""
        from ctxplug.audit.backend import unaudited

        return unaudited(backend)

    @cached_property
    def audit(self) -> AuditLog:
        """Who did what to this namespace, when and why; and whether anybody changed that."""
        from ctxplug.audit.log import AuditLog

        def redact(text: str) -> str:
            return self._guards.redact(text, self.scope)

        return AuditLog(self.backend, self._recorder, redact)

    def _audited(
        self, backend: Backend, given: Backend, scope: Scope, audit: Any, plugins: Plugins
    ) -> Backend:
        """Return `backend` so that what is done through it is audited.

        `given` is the backend that the memory was opened on. If that is audited already, so
        is this, by the same policy unless `audit` names another: there is no way around it.
        """
        from ctxplug.audit.backend import AuditBackend, recorder_of
        from ctxplug.audit.judges import Judges
        from ctxplug.audit.policy import AuditPolicy, to_policy
        from ctxplug.audit.recorder import Recorder

        policy = to_policy(audit)
        before = recorder_of(given)
        if before is not None and (audit is None or audit is False):
            policy = before.policy
        self._audits = policy is not None
        self._recorder = Recorder(
            beneath(given),
            scope,
            policy or AuditPolicy(),
            Judges(plugins),
            _weakly(self._tell),
            before.sealer if before else None,
        )
        return AuditBackend(backend, self._recorder) if policy else backend

    def _audit_reads(self) -> None:
        """Let reads be audited too, where the policy says so."""
        from ctxplug.audit.reads import audit_reads

        if self._audits:
            audit_reads(self, self._recorder)

    def _seal_audit(self) -> None:
        """Seal what was entered through this memory."""
        self._recorder.sealer.seal_all()


def _weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return what calls `method` while its object is in use: a backend outlives a memory."""
    held = weakref.WeakMethod(method)

    def call(*args: Any, **options: Any) -> None:
        if (alive := held()) is not None:
            alive(*args, **options)

    return call
