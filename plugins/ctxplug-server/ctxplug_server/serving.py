"""Serving: what one server holds: the store, open memories, keys, and who listens."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from ctxplug import AgentMemory, CtxplugError
from ctxplug.context.policy import to_policy
from ctxplug.plugins import Plugins, installed
from ctxplug.registry import Registry, is_spec
from ctxplug.scope import Namespace
from ctxplug.storage import Backend
from ctxplug.storage.shared import acquire, path_of, release
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.default import default_counter
from ctxplug.tokens.prices import Prices
from ctxplug_server.idempotency import RequestBackend
from ctxplug_server.keys import Keys
from ctxplug_server.limiting import Limits
from ctxplug_server.live import Hub, WatchedBackend
from ctxplug_server.monitoring import Meters, Sampler
from ctxplug_server.monitoring.meters import metered
from ctxplug_server.pool import Opening, Pool
from ctxplug_server.settings import ServerSettings
from ctxplug_server.viewing import Viewing
from ctxplug_server.wire.policies import policy_from

__all__ = ["Serving", "keys_path"]

T = TypeVar("T")
WORKERS = 16  # requests that are worked on at once; most of them wait for the disk
BUSY_WORKERS = 2  # for those that compute
TIDY_SECONDS = 1.0
CLOSE_EVERY, FORGET_EVERY = 30, 600  # rounds; the latter looks at every namespace


class Serving:
    """Everything a server's requests share. `close` flushes and closes all of it, once.

    `backend` is what memories are opened on: `store`, whose writes carry the marks of
    `requests` and are told to `hub`. `closing` is set when the server begins to end.
    """

    def __init__(
        self, target: str | os.PathLike[str] | Backend, settings: ServerSettings | None = None
    ) -> None:
        self.settings = settings or ServerSettings()
        self.plugins = installed()
        self.registry = Registry(self.plugins)
        self.target = "" if isinstance(target, Backend) else os.fspath(target)
        self.keys = Keys(self.settings.keys or keys_path(self.target))
        self.limits = Limits(self.settings)
        self.embedder = self.registry.resolve("embedder", self.settings.embedder)
        self._counters: dict[str | None, TokenCounter] = {}
        self.counter_for(self.settings.model)  # what is wrong is told now, not to a request
        to_policy(policy_from(self.settings.policy), Prices().ratios_of(self.settings.model))
        self._own = not isinstance(target, Backend)
        self.store = target if isinstance(target, Backend) else self._acquired()
        self.pool = Pool(
            self._open,
            most=self.settings.memories_open,
            idle_seconds=self.settings.memory_idle_seconds,
        )
        self._forgetting: list[Callable[[Namespace], None]] = [self.pool.drop]
        self.requests = RequestBackend(self.store, self._erasing, self.settings.idempotency_hours)
        self.hub = Hub(self.store, poll=self.settings.poll_seconds)
        self.backend: Backend = WatchedBackend(self.requests, self.hub)
        self.viewing = Viewing(self.store, self.registry, embedder=self.embedder)
        self.meters = Meters()
        self.sampler = Sampler(self.store, path_of(self.target))
        self.closing = threading.Event()
        self._kind = metered(self.meters)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="ctxplug-server")
        self._busy = ThreadPoolExecutor(BUSY_WORKERS, thread_name_prefix="ctxplug-busy")
        self._running: set[Future[Any]] = set()
        self.stuck = False  # whether a request was still at work when it was closed
        self._closed = False
        self._ended = threading.Event()
        self._janitor = threading.Thread(target=self._tidy, daemon=True, name="ctxplug-janitor")
        self._janitor.start()

    async def run(self, unit: Callable[[], T], *, busy: bool = False) -> T:
        """Run `unit`, which may block, on a worker thread, with the context of the request.

        What is `busy`, and computes for most of its time, has few threads: more of them only
        get into each other's way.
        """
        run = contextvars.copy_context().run
        future = (self._busy if busy else self._workers).submit(run, unit)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def warm_up(self) -> None:
        """Load what the first requests would otherwise wait for: modules, words and a counter."""
        counter = self.counter_for(self.settings.model)
        plugins = Plugins(load_entry_points=False)
        with AgentMemory.open(namespace="warm-up", counter=counter, plugins=plugins) as memory:
            memory.add("user", "Where do I live? 我住在哪里？")
            memory.remember("The user lives in Lisbon. 用户住在里斯本。")
            memory.context("Lisbon 里斯本").to_anthropic()

    def drain(self) -> None:
        """Begin to end: live connections are told, and the server says that it is not ready."""
        if not self.closing.is_set():
            self.closing.set()
            self.hub.end()

    def close(self) -> None:
        """Let what runs finish, write what waits, and close the store."""
        if self._closed:
            return
        self._closed = True
        self.drain()
        self._ended.set()
        self.sampler.close()
        self.viewing.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._busy.shutdown(wait=False, cancel_futures=True)
        _, late = wait(list(self._running), timeout=self.settings.shutdown_seconds)
        self.stuck = bool(late)
        self._janitor.join()
        self.pool.close()
        if self._own:
            release(self.store)

    def when_erasing(self, forget: Callable[[Namespace], None]) -> None:
        """Let `forget` be called with a namespace before anything of it is erased."""
        self._forgetting.append(forget)

    def counter_for(self, model: str | None) -> TokenCounter:
        """Return the token counter for `model`, the same one each time."""
        found = self._counters.get(model)
        if found is None:
            named = self.settings.counter
            found = (
                self.registry.resolve("token counter", named)
                if named
                else default_counter(model, self.registry)
            )
            if len(self._counters) < 64:
                self._counters[model] = found
        return found

    def _erasing(self, namespace: Namespace) -> None:
        for forget in self._forgetting:
            forget(namespace)

    def _open(self, opening: Opening) -> AgentMemory:
        settings = self.settings
        model = opening.model or settings.model
        return self._kind.open(
            self.backend,
            namespace=opening.namespace,
            session=opening.session,
            agent=opening.agent,
            budget=settings.budget,
            model=model,
            policy=policy_from(opening.policy or settings.policy),
            counter=self.counter_for(model),
            embedder=self.embedder,
            trace=None if opening.session else False,  # steps need a session to be kept in
            plugins=self.plugins,
        )

    def _acquired(self) -> Backend:
        target = self.target
        if self.settings.read_only and not is_spec(target):
            target = f"sqlite:///{target}?mode=ro"
        return acquire(target, self.registry)

    def _tidy(self) -> None:
        for round in count(1):
            if self._ended.wait(TIDY_SECONDS):
                return
            with suppress(CtxplugError):
                self.pool.store_steps()
                if round % CLOSE_EVERY == 0:
                    self.pool.close_idle()
                if round % FORGET_EVERY == 0:
                    self.requests.forget_old()

    def __repr__(self) -> str:
        return f"<Serving {len(self.pool)} memories open>"


def keys_path(target: str) -> str | None:
    """Return the file beside the store that holds its keys; None for what is no file."""
    path = path_of(target)
    return f"{path}.keys.json" if path else None
