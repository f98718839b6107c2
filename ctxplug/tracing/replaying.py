"""What `memory.trace` has for looking back: replay, re-run, and two windows side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxplug.scope import Scope
from ctxplug.storage import Backend, Stream
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.step import Step

if TYPE_CHECKING:  # loaded at first use
    from ctxplug.tracing.difference import Difference
    from ctxplug.tracing.replay import Replay
    from ctxplug.tracing.rerun import Rerun


class ReplayVerbs:
    """Looking back; Trace brings the attributes below."""

    _backend: Backend
    _scope: Scope
    _counter: TokenCounter
    _rerun: Callable[..., Rerun]
    steps: Callable[..., list[Step]]
    get: Callable[..., Step]
    window: Callable[..., Any]
    _session: Callable[[str | None], str]

    def replay(self, session: str | None = None) -> Replay:
        """Return a cursor over the steps of this session, or of `session`, before the first.

        It goes forwards and backwards, stops at breakpoints and looks at watched values;
        nothing is run. What is recorded later is not in it.
        """
        from ctxplug.tracing.past import LogPast
        from ctxplug.tracing.replay import Replay

        name = self._session(session)
        stream = Stream(self._scope.namespace, name)
        past = LogPast(self._backend, stream, partial(self.window, session=name))
        return Replay(self.steps(session=name), past, session=name)

    def rerun(
        self,
        *,
        policy: Any = None,
        budget: int | None = None,
        model: str | None = None,
        session: str | None = None,
        progress: Callable[[int], None] = lambda calls: None,
    ) -> Rerun:
        """Make the recorded calls of this session again under other settings, and compare.

        `policy` is a name or a ContextPolicy, `budget` holds for every call, `model` picks
        counter and prices; what is left out is as it was. The messages are those of the log,
        and the queries those of the calls. No model is called and no tool is run, and nothing
        is written. Raises NotFoundError where no call was recorded.
        """
        return self._rerun(
            policy=policy,
            budget=budget,
            model=model,
            session=self._session(session),
            progress=progress,
        )

    def compare(self, before: Step | str, after: Step | str) -> Difference:
        """Return what the window of the step `after` has otherwise than that of `before`.

        Steps are given as they are, or by their ids in this session; messages are told apart
        by their ids, so that a fork can be set beside what it was forked from.
        """
        from ctxplug.tracing.difference import Difference

        first, second = (one if isinstance(one, Step) else self.get(one) for one in (before, after))
        return Difference(self._sent(first), self._sent(second), second.id)

    def _sent(self, step: Step) -> Any:
        from ctxplug.tracing.past import LogPast, head_of
        from ctxplug.tracing.sent import sent

        window = self.window(step, session=step.session).window
        past = LogPast(self._backend, Stream(self._scope.namespace, step.session), self.window)
        return sent(window, past.said(head_of(step) or 0), self._counter)

    # -- a-twins -------------------------------------------------------------------------

    async def areplay(self, session: str | None = None) -> Replay:
        """Async twin of `replay`; the cursor itself is not asynchronous."""
        return await self._backend.arun(partial(self.replay, session))

    async def arerun(self, **options: Any) -> Rerun:
        """Async twin of `rerun`."""
        return await self._backend.arun(partial(self.rerun, **options))

    async def acompare(self, before: Step | str, after: Step | str) -> Difference:
        """Async twin of `compare`."""
        return await self._backend.arun(partial(self.compare, before, after))
