"""What prompts cost: broken caches, budgets that do not fit, parts and policies that cost more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ctxplug.tracing.analysis import Finding
from ctxplug.tracing.step import MODEL, WINDOW, Step
from ctxplug_server.monitoring.advice.evidence import Evidence
from ctxplug_server.monitoring.advice.tip import (
    AT_MOST,
    BUDGET_TIGHT,
    BUDGET_UNUSED,
    CACHE_EDITS,
    CACHE_SYSTEM,
    CACHE_TOOLS,
    CACHE_UNUSED,
    CHEAPER_POLICY,
    COUNTED,
    HIGH,
    INFO,
    LARGE_PART,
    MADE_AGAIN,
    WARNING,
    Saving,
    Tip,
)

LEAST_CALLS = 20  # windows from which a budget is judged
UNUSED = 0.3  # of the budget, which no window reached
TIGHT = 0.05  # of the calls that got no window, or compacted again at once
CACHEABLE = 1_024  # tokens of a prompt below which providers cache nothing
KNOWN = 0.8  # of the calls, whose usage has to be recorded to say what was billed
CHEAPER = 0.1  # of the cost that another policy has to save
PER = 1_000_000

_CACHE = {
    "tools": (CACHE_TOOLS, "memory.context(tools=TOOLS)"),
    "system": (CACHE_SYSTEM, 'Section(..., place="turn")'),
    "edit": (CACHE_EDITS, "memory.session.keep(versions)"),
}


def cache_breaks(evidence: Evidence) -> Iterator[Tip]:
    """Yield what changed in front of what was cached, with what reading it anew cost."""
    by_part: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for session, finding in evidence.findings("cache_break"):
        by_part[str(finding.data.get("part"))].append((session, finding))
    calls = sum(1 for _ in evidence.steps(WINDOW))
    for part, (kind, setting) in _CACHE.items():
        found = by_part.get(part, [])
        times = sum(int(one.data["times"]) for _, one in found)
        anew = sum(int(one.data["tokens"]) for _, one in found)
        if not times:
            continue
        ratio = max(0.0, evidence.ratios.write - evidence.ratios.read)
        spared = _billed(evidence, calls, anew * ratio)
        yield Tip(
            kind=kind,
            severity=HIGH if times >= calls / 5 else WARNING,
            setting=setting,
            data={"times": times, "calls": calls, "tokens": anew, "of_sessions": len(found)},
            sessions=tuple(session for session, _ in found),
            steps=tuple(id for _, one in found for id in one.steps),
            saving=Saving(COUNTED, round(spared), _dollars(evidence, spared)),
        )


def cache_unused(evidence: Evidence) -> Iterator[Tip]:
    """Yield model calls for which the provider never read anything from its cache."""
    calls = [step for step in evidence.steps(MODEL) if _usage(step, "input") >= CACHEABLE]
    read = sum(_usage(step, "cache_read") for step in calls)
    sent = sum(_usage(step, "input") + _usage(step, "cache_write") for step in calls)
    if len(calls) < LEAST_CALLS // 2 or read:
        return
    again = sent * (1 - evidence.ratios.read)
    yield Tip(
        kind=CACHE_UNUSED,
        severity=WARNING,
        setting="window.to_anthropic(cache=True)",
        data={"calls": len(calls), "tokens": sent},
        sessions=tuple(dict.fromkeys(step.session for step in calls)),
        steps=tuple(step.id for step in calls),
        saving=Saving(AT_MOST, round(again), _dollars(evidence, again)),
    )


def budget_tight(evidence: Evidence) -> Iterator[Tip]:
    """Yield budgets that calls did not fit in, or that made them compact again and again."""
    windows = list(evidence.steps(WINDOW))
    failed = [step for step in windows if not step.ok and "needed" in step.data]
    crowded = [
        (session, one)
        for session, one in evidence.findings("cache_break")
        if one.data.get("part") == "compaction"
    ]
    close = [id for _, one in crowded for id in one.steps]
    if len(close) < max(2, TIGHT * len(windows)):
        crowded, close = [], []
    if not failed and not close:
        return
    tight = windows if close else failed  # a call may have a budget of its own
    widest = max((int(step.data.get("budget", 0)) for step in windows), default=0)
    budget = max((int(step.data.get("budget", 0)) for step in tight), default=0)
    needed = max((int(step.data["needed"]) for step in failed), default=0)
    fits = _round_up(max(needed * 1.25, budget * 1.5))
    opens = "AgentMemory.open" if budget == widest or fits > widest else "memory.context"
    yield Tip(
        kind=BUDGET_TIGHT,
        severity=HIGH if failed else WARNING,
        setting=f"{opens}(budget={fits})",
        data={
            "failed": len(failed),
            "close": len(close),
            "calls": len(windows),
            "budget": budget,
            "needed": needed,
            "fits": fits,
        },
        sessions=tuple(dict.fromkeys([s.session for s in failed] + [s for s, _ in crowded])),
        steps=(*(step.id for step in failed), *close),
    )


def budget_unused(evidence: Evidence) -> Iterator[Tip]:
    """Yield budgets that no window came near: what runs away would not be stopped by them."""
    by_budget: dict[int, list[Step]] = defaultdict(list)
    for step in evidence.steps(WINDOW):
        if step.ok and step.tokens and step.data.get("budget"):
            by_budget[int(step.data["budget"])].append(step)
    for budget, windows in sorted(by_budget.items()):
        largest = max(windows, key=lambda step: step.tokens or 0)
        most = largest.tokens or 0
        if len(windows) < LEAST_CALLS or most > UNUSED * budget:
            continue
        fits = _round_up(most * 1.5)
        yield Tip(
            kind=BUDGET_UNUSED,
            severity=INFO,
            setting=f"AgentMemory.open(budget={fits})",
            data={
                "calls": len(windows),
                "budget": budget,
                "most": most,
                "share": round(most / budget, 3),
                "fits": fits,
            },
            sessions=(largest.session,),
            steps=(largest.id,),
        )


def large_parts(evidence: Evidence) -> Iterator[Tip]:
    """Yield parts of prompts, other than messages, that take most of them."""
    by_part: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for session, finding in evidence.findings("token_hot_spot"):
        if "part" in finding.data:
            by_part[str(finding.data["part"])].append((session, finding))
    for part, found in by_part.items():
        tokens, whole, calls = (_summed(found, name) for name in ("tokens", "of", "calls"))
        yield Tip(
            kind=LARGE_PART,
            severity=INFO,
            setting=_PARTS.get(part, "memory.context(...)"),
            data={
                "part": part,
                "tokens": tokens,
                "of": whole,
                "share": round(tokens / whole, 3),
                "calls": calls,
                "each": tokens // max(1, calls),
            },
            sessions=tuple(session for session, _ in found),
            steps=tuple(id for _, one in found for id in one.steps),
        )


def cheaper_policy(evidence: Evidence) -> Iterator[Tip]:
    """Yield policies by which the same calls would have cost less, as they were made again."""
    best: dict[str, Tip] = {}
    for rerun in evidence.reruns:
        before, after = rerun.before, rerun.after
        saved = before.cost.plain - after.cost.plain
        if after.failed > before.failed or saved < CHEAPER * before.cost.plain or saved <= 0:
            continue
        dollars = None
        if before.cost.dollars is not None and after.cost.dollars is not None:
            dollars = before.cost.dollars - after.cost.dollars
        share = saved / before.cost.plain
        policy = str(rerun.settings.get("policy"))
        tip = Tip(
            kind=CHEAPER_POLICY,
            severity=WARNING,
            setting=f'AgentMemory.open(policy="{policy}")',
            data={
                "policy": policy,
                "calls": before.calls,
                "before": round(before.cost.plain),
                "after": round(after.cost.plain),
                "out": sum(len(call.left) for call in rerun.calls[-1:]),
                "compactions": [before.compactions, after.compactions],
            },
            sessions=(rerun.session,),
            saving=Saving(MADE_AGAIN, round(saved), dollars, round(share, 3)),
        )
        known = best.get(rerun.session)
        if known is None or (known.saving and (known.saving.tokens or 0) < saved):
            best[rerun.session] = tip
    yield from best.values()


_PARTS = {
    "tools": "memory.context(tools=FEWER_TOOLS)",
    "system": "memory.context(system=SHORTER)",
    "sections": "Section(..., budget=200)",
}


def _billed(evidence: Evidence, windows: int, tokens: float) -> float:
    """Return `tokens`, but no more than the calls were billed for, where that is recorded."""
    calls = list(evidence.steps(MODEL))
    if len(calls) < KNOWN * windows:
        return tokens
    plain = sum(_usage(step, "input") for step in calls)
    written = sum(_usage(step, "cache_write") for step in calls)
    return min(tokens, plain + evidence.ratios.write * written)


def _usage(step: Step, name: str) -> int:
    return int(step.data.get("usage", {}).get(name, 0) or 0)


def _summed(found: Sequence[tuple[str, Finding]], name: str) -> int:
    return sum(int(finding.data[name]) for _, finding in found)


def _dollars(evidence: Evidence, tokens: float) -> float | None:
    """Return what plain input tokens cost; None where the model's price is unknown."""
    return None if evidence.price is None else tokens * evidence.price.input / PER


def _round_up(tokens: float) -> int:
    step = 500 if tokens < 10_000 else 1_000
    return max(step, int(-(-tokens // step) * step))
