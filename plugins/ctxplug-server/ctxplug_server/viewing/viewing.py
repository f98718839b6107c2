"""Viewing: all that the viewer asks of a store, for namespaces that the caller may see."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

from ctxplug import AgentMemory
from ctxplug.access.guarding import guarded
from ctxplug.inspector.reading import Reading
from ctxplug.registry import Registry
from ctxplug.rerun import rerun_session
from ctxplug.scope import Namespace
from ctxplug.storage import Backend, Stream
from ctxplug.tracing.rerun import Rerun
from ctxplug_server.viewing.held import Held, HeldSessions
from ctxplug_server.viewing.jobs import Jobs
from ctxplug_server.viewing.sessions import SessionList
from ctxplug_server.viewing.spending import By, Spending
from ctxplug_server.viewing.titles import Titles

__all__ = ["Viewing"]

T = TypeVar("T")
WORKERS = 4  # requests of viewers that are worked on at once; agents have threads of their own


class Viewing:
    """What is kept of a store for the viewer; reads only, and usable from any thread.

    What is told is what `agent` may see, by the access rules; None: the owner.
    """

    def __init__(self, backend: Backend, registry: Registry, *, embedder: Any = None) -> None:
        self._backend = backend
        self._registry = registry
        self._embedder = embedder
        self._held = HeldSessions()
        self.jobs = Jobs()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="ctxplug-viewing")
        self.titles = Titles()
        self._spending = Spending()
        self._list = SessionList(self.titles)

    def backend(self, agent: str | None) -> Backend:
        """Return the store as `agent` may use it."""
        return guarded(self._backend, agent)

    def reading(self, agent: str | None) -> Reading:
        """Return what reads the store as `agent` may."""
        return Reading(self.backend(agent), self._registry, embedder=self._embedder)

    def held(self, namespace: Namespace, session: str, agent: str | None = None) -> Held:
        """Return the session, kept from the last time; use it inside `working`."""
        stream = Stream(namespace, session)
        return self._held.of(
            agent, stream, lambda: Held(self.backend(agent), self.reading(agent), stream)
        )

    def sessions(
        self, namespaces: Sequence[Namespace], agent: str | None = None, **asked: Any
    ) -> dict[str, Any]:
        """Return a page of sessions: `q` and `state` choose, `limit` and `cursor` divide."""
        return self._list.page(self.backend(agent), self.reading(agent), namespaces, **asked)

    def spending(
        self,
        namespaces: Sequence[Namespace],
        agent: str | None,
        by: By,
        since: datetime | None,
        until: datetime | None,
    ) -> dict[str, Any]:
        """Return what namespaces spent, in buckets of time."""
        return self._spending.of(self.backend(agent), namespaces, by, since, until)

    def again(self, namespace: Namespace, session: str, agent: str | None) -> Callable[..., Rerun]:
        """Return what makes the recorded calls of a session again, under other settings."""

        def rerun(**settings: Any) -> Rerun:
            store = self.backend(agent)
            options: dict[str, Any] = {"session": session, "trace": False, "audit": False}
            with AgentMemory.open(store, namespace=namespace, **options) as memory:
                return rerun_session(memory, **settings)

        return rerun

    async def run(self, unit: Callable[[], T]) -> T:
        """Run `unit`, which may block, on a thread that no agent waits for."""
        run = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._workers, run, unit)

    def close(self) -> None:
        """Give up what is being computed; whoever closes the store ended the requests before."""
        self.jobs.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
