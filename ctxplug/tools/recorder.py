"""Recorder: writes the ends of a turn's calls, those that come together in one write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from ctxplug.errors import CtxplugError
from ctxplug.storage import Backend
from ctxplug.tools.jobs import Job
from ctxplug.tools.runs import ToolRun

Finish = Callable[[Sequence[Job]], list[ToolRun]]


class Recorder:
    """Records the ends of `jobs` by `finish`, on the backend's own threads."""

    def __init__(self, backend: Backend, finish: Finish, jobs: Sequence[Job]) -> None:
        self._backend = backend
        self._finish = finish
        self._left = {job.start.run: job for job in jobs}  # those that have not ended
        self._waiting: list[Job] = []
        self._writing: asyncio.Task[None] | None = None
        self._runs: dict[str, ToolRun] = {}

    def ended(self, job: Job) -> None:
        """Take in a job that has ended, to be written with others that have."""
        self._waiting.append(job)
        del self._left[job.start.run]
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write())

    async def runs(self) -> dict[str, ToolRun]:
        """Return the runs of all jobs by call id, once the ends of all are durable."""
        if self._writing is not None:
            await self._writing
        return self._runs

    def interrupt(self) -> None:
        """Record at once what has ended, and all that has not as interrupted."""
        jobs = [*self._waiting, *self._left.values()]
        self._waiting, self._left = [], {}
        if jobs:
            with suppress(CtxplugError):  # a start without an end is found by the next to look
                self._finish(jobs)

    async def _write(self) -> None:
        try:
            while self._waiting:
                before = 0
                while self._left and before < len(self._waiting):  # more end in this moment
                    before = len(self._waiting)
                    await asyncio.sleep(0)
                batch, self._waiting = self._waiting, []
                runs = await self._backend.arun(partial(self._finish, batch))
                self._runs |= {run.call_id: run for run in runs}
        finally:
            if self._left:
                self._writing = None  # the next to end begins another
