"""Executor: runs the calls of a turn together, each within its limits, each with one result."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from ctxplug.errors import ToolError
from ctxplug.messages import ToolCallPart
from ctxplug.scope import namespace_key
from ctxplug.storage import Stream
from ctxplug.tools.host import ToolHost
from ctxplug.tools.jobs import ELSEWHERE, USED_TWICE, Job, error_text, late, prepare, to_jobs
from ctxplug.tools.limits import PLACES, Places
from ctxplug.tools.output import shown
from ctxplug.tools.policy import ToolPolicy
from ctxplug.tools.recorder import Recorder
from ctxplug.tools.rules import PendingCall
from ctxplug.tools.run_log import RunLog
from ctxplug.tools.runners import LIVE
from ctxplug.tools.running import attempt
from ctxplug.tools.runs import INTERRUPTED, Outcome, ToolRun
from ctxplug.tools.tool import Tool

GRACE = 60.0  # seconds after its time by which a run has ended, wherever it is
PAUSE = 0.05  # seconds before a second attempt; doubled before each other one
LOOK = 0.02, 0.5  # seconds between looks at a run of another process

Plan = list[Job]


class Executor:
    """Runs tool calls for one memory. A plan is made, asked about, begun, and carried out."""

    def __init__(
        self,
        host: ToolHost,
        policy: ToolPolicy,
        find: Callable[[str], Tool],
        places: Places = PLACES,
    ) -> None:
        self.policy = policy
        self.log = RunLog(
            host.backend, Stream(host.scope.namespace, host.scope.session), host.scope.agent
        )
        self._host = host
        self._find = find
        self._places = places
        self._user = namespace_key(host.scope.namespace)

    def planned(self, calls: Sequence[ToolCallPart]) -> Plan:
        """Return a job for each call: validated, or with its end where it is not to run."""
        jobs = to_jobs(calls, self._host.guards, self._host.scope)
        known = self.log.known(job.call.id for job in jobs)
        tools: dict[str, Tool] = {}
        for job in jobs:
            if job.outcome is None and job.call.id not in known:
                self._prepare(job, tools)
        return jobs

    def pending(self, plan: Plan, seen: set[str]) -> PendingCall | None:
        """Return the next call that is to be asked about; rules decide on the others."""
        for job in plan:
            if job.outcome is not None or job.tool is None or job.start.run in seen:
                continue
            seen.add(job.start.run)
            decision = self.policy.decide(job.tool, self._host.scope, job.arguments)
            if decision.action == "deny":
                text = f"The tool {job.tool.name!r} was refused {decision.reason}."
                job.end("refused", text)
            elif decision.action == "ask":
                return PendingCall(job.call, job.tool, job.arguments, self._host.scope, decision)
        return None

    def decided(self, plan: Plan, pending: PendingCall, yes: bool, *, asked: bool) -> None:
        """Take in the answer to a pending call."""
        job = next(job for job in plan if job.call is pending.call)
        if not yes:
            why = "was not approved" if asked else "needs an approval, and nobody can be asked"
            job.end("refused", f"The call of {pending.name!r} {why}; it did not run.")

    def begin(self, plan: Plan) -> None:
        """Record the plan: from here on, a crash leaves a trace of every call."""
        fresh = [job for job in plan if job.tool is not None or job.outcome is not None]
        going = [job for job in fresh if job.outcome is None]
        recorded = self.log.begin(
            [job.start for job in going],
            [job.to_end(self._host.guards, self._host.scope) for job in fresh if job.outcome],
            self._until(going),
        )
        for job in plan:
            if job.start.run not in recorded:
                LIVE.discard(job.start.run)
                job.tool, job.outcome = None, None  # it was begun before, here or elsewhere
                continue
            job.started = self.log.started(job.start)
            if job.outcome is None:
                self._host.notify("tool.started", id=job.start.run, tool=job.start.tool)

    async def carried_out(self, plan: Plan, deadline: float | None) -> list[ToolRun]:
        """Run what is to run, wait for what runs elsewhere, and return all runs in order."""
        loop = asyncio.get_running_loop()
        end = None if deadline is None else loop.time() + deadline
        going = [job for job in plan if job.tool is not None and job.outcome is None]
        recorder = Recorder(self._host.backend, self._finished, going)
        tasks = [asyncio.ensure_future(self._one(job, recorder, end)) for job in going]
        try:
            if tasks:
                await asyncio.wait(tasks)
            for task in tasks:
                task.result()
            made = await recorder.runs()
            return [made.get(job.call.id) or await self._other(job, end) for job in plan]
        except BaseException:
            for task in tasks:
                task.cancel()
            recorder.interrupt()
            raise
        finally:
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.exception()  # the first was raised

    def under_way(self, plan: Plan) -> None:
        """Say that this process is at these, until they are `over`."""
        LIVE.update(job.start.run for job in plan)

    def over(self, plan: Plan) -> None:
        """Say that this process is at none of these any more."""
        LIVE.difference_update(job.start.run for job in plan)

    def recovered(self) -> list[ToolRun]:
        """Give an end to what a crash interrupted, and return those runs."""
        return [run for call in self.log.recover() if (run := self._read(call))]

    # -- inside --------------------------------------------------------------------------

    def _prepare(self, job: Job, tools: dict[str, Tool]) -> None:
        try:
            tool = tools.get(job.call.name) or self._find(job.call.name)
        except (ToolError, LookupError) as exc:
            job.end("invalid", str(exc))
            return
        except Exception as exc:  # a plugin whose tool cannot be made
            job.end("error", f"The tool {job.call.name!r} is not available: {type(exc).__name__}.")
            return
        tools[job.call.name] = tool
        job.start.version = tool.version
        prepare(job, tool)

    def _until(self, jobs: Sequence[Job]) -> datetime:
        """Return when all of `jobs` have ended for certain."""
        longest = max((self._timeout(job.tool) for job in jobs if job.tool), default=0.0)
        seconds = self.policy.queue_timeout + longest + GRACE
        return datetime.now(UTC) + timedelta(seconds=seconds)

    def _timeout(self, tool: Tool) -> float:
        return self.policy.timeout if tool.timeout is None else tool.timeout

    async def _one(self, job: Job, recorder: Recorder, end: float | None) -> None:
        """Run one job in a place of its own, and record what came of it."""
        loop = asyncio.get_running_loop()
        left = float("inf") if end is None else end - loop.time()
        seconds = min(self.policy.queue_timeout, left)
        most, per_user = self.policy.concurrency, self.policy.per_user
        place = await self._places.enter(self._user, most=most, per_user=per_user, seconds=seconds)
        if place is None:
            job.end(
                "refused",
                f"The tool {job.start.tool!r} did not run: as many calls as may run at once were"
                f" running for {max(seconds, 0):g} seconds. Try again later.",
            )
        else:
            try:
                job.step = self._host.begin(job.start.tool)
                await self._run(job, end)
            finally:
                self._places.leave(place)
        recorder.ended(job)

    async def _run(self, job: Job, end: float | None) -> None:
        """Call the function, and again after a failure where that does no harm."""
        assert job.tool is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        seconds = self._timeout(job.tool)
        until = began + seconds if end is None else min(began + seconds, end)
        tries = 1 + (self.policy.retries if job.tool.idempotent else 0)
        while job.outcome is None and loop.time() < until:
            job.attempts += 1
            failed = await self._attempt(job, until - loop.time())
            if failed is None:
                break
            pause = PAUSE * 2**job.attempts * random.random()
            if job.attempts >= tries or loop.time() + pause >= until:
                job.end("error", failed)
            else:
                await asyncio.sleep(pause)
        job.duration = loop.time() - began
        job.end("timeout", late(job, until - began))

    async def _attempt(self, job: Job, seconds: float) -> str | None:
        """Try once; return the text of an error after which it may be tried again."""
        assert job.tool is not None
        given = job.given if isinstance(job.given, Mapping) else job.arguments
        try:
            answer = await attempt(job.tool, job.arguments, given, seconds)
        except ToolError as exc:
            job.end("error", str(exc))
            return None
        except OSError as exc:  # no process or thread can be started
            return f"The tool {job.tool.name!r} could not be started: {type(exc).__name__}."
        if answer is None:
            return None
        job.answer = answer
        if answer.result is None or "error" not in answer.result:
            job.end("ok")
            return None
        text = error_text(job.tool.name, answer.result)
        if answer.result["text"]:  # the tool has said no, and would again
            job.end("error", text)
            return None
        return text

    def _finished(self, jobs: Sequence[Job]) -> list[ToolRun]:
        """Record the ends of `jobs`, and return their runs as the model is told of them."""
        guards, scope = self._host.guards, self._host.scope
        runs = self.log.finish([job.to_end(guards, scope) for job in jobs])
        found = [
            self._shown(run) if run else self._read(job.call.id)
            for job, run in zip(jobs, runs, strict=True)
        ]
        for job, run in zip(jobs, found, strict=True):
            assert run is not None  # another end was first
            self._host.ran(run, job.step)
            self._host.notify(
                "tool.finished",
                id=run.id,
                tool=run.tool,
                outcome=run.outcome,
                duration=run.duration,
                attempts=run.attempts,
            )
        return [run for run in found if run is not None]

    async def _other(self, job: Job, end: float | None) -> ToolRun:
        """Return the run of a call that was begun before, once it has ended."""
        pause = LOOK[0]
        left = float("inf")
        while True:
            if end is not None:
                left = end - asyncio.get_running_loop().time()
            run = await self._host.backend.arun(partial(self._settled, job, left <= 0))
            if run is not None:
                return run
            await asyncio.sleep(max(0.0, min(pause, left)))
            pause = min(2 * pause, LOOK[1])

    def _settled(self, job: Job, is_late: bool) -> ToolRun | None:
        known = self.log.known([job.call.id]).get(job.call.id)
        if known is None:  # it was erased meanwhile
            return self._noted(job, "interrupted", INTERRUPTED)
        if known.digest != job.start.digest:
            return self._noted(job, "invalid", USED_TWICE.format(job.call.id))
        if known.is_dead():
            self.log.recover()
        run = self._read(job.call.id)
        if run is None and is_late:
            return self._noted(job, "timeout", ELSEWHERE.format(job.call.id))
        return run

    def _noted(self, job: Job, outcome: Outcome, text: str) -> ToolRun:
        """Return what this call is told, where the run of its id is another's."""
        job.end(outcome, text)
        job.started = None
        end = job.to_end(self._host.guards, self._host.scope)
        return self.log.note(end)

    def _read(self, call: str) -> ToolRun | None:
        found = self.log.read(call)
        return self._shown(found) if found else None

    def _shown(self, run: ToolRun) -> ToolRun:
        """Return a run with its message as the model gets it."""
        if run.message is None or run.result is None:
            return run
        message = shown(
            run.message,
            run.result,
            self._host.counter,
            characters=self.policy.output_limit,
            tokens=self.policy.preview_tokens,
        )
        return run if message is run.message else replace(run, message=message)
