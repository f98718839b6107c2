"""Comparing: the calls of one session as two or more policies would have sent them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ctxplug.context.policy import PRESETS
from ctxplug.errors import InvalidValueError
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.rerun import Rerun
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.jobs import Job, Jobs
from ctxplug_server.viewing.played import SHOWN, compare_played

__all__ = ["MOST_CALLS", "chosen_policies", "compare"]

MOST_CALLS = 400  # a comparison grows with their square
MOST_POLICIES = 4

Again = Callable[..., Rerun]


def chosen_policies(text: str) -> list[str]:
    """Return the policies that `text` names, parted by commas; raise InvalidValueError."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    wrong = [name for name in names if name not in PRESETS]
    if wrong or not 1 <= len(names) <= MOST_POLICIES:
        raise InvalidValueError(
            f"policies are 1 to {MOST_POLICIES} of {', '.join(PRESETS)}, parted by commas, not"
            f" {text!r:.80}.",
            path="policies",
        )
    return names


def compare(
    held: Held, jobs: Jobs, again: Again, agent: str | None, policies: str, budget: int | None
) -> dict[str, Any]:
    """Return the figures of each policy and the calls that differ, or how far that is."""
    names = chosen_policies(policies)
    windows = held.windows()
    turns, recorded = held.outline.turns, windows.recorded
    if turns > MOST_CALLS:
        raise InvalidValueError(
            f"The session has {turns:,} model calls, and {MOST_CALLS} are compared at most; the"
            " console does longer ones: ctxplug trace diff STORE --policy NAME.",
            path="session",
        )
    at = held.begun, held.outline.head, len(held.steps)
    key = "compare", agent, held.stream, *at, tuple(names), budget
    if recorded:
        numbers = _numbers(held)

        def make(job: Job) -> Any:
            return _rerun(again, names, budget, numbers, job)

    else:
        outline, steps, reading = held.outline, held.steps, held.reading

        def make(job: Job) -> Any:
            # Windows of its own, as the request's thread goes on without it.
            made = {
                name: reading.windows(
                    outline, steps, budget=budget, policy=name, remembered=MOST_CALLS
                )
                for name in names
            }
            return compare_played(made, turns, job)

    job = jobs.ask(key, turns * len(names), make)
    if not job.ended.is_set():
        return {"pending": True, "done": min(job.done, job.of), "of": job.of}
    return {"pending": False, "recorded": bool(recorded), "calls": turns, **job.result}


def _numbers(held: Held) -> Mapping[str, int]:
    """Return the number of the call that each recorded window is of."""
    return {
        step.id: held.outline.call_behind(step.data["head"])
        for step in held.steps
        if isinstance(step.data.get("head"), int)
    }


def _rerun(
    again: Again, names: Sequence[str], budget: int | None, numbers: Mapping[str, int], job: Job
) -> dict[str, Any]:
    done = {name: again(policy=name, budget=budget, progress=job.progress) for name in names}
    told = [_policy(name, run, numbers) for name, run in done.items()]
    first, last = done[names[0]], done[names[-1]]
    differing = []
    for old, new in zip(first.calls, last.calls, strict=True):
        between = Difference(old.after, new.after, old.step, None, old.query)
        if not between.same:
            differing.append(_difference(between, numbers.get(old.step or "")))
    notes = dict.fromkeys(note for run in done.values() for note in run.notes)
    return {"policies": told, "differing": differing, "notes": list(notes)}


def _policy(name: str, run: Rerun, numbers: Mapping[str, int]) -> dict[str, Any]:
    total = run.after
    return {
        "name": name,
        "tokens": total.tokens,
        "cost": total.cost.dollars,
        "plain": total.cost.plain,
        "cached": total.cost.read,
        "hit_share": total.hit_share,
        "compactions": total.compactions,
        "failed": total.failed,
        "calls": [
            {
                "number": numbers.get(call.step or ""),
                "tokens": call.after.tokens,
                "cached": call.costs[1].read if call.costs else None,
                "cost": call.costs[1].dollars if call.costs else None,
                "plain": call.costs[1].plain if call.costs else None,
                "error": call.after.error,
            }
            for call in run.calls
        ],
    }


def _difference(between: Difference, number: int | None) -> dict[str, Any]:
    moved = {
        "entered": between.entered,
        "left": between.left,
        "changed": between.changed,
    }
    return {
        "number": number,
        "tokens": [between.before.tokens, between.after.tokens],
        "parts": between.parts,
        "errors": [between.before.error, between.after.error],
        "query": between.query,
        **{name: len(found) for name, found in moved.items()},
        "messages": [
            {**asdict(one), "how": name} for name, found in moved.items() for one in found
        ][:SHOWN],
        "recalled_in": list(between.recalled_in)[:SHOWN],
        "recalled_out": list(between.recalled_out)[:SHOWN],
    }
