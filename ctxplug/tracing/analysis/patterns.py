"""How the work was laid out: what ran side by side, what one after another, what inside itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from ctxplug.tracing.analysis.calls import Call, Timeline
from ctxplug.tracing.analysis.finding import (
    INFO,
    PARALLEL,
    RECURSION,
    SEQUENTIAL,
    WARNING,
    Finding,
)
from ctxplug.tracing.analysis.values import arguments, specific, squash
from ctxplug.tracing.step import SPAN, TOOL, Step

LEAST = 3  # steps that make a pattern
DEEP = 5  # times inside itself that are told as a warning
SLACK = 0.001  # seconds by which one step may seem to begin before another has ended
WAITED = 0.1  # seconds that a sequence must take before anybody minds


def patterns(timeline: Timeline) -> Iterator[Finding]:
    """Yield parallel and recursive work, and sequences that could have been parallel."""
    steps = [s for s in timeline.subject.steps if s.kind in (TOOL, SPAN)]
    yield from _parallel(steps)
    yield from _recursive(steps)
    yield from _sequential(timeline)


def _parallel(steps: Sequence[Step]) -> Iterator[Finding]:
    for siblings in _siblings(steps):
        for group in _overlapping(siblings):
            wall = max(s.ended_at for s in group) - min(s.started_at for s in group)
            work = sum(step.duration for step in group)
            yield Finding(
                kind=PARALLEL,
                severity=INFO,
                summary=f"{len(group)} steps ran side by side: {_names(group)}.",
                why=f"Their times overlap: {work:.2f} s of work in {wall.total_seconds():.2f} s.",
                suggestion="Nothing is to be done; should one of them write what another reads,"
                " let them run one after another.",
                steps=tuple(step.id for step in group),
                data={"work": work, "seconds": wall.total_seconds()},
            )


def _siblings(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield steps of one trace under one parent, in the order they began."""
    found: dict[tuple[str, str | None], list[Step]] = defaultdict(list)
    for step in sorted(steps, key=lambda step: step.started_at):
        found[step.trace, step.parent].append(step)
    yield from found.values()


def _overlapping(steps: Sequence[Step]) -> Iterator[list[Step]]:
    group: list[Step] = []
    for step in steps:
        ended = max((one.ended_at for one in group), default=None)
        if ended and (ended - step.started_at).total_seconds() > SLACK:
            group.append(step)
            continue
        if len(group) >= 2:
            yield group
        group = [step]
    if len(group) >= 2:
        yield group


def _recursive(steps: Sequence[Step]) -> Iterator[Finding]:
    """Yield steps inside steps of the same name, the deepest of each chain."""
    by_id = {step.id: step for step in steps}
    chains = [chain for step in steps if len(chain := _chain(step, by_id)) >= 2]
    inner = {step.id for chain in chains for step in chain[:-1]}
    for chain in chains:
        if chain[-1].id in inner:
            continue
        yield Finding(
            kind=RECURSION,
            severity=WARNING if len(chain) >= DEEP else INFO,
            summary=f"{chain[0].name!r} ran inside itself, {len(chain)} deep.",
            why=f"Steps {', '.join(step.id for step in chain[:4])} are each inside the one before,"
            f" and the outermost took {chain[0].duration:.2f} s.",
            suggestion="Give the recursion a limit of depth, and end it when the arguments are"
            " those of a step around it.",
            steps=tuple(step.id for step in chain),
            data={"name": chain[0].name, "depth": len(chain)},
        )


def _chain(step: Step, by_id: Mapping[str, Step]) -> list[Step]:
    """Return the steps of the same kind and name around `step`, the outermost first, and it."""
    chain, seen = [step], {step.id}
    above = step.parent
    while above is not None and above in by_id and above not in seen:
        seen.add(above)
        around = by_id[above]
        if (around.kind, around.name) == (step.kind, step.name):
            chain.append(around)
        above = around.parent
    return chain[::-1]


def _sequential(timeline: Timeline) -> Iterator[Finding]:
    """Yield calls that followed one another without one needing what another brought."""
    run: list[Call] = []
    for call in timeline.calls:
        if run and call.name == run[-1].name and call.turn == run[-1].turn and _apart(run, call):
            run.append(call)
            continue
        if len(run) >= LEAST:
            yield from _of_sequence(run)
        run = [call]
    if len(run) >= LEAST:
        yield from _of_sequence(run)


def _apart(run: Sequence[Call], call: Call) -> bool:
    """Say whether `call` is another than those of `run` and needs nothing that they brought."""
    if any(call.key == other.key for other in run) or call.problem:
        return False
    brought = squash("\n".join(other.text or "" for other in run))
    asked = [v for _, value in arguments(call.arguments) for v in specific(value)]
    earlier = {squash(v) for other in run for _, v in arguments(other.arguments)}
    return not any(squash(v) in brought and squash(v) not in earlier for v in asked)


def _of_sequence(run: Sequence[Call]) -> Iterator[Finding]:
    steps = [call.step for call in run if call.step]
    seconds = sum(step.duration for step in steps)
    if steps and (seconds < WAITED or any(_overlapping(steps))):
        return
    asked = len({call.version for call in run})
    yield Finding(
        kind=SEQUENTIAL,
        severity=INFO,
        summary=f"{run[0].name!r} was called {len(run)} times one after another, though no call"
        " needed what another brought.",
        why=f"No argument of messages {run[0].version} to {run[-1].version} stands in the answers"
        f" between, and it took {asked} model calls"
        + (f" and {seconds:.2f} s of the tool." if steps else "."),
        suggestion=f"Let the model ask for all at once (parallel tool calls), or give"
        f" {run[0].name!r} a list to take.",
        steps=tuple(dict.fromkeys(step for call in run for step in call.steps)),
        versions=tuple(sorted({v for call in run for v in call.versions})),
        data={"tool": run[0].name, "times": len(run), "seconds": seconds, "model_calls": asked},
    )


def _names(steps: Sequence[Step]) -> str:
    names = list(dict.fromkeys(step.name or step.kind for step in steps))
    return ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
