"""HeldSteps: the steps of a session, and of what it was forked from, read on as they come."""

from __future__ import annotations

from collections.abc import Sequence

from ctxplug.storage import Backend, Stream
from ctxplug.tracing.reading import step_of
from ctxplug.tracing.recorder import STEPS, trace_stream
from ctxplug.tracing.step import Step

__all__ = ["HeldSteps"]

PAGE = 512


class HeldSteps:
    """All steps of `stream`, those of its past in other sessions included."""

    def __init__(self, backend: Backend, stream: Stream) -> None:
        self.all: Sequence[Step] = ()
        self._backend = backend
        self._stream = stream
        self._read: dict[str, int] = {}  # up to which version, by session

    def renew(self) -> None:
        """Read what was added; what is gone, as a trace is that was erased, is gone here too."""
        found: list[Step] = []
        for session, last in self._backend.lineage(self._stream) or [(self._stream.session, 0)]:
            own = session == self._stream.session
            steps = self._new(session)
            found += steps if own else [step for step in steps if _head(step) <= last]
        if found:
            self.all = sorted([*self.all, *found], key=lambda step: step.started_at)

    def _new(self, session: str) -> list[Step]:
        trace = trace_stream(self._stream.namespace, session)
        after, head = self._read.get(session, 0), self._backend.head(trace)
        if head < after:  # it was erased
            self.all, after = [one for one in self.all if one.session != session], 0
        found: list[Step] = []
        while after < head:
            entries = self._backend.read(trace, after=after, limit=PAGE, kinds=[STEPS])
            found += [
                step_of(data, session, entry) for entry in entries for data in entry.body["steps"]
            ]
            after = entries[-1].version if len(entries) == PAGE else head
        self._read[session] = head
        return found


def _head(step: Step) -> int:
    head = step.data.get("head", 0)
    return head if isinstance(head, int) else 0
