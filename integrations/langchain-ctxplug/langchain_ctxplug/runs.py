"""Whose memory a call is about: found by the run it is made in, never by a model."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ctxplug import AgentMemory
from ctxplug.errors import InvalidValueError
from ctxplug.memory_like import is_memory
from ctxplug.scope import to_namespace
from langchain_ctxplug.opening import memory_of

__all__ = ["HasMemory", "Memories", "Run"]

KEPT_OPEN = 256  # memories of different users and sessions


@runtime_checkable
class HasMemory(Protocol):
    """What knows the memory of a run, such as CtxplugMiddleware."""

    def memory_of(self, runtime: Any = None) -> AgentMemory:
        """Return the memory of the run's user and thread."""


@dataclass(frozen=True)
class Run:
    """The run a tool is called in: its `config`, and the `context` given to the graph."""

    config: Mapping[str, Any]
    context: Any = None

    @property
    def configurable(self) -> Mapping[str, Any]:
        """The `configurable` part of the config, such as thread_id and user_id."""
        return self.config.get("configurable") or {}


class Memories:
    """Finds the memory of a run; those opened for it stay open while they are in use."""

    def __init__(self, target: Any, options: Mapping[str, Any]) -> None:
        if isinstance(target, HasMemory):
            target = target.memory_of
        self._by_run = {name: value for name, value in options.items() if callable(value)}
        self._fixed = {name: v for name, v in options.items() if name not in self._by_run}
        self._target = target
        self.fixed: AgentMemory | None = None  # the memory, if it is the same for every run
        self._find = callable(target) and not is_memory(target)
        self._open: OrderedDict[tuple[Any, ...], AgentMemory] = OrderedDict()
        self._lock = threading.Lock()
        if self._find and options:
            raise InvalidValueError(
                f"A function gives the memory itself, so {', '.join(sorted(options))} cannot be"
                " set here; open it with them in the function.",
                path=min(options),
            )
        if not self._find and (is_memory(target) or not self._by_run):
            self.fixed = memory_of(target, **options)

    async def awaited(self, config: Mapping[str, Any]) -> AgentMemory:
        """Async twin: a store that must be opened first is opened on another thread."""
        return self(config) if self.fixed else await asyncio.to_thread(self, config)

    def __call__(self, config: Mapping[str, Any]) -> AgentMemory:
        """Return the memory of the run that has this config."""
        if self.fixed is not None:
            return self.fixed
        run = Run(config, _context())
        if self._find:
            found: AgentMemory = self._target(run)
            return found
        given = {name: value(run) for name, value in self._by_run.items()}
        if "namespace" in given:  # it may be an iterator, which is no key
            given["namespace"] = to_namespace(given["namespace"])
        key = tuple(given.items())
        try:
            hash(key)
        except TypeError:  # nothing tells such a value from another
            return memory_of(self._target, **self._fixed, **given)
        with self._lock:
            if key not in self._open:
                self._open[key] = memory_of(self._target, **self._fixed, **given)
                if len(self._open) > KEPT_OPEN:
                    self._open.popitem(last=False)  # closed when nobody uses it any more
            self._open.move_to_end(key)
            return self._open[key]


def _context() -> Any:
    """Return the context of the LangGraph run that is going on, or None outside of one."""
    try:
        from langgraph.runtime import get_runtime
    except ImportError:
        return None
    try:
        runtime = get_runtime()
    except (RuntimeError, KeyError):
        return None
    return getattr(runtime, "context", None)
