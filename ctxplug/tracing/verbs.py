"""What AgentMemory has of its trace: `memory.trace`, and how its verbs tell of what they did."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ctxplug.guards import Guards
from ctxplug.scope import Scope
from ctxplug.storage import Backend
from ctxplug.tokens import TokenCounter
from ctxplug.tracing.policy import TracePolicy, to_trace_policy
from ctxplug.tracing.span import Span, current_span
from ctxplug.tracing.step import COMPACTION, ERROR, FAILED, MODEL, OK, RECALL, RETRY, TOOL
from ctxplug.tracing.trace import Rebuild, Trace

if TYPE_CHECKING:
    from ctxplug.tokens.ledger import Recorded

FAILURES = {"recall.degraded": "why", "maintenance.failed": "error"}  # events, and what says why


class TraceVerbs:
    """The trace of a memory; AgentMemory brings the attributes below."""

    backend: Backend
    scope: Scope
    counter: TokenCounter
    trace: Trace
    _guards: Guards
    _sent_at: float | None

    if TYPE_CHECKING:

        def _rerun(self, **settings: Any) -> Any: ...
        def _refuse_closed(self) -> None: ...

    def _trace_by(self, policy: TracePolicy | float | bool | None, rebuild: Rebuild) -> None:
        """Take the policy by which steps are kept, and what makes past windows again."""
        redacts = self._guards.redacts
        self.trace = Trace(
            self.backend,
            self.scope,
            to_trace_policy(policy),
            redact=(lambda text: self._guards.redact(text, self.scope)) if redacts else None,
            rebuild=rebuild,
            rerun=self._rerun,
            counter=self.counter,
            check_open=self._refuse_closed,
        )
        self._sent_at = None

    def _trace_recall(self, query: str, k: int | None = None) -> Span:
        data: dict[str, Any] = {"query": query, "found": []}
        return self.trace.opened(RECALL, "recall", data=data if k is None else {**data, "k": k})

    def _trace_failure(self, event: str, data: Mapping[str, Any]) -> None:
        """Enter an error that no verb raises: what an event tells of."""
        span = self.trace.opened(ERROR, event)
        span.outcome, span.error = FAILED, str(data.get(FAILURES[event]))
        self.trace.ended(span)

    def _trace_compaction(self, done: Any) -> None:
        """Enter a compaction, inside the window that it is made for."""
        span = self.trace.opened(COMPACTION, done.details["policy"])
        span.started -= done.seconds
        span.duration, span.tokens = done.seconds, done.after
        span.data = {
            "number": done.details["number"],
            "before": done.before,
            "after": done.after,
            "version": done.version,
            "gain": done.details["gain"],
        }
        if done.details["notes"]:
            span.data["notes"] = list(done.details["notes"])
        self.trace.ended(span)

    def _trace_tool(self, tool: str) -> Span:
        """Open the step of a tool run for the task that runs it, which runs nothing else."""
        return self.trace.opened(TOOL, tool).around_task()

    def _trace_run(self, run: Any, step: Span | None) -> None:
        """Enter a tool run that has ended, and its further attempts."""
        span = step or self.trace.opened(TOOL, run.tool)
        span.started, span.duration = run.started_at.timestamp(), run.duration
        span.outcome, span.error = run.outcome, run.error
        span.data = {
            "run": run.id,
            "call_id": run.call_id,
            "arguments": run.arguments,
            "result": run.result,
            "attempts": run.attempts,
        }
        self.trace.ended(span)
        for attempt in range(2, run.attempts + 1):
            retry = self.trace.opened(RETRY, run.tool, parent=span, data={"attempt": attempt})
            retry.started = span.started
            self.trace.ended(retry)

    def _note_usage(self, recorded: Recorded) -> None:
        """Enter what a model call has used: in the span of that call, or as a step of its own.

        Such a step lasts from the last window on, as nobody said when the call was made.
        """
        usage = recorded.usage
        told = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cache_read": usage.cache_read_tokens,
            "cache_write": usage.cache_write_tokens,
        }
        span = current_span()
        if span is not None and span.kind == MODEL:
            span.tokens, span.cost = usage.total, recorded.cost
            span.data["usage"] = told
            return
        span = self.trace.opened(MODEL, usage.model or "unknown", data={"usage": told})
        if self._sent_at is not None:
            span.duration = time.perf_counter() - self._sent_at
            span.started -= span.duration
            self._sent_at = None
        span.tokens, span.cost, span.outcome = usage.total, recorded.cost, OK
        self.trace.ended(span)
