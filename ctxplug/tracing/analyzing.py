"""What `memory.trace` has for finding out why: the analysis of a session."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.scope import Scope
from ctxplug.storage import Backend

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.tracing.analysis import Analysis


class AnalysisVerbs:
    """Finding out why; Trace brings the attributes below."""

    _backend: Backend
    _scope: Scope
    window: Callable[..., Any]
    _flushed: Callable[[], None]
    _session: Callable[[str | None], str]

    def analyze(self, session: str | None = None) -> Analysis:
        """Return what stands out in this session, or in `session`: causes of failure, and waste.

        Each finding has its evidence, the ids of steps and the versions of messages, and what
        to do. Windows are made again from the log where a call may have lacked something; other
        sessions of the namespace are what durations are compared with. Nothing is written.
        """
        from ctxplug.tracing.analysis import analyze
        from ctxplug.tracing.analysis.of_session import SessionSubject

        self._flushed()
        name = self._session(session)
        return analyze(SessionSubject(self._backend, self._scope.namespace, name, self.window))

    async def aanalyze(self, session: str | None = None) -> Analysis:
        """Async twin of `analyze`."""
        return await self._backend.arun(partial(self.analyze, session))
