"""The verbs of `memory.tools` that run tools and tell of runs."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

from ctxplug.errors import InvalidValueError
from ctxplug.messages import Message, ToolCallPart
from ctxplug.scope import new_id, to_session
from ctxplug.storage import Stream
from ctxplug.tools import loops
from ctxplug.tools.approvals import answered, asked, asked_in_thread
from ctxplug.tools.executor import Executor, Plan
from ctxplug.tools.host import ToolHost
from ctxplug.tools.policy import ToolPolicy
from ctxplug.tools.rules import Approve
from ctxplug.tools.run_log import RunLog
from ctxplug.tools.runs import ToolRun
from ctxplug.tools.tool import Tool


class RunVerbs:
    """Run tools; the registry brings the attributes below."""

    host: ToolHost
    policy: ToolPolicy

    if TYPE_CHECKING:

        def get(self, name: str) -> Tool:
            """Return the tool of that name."""

    @cached_property
    def _executor(self) -> Executor:
        return Executor(self.host, self.policy, self.get)

    def run(
        self,
        calls: Message | Sequence[ToolCallPart],
        *,
        approve: Approve | None = None,
        deadline: float | None = None,
        store: bool = False,
    ) -> Sequence[Message]:
        """Run the calls of a turn together; return one tool message each, in their order.

        `calls` are those of an assistant message, or the message. Whatever happens to a call,
        its message says so; nothing a tool raises is raised here. A call id runs once: for one
        that has ended, here or in another process, its recorded result is returned. What the
        rules ask about goes to `approve`, else to the policy's, which answers True for yes.
        After `deadline` seconds what still runs is given up. With `store` the messages are
        added to the session. Raises InvalidMessageError for two calls of one id,
        SessionStateError where nothing is added to the session, and what the store raises where
        it cannot be written: then nothing ran, or its end is not known.
        """
        runs = self._run(_calls(calls), approve, deadline)
        messages = _messages(runs)
        return self.host.extend(messages) if store else messages

    async def arun(
        self,
        calls: Message | Sequence[ToolCallPart],
        *,
        approve: Approve | None = None,
        deadline: float | None = None,
        store: bool = False,
    ) -> Sequence[Message]:
        """Async twin of `run`; async tools run in this event loop, and end if it is cancelled."""
        messages = _messages(await self._arun(_calls(calls), approve, deadline))
        if not store:
            return messages
        return await self.host.backend.arun(partial(self.host.extend, messages))

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        call_id: str | None = None,
        approve: Approve | None = None,
        deadline: float | None = None,
    ) -> ToolRun:
        """Run one tool, by the same rules as a call of a model, and return the run."""
        return self._run([_call(name, arguments, call_id)], approve, deadline)[0]

    async def acall(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        call_id: str | None = None,
        approve: Approve | None = None,
        deadline: float | None = None,
    ) -> ToolRun:
        """Async twin of `call`."""
        return (await self._arun([_call(name, arguments, call_id)], approve, deadline))[0]

    def history(
        self, *, limit: int | None = 100, tool: str | None = None, session: str | None = None
    ) -> Sequence[ToolRun]:
        """Return the runs of this session, or of `session`, that have ended, the newest first.

        `tool` names one tool, `limit` is how many at most (None: all).
        """
        self.host.check_open()
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int) or limit < 0
        ):
            raise InvalidValueError(f"limit is 0 or more, or None, not {limit!r}.", path="limit")
        log = self._executor.log
        if session is not None:
            stream = Stream(self.host.scope.namespace, to_session(session))
            log = RunLog(self.host.backend, stream, self.host.scope.agent)
        return log.history(limit=limit, tool=tool)

    async def ahistory(self, **options: Any) -> Sequence[ToolRun]:
        """Async twin of `history`."""
        return await self.host.backend.arun(partial(self.history, **options))

    def recover(self) -> Sequence[ToolRun]:
        """Give every run that a crash interrupted its end, and return those runs.

        Each has a message that says so, for the model. What another living process runs is
        left alone. `run` does the same before it begins.
        """
        self.host.check_open()
        return self._executor.recovered()

    async def arecover(self) -> Sequence[ToolRun]:
        """Async twin of `recover`."""
        return await self.host.backend.arun(self.recover)

    # -- inside --------------------------------------------------------------------------

    def _run(
        self, calls: Sequence[ToolCallPart], approve: Approve | None, deadline: float | None
    ) -> Sequence[ToolRun]:
        self._check(deadline)
        executor, approve = self._executor, approve or self.policy.approve
        plan, seen = executor.planned(calls), set[str]()
        while pending := executor.pending(plan, seen):
            answer = asked(approve, pending) if approve else None
            if isinstance(answer, Awaitable):
                answer = loops.run(answered(answer))
            executor.decided(plan, pending, answer is True, asked=approve is not None)
        executor.under_way(plan)
        try:
            executor.begin(plan)
            return loops.run(executor.carried_out(plan, deadline))
        finally:
            executor.over(plan)

    async def _arun(
        self, calls: Sequence[ToolCallPart], approve: Approve | None, deadline: float | None
    ) -> Sequence[ToolRun]:
        self._check(deadline)
        executor, approve = self._executor, approve or self.policy.approve
        arun = self.host.backend.arun
        plan: Plan = await arun(partial(executor.planned, calls))
        seen = set[str]()
        while pending := executor.pending(plan, seen):
            yes = await asked_in_thread(approve, pending) if approve else False
            executor.decided(plan, pending, yes, asked=approve is not None)
        executor.under_way(plan)
        try:
            await arun(partial(executor.begin, plan))
            return await executor.carried_out(plan, deadline)
        finally:
            executor.over(plan)

    def _check(self, deadline: float | None) -> None:
        self.host.check_open()
        self.host.check_session()
        if deadline is None:
            return
        number = isinstance(deadline, int | float) and not isinstance(deadline, bool)
        if not number or not deadline >= 0:
            raise InvalidValueError(
                f"deadline is a number of seconds, or None, not {deadline!r}.", path="deadline"
            )


def _calls(calls: Message | Sequence[ToolCallPart]) -> Sequence[ToolCallPart]:
    return calls.tool_calls if isinstance(calls, Message) else list(calls)


def _call(name: str, arguments: Mapping[str, Any] | None, call_id: str | None) -> ToolCallPart:
    return ToolCallPart(call_id or f"call_{new_id()}", name, arguments or {})


def _messages(runs: Sequence[ToolRun]) -> list[Message]:
    return [cast(Message, run.message) for run in runs]
