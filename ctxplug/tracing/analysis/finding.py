"""Finding and Analysis: what was found in a session, on which evidence, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

HIGH, WARNING, INFO = "high", "warning", "info"
SEVERITIES = (HIGH, WARNING, INFO)

LOST_VALUE = "lost_value"  # a call needed what had been cut from its window
TOOL_ERROR = "tool_error"  # a tool failed, and nothing made up for it
MODEL_ERROR = "model_error"
WINDOW_ERROR = "window_error"  # no window fitted the budget
STEP_ERROR = "step_error"  # a step of the application's own failed
RETRY_LOOP = "retry_loop"
SLOW_STEP = "slow_step"
FAILURE = "failure"  # the chain from a cause to where it ended
RECOVERED_ERROR = "recovered_error"
REPEATED_CALL = "repeated_call"  # asked again, as the answer had been cut
SEQUENTIAL, PARALLEL, RECURSION = "sequential", "parallel", "recursion"
TOKEN_HOT_SPOT, COST_HOT_SPOT = "token_hot_spot", "cost_hot_spot"
REPEATED_RECALL = "repeated_recall"
UNUSED_MEMORY = "unused_memory"
CACHE_BREAK = "cache_break"
CAUSES = (LOST_VALUE, TOOL_ERROR, MODEL_ERROR, WINDOW_ERROR, STEP_ERROR, RETRY_LOOP, SLOW_STEP)
KINDS = (
    *CAUSES,
    FAILURE,
    RECOVERED_ERROR,
    REPEATED_CALL,
    SEQUENTIAL,
    PARALLEL,
    RECURSION,
    TOKEN_HOT_SPOT,
    COST_HOT_SPOT,
    REPEATED_RECALL,
    UNUSED_MEMORY,
    CACHE_BREAK,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found.

    `summary` says what, `why` on which evidence it is thought so, `suggestion` what to do:
    a sentence each. `steps` are the ids of the steps that show it, `versions` the messages of
    the log. `data` is JSON, by kind as docs/analysis.md lists it.
    """

    kind: str
    severity: str
    summary: str
    why: str
    suggestion: str
    steps: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "summary": self.summary,
            "why": self.why,
            "suggestion": self.suggestion,
            "steps": list(self.steps),
            "versions": list(self.versions),
            "data": dict(self.data),
        }

    def __str__(self) -> str:
        return f"{self.summary} {self.why} {self.suggestion}"


@dataclass(frozen=True)
class Analysis:
    """What was found in a session, the gravest first; `notes` say what could not be looked at."""

    session: str
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def causes(self) -> tuple[Finding, ...]:
        """What may have made the session fail, the likeliest first."""
        causes = [finding for finding in self.findings if finding.kind in CAUSES]
        return tuple(sorted(causes, key=_likeliness))

    @property
    def cause(self) -> Finding | None:
        """The likeliest cause of failure, if there is any."""
        return next(iter(self.causes), None)

    def of(self, *kinds: str) -> tuple[Finding, ...]:
        """Return the findings of these kinds."""
        return tuple(finding for finding in self.findings if finding.kind in kinds)

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as JSON data."""
        cause = self.cause
        return {
            "session": self.session,
            "cause": cause.kind if cause else None,
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        if not self.findings:
            return "Nothing stands out."
        return "\n".join(f"{f.severity}: {f}" for f in self.findings)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the gravest first, causes before what only costs."""
    return tuple(sorted(findings, key=lambda f: (_rank(f), KINDS.index(f.kind))))


def _rank(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity)


def _likeliness(finding: Finding) -> tuple[int, bool, bool, int]:
    explained = bool(finding.data.get("caused_by"))
    harmless = finding.data.get("harmed") is False  # the call went well without the value
    return _rank(finding), explained, harmless, CAUSES.index(finding.kind)
