"""Changes to what had been sent already: after each the provider's prompt cache is of no use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ctxplug.tracing.analysis.calls import Timeline
from ctxplug.tracing.analysis.finding import CACHE_BREAK, INFO, WARNING, Finding
from ctxplug.tracing.step import COMPACTION, Step

OFTEN = 0.2  # of the windows
LEAST = 2  # changes of one part that are told of
CLOSE = 3  # windows between two compactions

_ADVICE = {
    "tools": "Offer the same tools in the same order at every call, and refuse a call rather than"
    " take a tool away.",
    "system": "Keep what changes, such as the time, out of the system prompt: say it in the user's"
    " message, or in a section that is not cacheable.",
    "edit": "Edit a session between topics and not between calls, and several messages at once.",
}


def cache_breaks(timeline: Timeline) -> Iterator[Finding]:
    """Yield which parts of windows changed, how often, and what that made be read anew."""
    rows = [list(some) for some in _by_budget(timeline.windows).values()]
    compacted = {s.parent: s for s in timeline.subject.steps if s.kind == COMPACTION}
    changes: dict[str, list[tuple[Step, int]]] = defaultdict(list)
    pairs = 0
    for windows in rows:
        for before, after in pairwise(windows):
            pairs += 1
            part = _changed(before, after, compacted)
            if part:
                changes[part].append((after, _anew(before, part)))
    for part, some in changes.items():
        if len(some) >= LEAST or part == "edit":
            yield _of(part, some, pairs)
    yield from _crowded(rows, compacted)


def _by_budget(windows: Sequence[Step]) -> Mapping[Any, list[Step]]:
    """Return windows by budget: those of one budget are one prompt that grows."""
    found: dict[Any, list[Step]] = defaultdict(list)
    for step in windows:
        found[step.data.get("budget")].append(step)
    return found


def _changed(before: Step, after: Step, compacted: Mapping[str | None, Step]) -> str | None:
    """Return the first part of a prompt that is not as it was, None if it only grew."""
    if before.data.get("tools") != after.data.get("tools"):
        return "tools"
    if before.data.get("system") != after.data.get("system"):
        return "system"
    moved = before.data.get("base") != after.data.get("base")
    counted = before.data.get("compactions") != after.data.get("compactions")
    if moved and not counted and after.id not in compacted:
        return "edit"
    return None


def _anew(before: Step, part: str) -> int:
    """Return the tokens that were in the cache and had to be read anew."""
    tokens: Mapping[str, int] = before.data.get("tokens", {})
    kept = {"tools": (), "system": ("tools",), "edit": ("tools", "system")}[part]
    return sum(n for name, n in tokens.items() if name not in (*kept, "request", "reserved"))


def _of(part: str, some: Sequence[tuple[Step, int]], pairs: int) -> Finding:
    anew = sum(tokens for _, tokens in some)
    named = {
        "tools": "The tools that were offered changed",
        "system": "The system prompt changed",
        "edit": "Messages that had been sent were edited out",
    }[part]
    return Finding(
        kind=CACHE_BREAK,
        severity=WARNING if len(some) >= max(LEAST, OFTEN * pairs) else INFO,
        summary=f"{named} {len(some)} times in {pairs + 1} calls, and each time the prompt"
        " cache was lost.",
        why=f"The windows of steps {', '.join(step.id for step, _ in some[:4])} differ there from"
        f" those before; about {anew} tokens were read anew.",
        suggestion=_ADVICE[part],
        steps=tuple(step.id for step, _ in some),
        data={"part": part, "times": len(some), "tokens": anew},
    )


def _crowded(
    rows: Sequence[Sequence[Step]], compacted: Mapping[str | None, Step]
) -> Iterator[Finding]:
    """Yield compactions that follow each other after a few calls: the budget is too tight."""
    for windows in rows:
        places = [i for i, step in enumerate(windows) if step.id in compacted]
        close = [(a, b) for a, b in pairwise(places) if b - a <= CLOSE]
        if len(close) < LEAST:
            continue
        steps = [compacted[windows[b].id] for _, b in close]
        budget = windows[0].data.get("budget")
        yield Finding(
            kind=CACHE_BREAK,
            severity=WARNING,
            summary=f"{len(places)} of {len(windows)} calls had to compact their window.",
            why=f"{len(close)} compactions came at most {CLOSE} calls after the one before, such as"
            f" those of steps {', '.join(step.id for step in steps[:4])}.",
            suggestion=f"Raise the budget above {budget} tokens, or let a compaction go further"
            " down (the policy's low), so that the next comes later.",
            steps=tuple(step.id for step in steps),
            data={"part": "compaction", "times": len(places), "budget": budget},
        )
