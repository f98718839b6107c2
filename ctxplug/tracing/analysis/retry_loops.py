"""Loops: what was tried again and again without anything new coming of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ctxplug.messages import Logged
from ctxplug.tracing.analysis.calls import Call, Timeline
from ctxplug.tracing.analysis.errors_told import PASSING
from ctxplug.tracing.analysis.finding import HIGH, RETRY_LOOP, WARNING, Finding
from ctxplug.tracing.analysis.values import squash
from ctxplug.tracing.step import MODEL, RETRY, TOOL, Step

LEAST = 3  # times that make a loop
APART = 4  # calls that may stand between two rounds
_STAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
    r"|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8}(?:-?[0-9a-f]{4,})*\b",
    re.IGNORECASE,
)


def retry_loops(timeline: Timeline) -> Iterator[Finding]:
    """Yield the loops of calls, of answers, and of attempts at one step."""
    loops = list(_same_calls(timeline.calls))
    told = {call.place for loop in loops for call in loop}
    for loop in _joined(loops):
        yield _of_calls(loop)
    for loop in _failing(timeline.calls):
        if not told & {call.place for call in loop}:
            yield _of_failing(loop)
    yield from _same_answers(timeline)
    yield from _attempts(timeline.subject.steps)


def _same_calls(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Yield the rounds of one call that brought the same, or an error, each time."""
    by_key: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.known or call.problem:
            by_key[call.key].append(call)
    repeated = {key for key, some in by_key.items() if len(some) >= 2}
    for some in by_key.values():
        run = some[:1]
        for call in some[1:]:
            if _goes_on(run[-1], call, calls, repeated):
                run.append(call)
                continue
            if _is_loop(run) and not _waited_for(run, call, calls, repeated):
                yield run
            run = [call]
        if _is_loop(run):
            yield run


def _is_loop(run: Sequence[Call]) -> bool:
    """Say whether calls went round: two of an error that passes, and then success, did not."""
    if len(run) != LEAST or run[-1].problem:
        return len(run) >= LEAST
    return not all(call.problem and call.problem.sort == PASSING for call in run[:-1])


def _waited_for(run: Sequence[Call], call: Call, calls: Sequence[Call], repeated: set[str]) -> bool:
    """Say whether the calls of `run` asked whether a thing is done, and `call` was told so."""
    if call.problem or call.text is None or any(one.problem for one in run):
        return False
    return _is_near(run[-1], call, calls, repeated)


def _goes_on(last: Call, call: Call, calls: Sequence[Call], repeated: set[str]) -> bool:
    """Say whether `call` only does again what `last` did: nothing new in between, nor by it."""
    if not _is_near(last, call, calls, repeated):
        return False
    if last.problem is not None or call.text is None:
        return True
    return _lasting(call.text) == _lasting(last.text or "")


def _is_near(last: Call, call: Call, calls: Sequence[Call], repeated: set[str]) -> bool:
    """Say whether nothing but repeated calls stands between two, in one turn."""
    between = calls[last.place + 1 : call.place]
    if call.turn != last.turn or len(between) > APART:
        return False
    return all(other.key in repeated for other in between)


def _lasting(text: str) -> str:
    """Return an answer without what is never the same twice: times of day and random ids."""
    return _STAMP.sub("", text)


def _failing(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Yield rounds in which a tool failed with other arguments each time."""
    run: list[Call] = []
    for call in calls:
        if run and call.problem and call.name == run[-1].name and call.turn == run[-1].turn:
            run.append(call)
            continue
        if len(run) >= LEAST:
            yield run
        run = [call] if call.problem else []
    if len(run) >= LEAST:
        yield run


def _joined(loops: Sequence[list[Call]]) -> Iterator[list[Call]]:
    """Yield loops, those that went round in turns as one."""
    waiting = sorted(loops, key=lambda loop: loop[0].place)
    while waiting:
        loop = waiting.pop(0)
        inside = [o for o in waiting if o[0].place <= loop[-1].place]
        waiting = [o for o in waiting if o[0].place > loop[-1].place]
        yield sorted([call for one in (loop, *inside) for call in one], key=lambda c: c.place)


def _of_calls(loop: Sequence[Call]) -> Finding:
    names = list(dict.fromkeys(call.name for call in loop))
    kinds = len({call.key for call in loop})
    times = len(loop) // kinds
    failed = sum(call.problem is not None for call in loop)
    lasting = loop[-1].problem is not None
    what = f"{names[0]!r} was called" if kinds == 1 else f"{_list(names)} were called in turns"
    brought = (
        f"{failed} of {len(loop)} answers are errors, such as {_error(loop)!r}"
        if failed
        else "each brought the same answer"
    )
    return Finding(
        kind=RETRY_LOOP,
        severity=HIGH if lasting else WARNING,
        summary=f"{what} {times} times with the same arguments.",
        why=f"The calls are in messages {_span(loop)}, within one turn of the user, and {brought}.",
        suggestion=_advice(failed > 0),
        steps=tuple(dict.fromkeys(step for call in loop for step in call.steps)),
        versions=tuple(sorted({version for call in loop for version in call.versions})),
        data={"tools": names, "times": times, "errors": failed, "style": "same call"},
    )


def _of_failing(loop: Sequence[Call]) -> Finding:
    return Finding(
        kind=RETRY_LOOP,
        severity=HIGH,
        summary=f"{loop[0].name!r} was called {len(loop)} times with other arguments and failed"
        " each time.",
        why=f"The calls are in messages {_span(loop)}, and the last error is {_error(loop)!r}.",
        suggestion="Let the tool's error say which arguments would be right, and let the agent ask"
        " the user after the second failure.",
        steps=tuple(dict.fromkeys(step for call in loop for step in call.steps)),
        versions=tuple(sorted({version for call in loop for version in call.versions})),
        data={"tools": [loop[0].name], "times": len(loop), "errors": len(loop), "style": "guesses"},
    )


def _same_answers(timeline: Timeline) -> Iterator[Finding]:
    """Yield rounds in which the model said the same thing to the user, and looked nothing up."""
    run: list[Logged] = []
    for logged in timeline.subject.messages:
        message = logged.message
        if message.role == "user" and not message.tool_results:
            continue
        said = "" if message.tool_calls or message.role != "assistant" else squash(message.text)
        if run and said == squash(run[-1].message.text):
            run.append(logged)
            continue
        if len(run) >= LEAST:
            yield _of_answers(run, timeline)
        run = [logged] if said else []
    if len(run) >= LEAST:
        yield _of_answers(run, timeline)


def _of_answers(run: Sequence[Logged], timeline: Timeline) -> Finding:
    versions = tuple(one.version for one in run)
    windows = [timeline.window_before(version) for version in versions]
    return Finding(
        kind=RETRY_LOOP,
        severity=WARNING,
        summary=f"The model said the same thing {len(run)} times.",
        why=f"Messages {', '.join(map(str, versions))} are one text: {run[0].message.text[:80]!r}.",
        suggestion="Look at what the user answered in between, and end the session, or hand it"
        " over, when the model has nothing new to say.",
        steps=tuple(dict.fromkeys(window.id for window in windows if window)),
        versions=versions,
        data={"times": len(run), "style": "same answer"},
    )


def _attempts(steps: Sequence[Step]) -> Iterator[Finding]:
    """Yield steps that took many attempts, as retry steps, failed calls or counts tell."""
    rows: dict[tuple[str | None, str, str], list[Step]] = defaultdict(list)
    for step in steps:
        if step.kind == RETRY:
            rows[step.parent or step.trace, step.name, RETRY].append(step)
        elif step.kind in (TOOL, MODEL) and _count(step) >= LEAST:
            yield _of_attempts([step], _count(step))
    for some in [*rows.values(), *_failed_models(steps)]:
        attempts = max([len(some) + (some[:1] != [] and some[0].kind == RETRY), *map(_count, some)])
        if attempts >= LEAST:
            yield _of_attempts(some, attempts)


def _failed_models(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield calls of the model that failed one after another, not told as retries."""
    run: list[Step] = []
    for step in steps:
        if step.kind == RETRY:
            run = []
        if step.kind != MODEL:
            continue
        if not step.ok:
            run.append(step)
            continue
        yield run
        run = []
    yield run


def _of_attempts(some: Sequence[Step], attempts: int) -> Finding:
    last = some[-1]
    reason = last.error or last.data.get("reason") or last.outcome
    seconds = sum(step.duration for step in some)
    return Finding(
        kind=RETRY_LOOP,
        severity=WARNING,
        summary=f"{last.name or last.kind!r} took {attempts} attempts.",
        why=f"{'Step' if len(some) == 1 else 'Steps'} {', '.join(s.id for s in some[:4])} tell of"
        f" them, {seconds:.1f} s in all; the last reason is {str(reason)[:120]!r}.",
        suggestion="Wait longer between attempts, as the provider's retry-after says, and set a"
        " deadline for all of them together.",
        steps=tuple(step.id for step in some),
        data={"times": attempts, "name": last.name, "style": "attempts"},
    )


def _count(step: Step) -> int:
    given = step.data.get("attempts", step.data.get("attempt", 1))
    return given if isinstance(given, int) else 1


def _advice(failed: bool) -> str:
    if failed:
        return (
            "Let the agent stop after the second error of the same call, and let the error say"
            " what to do instead."
        )
    return (
        "Tell the model that the answer will not change, and look whether the answer it already"
        " had was still in its window."
    )


def _error(loop: Sequence[Call]) -> str:
    return next((call.problem.text[:120] for call in reversed(loop) if call.problem), "")


def _span(loop: Sequence[Call]) -> str:
    versions = [call.version for call in loop if call.version]
    return f"{versions[0]} to {versions[-1]}" if versions else "that the log does not hold"


def _list(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names[:3]) if len(names) > 1 else repr(names[0])
