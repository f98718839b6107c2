"""Steps in the order of a tree: each behind its parent, and of what turn it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctxplug.inspector.outline import COMPACTION, Mark, Outline
from ctxplug.inspector.words import Words
from ctxplug.tracing.step import WINDOW, Step


@dataclass(frozen=True, slots=True)
class Node:
    """A step at a `depth` below the one it belongs to; `turn` is None where nothing tells it.

    `began` and `spent` are the shares of its trace at which it began and that it took.
    """

    step: Step
    depth: int
    turn: int | None
    began: float
    spent: float


def tree(steps: Sequence[Step], outline: Outline) -> list[Node]:
    """Return all steps, those of one trace together and each behind its parent."""
    known = {step.id for step in steps}
    below: dict[str, list[Step]] = {}
    traces: dict[str, list[Step]] = {}
    for step in steps:
        traces.setdefault(step.trace, []).append(step)
        if step.parent in known:
            below.setdefault(step.parent or "", []).append(step)
    nodes: list[Node] = []
    for trace in traces.values():
        start = min(step.started_at for step in trace)
        whole = max((step.ended_at - start).total_seconds() for step in trace) or 1e-9
        turn: int | None = None
        for step, depth in _walk([s for s in trace if s.parent not in known], below):
            own = turn_of(step, outline)
            turn = own if own is not None else turn
            began = (step.started_at - start).total_seconds() / whole
            nodes.append(Node(step, depth, turn, began, step.duration / whole))
    return _with_turns(nodes)


def turn_of(step: Step, outline: Outline) -> int | None:
    """Return the turn that a step tells of itself."""
    head = step.data.get("head")
    return outline.call_behind(head) if step.kind == WINDOW and isinstance(head, int) else None


def step_name(step: Step, words: Words) -> str:
    """Return what a step is, and its name where that says more."""
    kind = words.known("step", step.kind)
    return f"{kind} {step.name}" if step.name and step.name != step.kind else kind


def took(seconds: float) -> str:
    """Return a duration with a unit that fits."""
    if seconds >= 60:
        return f"{int(seconds // 60)}m{seconds % 60:02.0f}s"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def compactions(outline: Outline) -> list[Mark]:
    """Return the compactions that the log tells of."""
    return [row for row in outline.rows if isinstance(row, Mark) and row.kind == COMPACTION]


def _walk(
    roots: Sequence[Step], below: dict[str, list[Step]], depth: int = 0
) -> Iterator[tuple[Step, int]]:
    for step in roots:
        yield step, depth
        yield from _walk(below.get(step.id, ()), below, depth + 1)


def _with_turns(nodes: list[Node]) -> list[Node]:
    """Give what stands before the first window of a turn, in its trace or not, that turn."""
    done: list[Node] = []
    turn: int | None = None
    for node in reversed(nodes):
        turn = node.turn if node.turn is not None else turn
        done.append(Node(node.step, node.depth, turn, node.began, node.spent))
    return done[::-1]
