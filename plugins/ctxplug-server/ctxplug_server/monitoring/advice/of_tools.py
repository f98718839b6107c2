"""What tools and slow steps cost."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from ctxplug.tracing.analysis import Finding
from ctxplug.tracing.step import RETRY, TOOL, Step
from ctxplug_server.monitoring.advice.evidence import Evidence
from ctxplug_server.monitoring.advice.tip import (
    COUNTED,
    HIGH,
    INFO,
    LARGE_RESULTS,
    RETRIED_TOOL,
    SLOW_STEPS,
    WARNING,
    Saving,
    Tip,
)

SHAPED = 600  # tokens above which the policy "aggressive" shapes a result
LEAST_SHAPED = 100
LEAST_RUNS = 5
OFTEN = 0.2  # of the runs of a tool that were tried again or failed


def large_results(evidence: Evidence) -> Iterator[Tip]:
    """Yield tools whose answers are most of what sessions hold."""
    by_tool: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for session, finding in evidence.findings("token_hot_spot"):
        if "tool" in finding.data:
            by_tool[str(finding.data["tool"])].append((session, finding))
    for tool, found in by_tool.items():
        tokens, whole, answers = (
            sum(int(one.data[name]) for _, one in found) for name in ("tokens", "of", "answers")
        )
        yield Tip(
            kind=LARGE_RESULTS,
            severity=WARNING,
            setting=f"ContextPolicy(shape_over={_shaped(tokens // max(1, answers))})",
            data={
                "tool": tool,
                "tokens": tokens,
                "of": whole,
                "share": round(tokens / whole, 3),
                "answers": answers,
                "each": tokens // max(1, answers),
                "versions": [v for _, one in found for v in one.versions],
            },
            sessions=tuple(session for session, _ in found),
            steps=tuple(id for _, one in found for id in one.steps),
        )


def slow_steps(evidence: Evidence) -> Iterator[Tip]:
    """Yield sorts of steps of which some took far longer than they usually do."""
    by_name: dict[tuple[str, str], list[tuple[str, Finding]]] = defaultdict(list)
    for session, finding in evidence.findings("slow_step"):
        by_name[str(finding.data["kind"]), str(finding.data["name"])].append((session, finding))
    for (kind, name), found in by_name.items():
        worst = max(float(one.data["duration"]) for _, one in found)
        usual = min(float(one.data["usual"]) for _, one in found)
        lost = sum(float(one.data["duration"]) - float(one.data["usual"]) for _, one in found)
        limit = max(1, math.ceil(4 * usual))
        yield Tip(
            kind=SLOW_STEPS,
            severity=WARNING if lost >= 1 else INFO,
            setting=_limits(kind, limit),
            data={
                "step": kind,
                "name": name or kind,
                "times": len(found),
                "worst": round(worst, 3),
                "usual": round(usual, 3),
                "limit": limit,
            },
            sessions=tuple(dict.fromkeys(session for session, _ in found)),
            steps=tuple(id for _, one in found for id in one.steps),
            saving=Saving(COUNTED, seconds=round(lost, 1)),
        )


def retried_tools(evidence: Evidence) -> Iterator[Tip]:
    """Yield tools that often fail, or have to be tried again."""
    runs: dict[str, list[Step]] = defaultdict(list)
    again: dict[str, int] = defaultdict(int)
    for step in evidence.steps(TOOL):
        runs[step.name].append(step)
    for step in evidence.steps(RETRY):
        again[step.name] += 1
    for tool, steps in runs.items():
        failed = [step for step in steps if not step.ok]
        tried = again[tool]
        troubled = [s for s in steps if not s.ok or int(s.data.get("attempts", 1) or 1) > 1]
        if len(steps) < LEAST_RUNS or len(troubled) < max(2, OFTEN * len(steps)):
            continue
        yield Tip(
            kind=RETRIED_TOOL,
            severity=HIGH if len(failed) >= len(steps) / 2 else WARNING,
            setting=_remedy(len(failed), tried, len(steps)),
            data={
                "tool": tool,
                "runs": len(steps),
                "failed": len(failed),
                "again": tried,
                "error": _error(failed),
            },
            sessions=tuple(dict.fromkeys(step.session for step in troubled)),
            steps=tuple(step.id for step in troubled),
            saving=Saving(COUNTED, seconds=round(sum(step.duration for step in troubled), 1)),
        )


def _shaped(each: int) -> int:
    """Return above how many tokens to shape answers of `each`: most of them, not a few."""
    return min(SHAPED, max(LEAST_SHAPED, each // 2 // 50 * 50))


def _limits(kind: str, limit: int) -> str:
    if kind == TOOL:
        return f"memory.tools.add(function, timeout={limit})"
    if kind == "model":
        return f"client(timeout={limit})"
    return "memory.trace.span(name)"


def _remedy(failed: int, tried: int, runs: int) -> str:
    """Return the setting for a tool: what fails after all is not worth trying again."""
    if failed == runs:
        return "ToolPolicy(retries=0)"
    if not tried:
        return "memory.tools.add(function, idempotent=True)"
    return "ToolPolicy(retries=0)" if failed else "ToolPolicy(timeout=60)"


def _error(failed: list[Step]) -> str:
    """Return the sort of the last failure, which is no text of anybody's."""
    return failed[-1].outcome if failed else ""
