"""Calls of the API as steps of the memory's trace."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ctxplug import AgentMemory
from ctxplug.context.window import ContextWindow
from ctxplug.messages import Message
from ctxplug_anthropic.attempts import Attempts


class ModelStep:
    """A call of `model`, from now until it is answered or has failed."""

    def __init__(self, memory: AgentMemory, model: str, attempts: Attempts) -> None:
        self._memory = memory
        self._model = model
        self._attempts = attempts
        self._at = datetime.now(UTC)
        self._began = time.perf_counter()

    def answered(
        self,
        settle: Callable[[ContextWindow, Attempts, Any, Message], None],
        window: ContextWindow,
        reply: Any,
        message: Message,
    ) -> None:
        """Enter the answer and, by `settle`, what it has taken."""
        seconds = time.perf_counter() - self._began
        span = self._memory.trace.span(self._model, kind="model")
        with span.lasted(self._at, seconds):
            span.set(stop_reason=message.metadata["stop_reason"], attempts=self._attempts.made)
            settle(window, self._attempts, reply, message)
        self._retries(span.id)

    def failed(
        self,
        exc: BaseException,
        settle: Callable[[ContextWindow, Attempts], None],
        window: ContextWindow,
    ) -> None:
        """Enter the failure and, by `settle`, what it may have taken."""
        seconds = time.perf_counter() - self._began
        span = self._memory.trace.span(self._model, kind="model")
        with span.lasted(self._at, seconds):
            span.set(attempts=self._attempts.made)
            span.failed(exc)
            settle(window, self._attempts)
        self._retries(span.id)

    def _retries(self, call: str) -> None:
        for attempt in range(2, self._attempts.made + 1):
            self._memory.trace.record(
                "retry",
                self._model,
                started_at=self._at,
                duration=0.0,
                parent=call,
                attempt=attempt,
            )


def retried(memory: AgentMemory, model: str, why: str) -> None:
    """Enter that a call is made once more, with a smaller window."""
    memory.trace.record("retry", model, started_at=datetime.now(UTC), duration=0.0, reason=why)
