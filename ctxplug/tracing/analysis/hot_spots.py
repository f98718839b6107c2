"""Where tokens and money went: what takes the most, and what takes far more than is usual."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from ctxplug.tracing.analysis.calls import Timeline
from ctxplug.tracing.analysis.finding import COST_HOT_SPOT, INFO, TOKEN_HOT_SPOT, WARNING, Finding
from ctxplug.tracing.analysis.robust import Outlier, Usual
from ctxplug.tracing.step import MODEL, Step

MOST = 0.5  # of all tokens, or of all cost, that one part takes
LEAST = 3  # windows, or steps, from which shares are told
LEAST_TOKENS = 1_000  # below which nobody minds
_ADVICE = {
    "tools": "Offer fewer tools, or shorter descriptions; what every call carries is paid at every"
    " call.",
    "system": "Shorten the system prompt, or move what only some calls need into sections.",
    "sections": "Give the sections fewer tokens, or a lower priority.",
}


def hot_spots(timeline: Timeline) -> Iterator[Finding]:
    """Yield the parts, tools and calls that take the most tokens, and the most money."""
    yield from _parts(timeline.windows)
    yield from _tools(timeline)
    subject = timeline.subject
    yield from _outliers(subject.steps, subject.history, lambda s: s.tokens, TOKEN_HOT_SPOT)
    yield from _outliers(subject.steps, subject.history, lambda s: s.cost, COST_HOT_SPOT)
    yield from _costs(subject.steps)


def _parts(windows: Sequence[Step]) -> Iterator[Finding]:
    """Yield a part of windows, other than messages, that takes most of them."""
    totals: dict[str, int] = defaultdict(int)
    for step in windows:
        for name, tokens in step.data.get("tokens", {}).items():
            totals[name] += tokens
    whole = sum(totals.values())
    if len(windows) < LEAST or whole < LEAST_TOKENS:
        return
    for name, tokens in totals.items():
        if name in _ADVICE and tokens >= MOST * whole:
            yield Finding(
                kind=TOKEN_HOT_SPOT,
                severity=INFO,
                summary=f"{tokens / whole:.0%} of all tokens sent were those of the part {name!r}.",
                why=f"In {len(windows)} windows it took {tokens} of {whole} tokens,"
                f" {tokens // len(windows)} at each call.",
                suggestion=_ADVICE[name],
                steps=tuple(step.id for step in windows[-LEAST:]),
                data={"part": name, "tokens": tokens, "of": whole, "calls": len(windows)},
            )


def _tools(timeline: Timeline) -> Iterator[Finding]:
    """Yield a tool whose answers are most of what the log holds."""
    tokens_of = {logged.version: logged.tokens for logged in timeline.subject.messages}
    whole = sum(tokens_of.values())
    by_tool: dict[str, dict[int, int]] = defaultdict(dict)
    for call in timeline.calls:
        if call.answered:
            by_tool[call.name][call.answered] = tokens_of.get(call.answered, 0)
    for name, some in by_tool.items():
        tokens = sum(some.values())
        if tokens < LEAST_TOKENS or tokens < MOST * whole:
            continue
        largest = max(some, key=lambda version: some[version])
        yield Finding(
            kind=TOKEN_HOT_SPOT,
            severity=INFO,
            summary=f"{tokens / whole:.0%} of the session's tokens are answers of {name!r}.",
            why=f"{len(some)} answers take {tokens} of {whole} tokens, and the largest, message"
            f" {largest}, {some[largest]}.",
            suggestion=f"Let {name!r} give less (fields, rows, pages), or lower the policy's"
            " shape_over, so that its answers are shaped before they are sent.",
            steps=tuple(
                dict.fromkeys(s for c in timeline.calls if c.answered == largest for s in c.steps)
            ),
            versions=(largest,),
            data={"tool": name, "tokens": tokens, "of": whole, "answers": len(some)},
        )


def _outliers(
    steps: Sequence[Step],
    history: Sequence[Step],
    amount: Callable[[Step], float | None],
    kind: str,
) -> Iterator[Finding]:
    """Yield calls of models that took far more than usual."""
    known = [s for s in (*history, *steps) if s.kind == MODEL and amount(s)]
    usual = Usual((s.kind, s.name, amount(s) or 0.0) for s in known)
    for step in steps:
        value = amount(step)
        if step.kind != MODEL or not value:
            continue
        outlier = usual.outlier(step.kind, step.name, value)
        if outlier and (kind == COST_HOT_SPOT or value >= LEAST_TOKENS):
            yield _above(step, outlier, value, kind)


def _above(step: Step, outlier: Outlier, value: float, kind: str) -> Finding:
    shown = f"{value:.0f} tokens" if kind == TOKEN_HOT_SPOT else f"${value:.4f}"
    usually = f"{outlier.usual:.0f} tokens" if kind == TOKEN_HOT_SPOT else f"${outlier.usual:.4f}"
    return Finding(
        kind=kind,
        severity=WARNING,
        summary=f"A call of the model {step.name!r} took {shown}, {outlier.ratio:.0f} times the"
        " usual.",
        why=f"The median of {outlier.known} other calls is {usually}, and step {step.id} is"
        f" {outlier.far:.1f} robust standard deviations of the logarithm above it.",
        suggestion="Look at its window (memory.trace.window) for what came into it, and at how long"
        " the answer is allowed to be.",
        steps=(step.id,),
        data={"value": value, "usual": outlier.usual, "ratio": outlier.ratio},
    )


def _costs(steps: Sequence[Step]) -> Iterator[Finding]:
    """Yield a few steps that cost most of what the session did."""
    priced = sorted((s for s in steps if s.cost), key=lambda s: s.cost or 0.0, reverse=True)
    whole = sum(step.cost or 0.0 for step in priced)
    few = priced[: max(1, len(priced) // 10)]
    taken = sum(step.cost or 0.0 for step in few)
    if len(priced) < 2 * LEAST or taken < MOST * whole:
        return
    yield Finding(
        kind=COST_HOT_SPOT,
        severity=INFO,
        summary=f"{len(few)} of {len(priced)} priced steps cost {taken / whole:.0%} of the"
        f" session's ${whole:.4f}.",
        why=f"They are {', '.join(step.id for step in few[:4])}, with ${taken:.4f} together.",
        suggestion="Look at what these calls carried that the others did not, and whether a cheaper"
        " model would do for them.",
        steps=tuple(step.id for step in few),
        data={"cost": taken, "of": whole, "steps": len(few)},
    )
