"""TracePolicy: which steps are kept, and how much of what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ctxplug.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class TracePolicy:
    """What is kept of what happens.

    `sample` is the share of traces that are kept, 0.0 to 1.0: a trace is kept whole or not at
    all, but of a step that failed the step is kept always, unless `sample` is 0. With
    `text=False` no text is kept: no queries, arguments, error messages, system prompts or
    tool definitions, only sizes, ids and times. `redact` changes each text before it is
    stored, behind the redactors of plugins; where it fails, the text is left out.
    """

    sample: float = 1.0
    text: bool = True
    redact: Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        share = self.sample
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InvalidValueError(
                f"sample is the share of traces to keep, 0.0 to 1.0, not {share!r:.60}.",
                path="sample",
            )
        if self.redact is not None and not callable(self.redact):
            raise InvalidValueError(
                f"redact is a function of a text that returns text, not {self.redact!r:.60}.",
                path="redact",
            )

    def keeps(self, trace: str) -> bool:
        """Say whether the trace of that id is kept: every process decides alike."""
        return self.sample >= 1 or int(trace[:8], 16) < self.sample * 2**32


def to_trace_policy(value: TracePolicy | float | bool | None) -> TracePolicy:
    """Return the policy for what `AgentMemory.open` was given: None is all, False nothing."""
    if isinstance(value, TracePolicy):
        return value
    if value is None or isinstance(value, bool):
        return TracePolicy(sample=0.0 if value is False else 1.0)
    if isinstance(value, int | float):
        return TracePolicy(sample=value)
    raise InvalidValueError(
        f"trace is a TracePolicy, a share such as 0.1, True or False, not {value!r:.60}.",
        path="trace",
    )
