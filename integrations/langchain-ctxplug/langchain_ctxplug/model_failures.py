"""Model calls that fail, as steps of the memory's trace; those that answer tell their usage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from langchain.agents.middleware import ModelRequest

from ctxplug import AgentMemory
from langchain_ctxplug.model_facts import name_of


@contextmanager
def failures_traced(memory: AgentMemory, request: ModelRequest[Any]) -> Iterator[None]:
    """Enter what the model call inside raises; it goes on its way."""
    at, began = datetime.now(UTC), perf_counter()
    try:
        yield
    except BaseException as exc:
        span = memory.trace.span(name_of(request.model) or "unknown", kind="model")
        with span.lasted(at, perf_counter() - began):
            span.failed(exc)
        raise
