"""The steps of a session: what was done, how long it took, how it ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from ctxplug.inspector.conversation import mark_text
from ctxplug.inspector.findings_panel import SEVERITIES, by_step, finding_line
from ctxplug.inspector.look import Bit, fit, right
from ctxplug.inspector.outline import Mark
from ctxplug.inspector.panel import Line, Panel, body, field_line, heading
from ctxplug.inspector.step_tree import Node, compactions, step_name, took, tree
from ctxplug.tracing.analysis import Finding
from ctxplug.tracing.step import MODEL, Step

TONES = {
    "window": "past",
    "compaction": "cut",
    "model": "accent",
    "tool": "tool",
    "recall": "recalled",
    "remember": "sections",
    "error": "bad",
    "retry": "merged",
    "span": "text",
}
BAR = 32  # cells of the bars of time, where there is room
BESIDE = 76  # cells of all else
NARROW = 70


class StepsPanel(Panel):
    """All steps as a tree, those of the chosen turn bright."""

    _tree: Sequence[Node] = ()
    _marks: Sequence[Mark] = ()
    _of: object = None
    _findings: Mapping[str, Sequence[Finding]] = {}

    def renew(self) -> None:
        """Show the steps, the cursor on the first of the chosen turn."""
        outline = self.state.outline
        if outline is None:
            self._tree, self._marks = (), ()
        elif self._of is not self.state.windows:
            self._tree = tree(self.state.steps, outline)
            self._marks = () if self._tree else compactions(outline)
        self._of = self.state.windows
        self._findings = by_step(self.state.analysis.findings if self.state.analysis else ())
        self.rows.show(len(self._tree or self._marks), self._draw, cursor=self._first())
        if not (self._tree or self._marks):
            self.tell()

    def turn(self) -> int | None:
        """Return the turn of the step under the cursor."""
        index = self.rows.cursor
        if self._tree:
            return self._tree[index].turn
        return self._marks[index].turn if self._marks else None

    def step(self) -> Step | None:
        """Return the step under the cursor."""
        return self._tree[self.rows.cursor].step if self._tree else None

    def go_to(self, ids: Collection[str]) -> bool:
        """Put the cursor on the first of these steps; say whether there is one."""
        return self._to(i for i, node in enumerate(self._tree) if node.step.id in ids)

    def find(self, *, back: bool) -> bool:
        """Go to the next step that a finding is about, around the end; say if there is one."""
        count, at = len(self._tree), self.rows.cursor
        places = ((at - i if back else at + i) % count for i in range(1, count + 1))
        return self._to(i for i in places if self._tree[i].step.id in self._findings)

    def tell(self) -> None:
        """Show the step under the cursor, or that there is none."""
        if self._tree or self._marks:
            super().tell()
        else:
            from ctxplug.inspector.panel import Detail

            self.query_one(Detail).show([[(self.words("steps.nothing"), "dim")]])

    def detail(self, index: int) -> Iterator[Line]:
        """Yield what a step says, and the sums of all."""
        if not self._tree:
            yield [(mark_text(self._marks[index], self.words), "strong")]
            yield []
            yield [(self.words("steps.none"), "dim")]
            return
        step = self._tree[index].step
        yield [
            (step_name(step, self.words), TONES.get(step.kind, "text")),
            (f"  {step.id}", "faint"),
        ]
        if step.error:
            yield from body(step.error, self.words, "bad")
        for finding in self._findings.get(step.id, ()):
            yield finding_line(finding, self.words)
            yield from body(finding.suggestion, self.words)
            yield []
        for name, value in _fields(step):
            yield field_line(self.words(f"step.{name}"), value)
        yield []
        if step.data:
            yield heading(self.words("step.data"))
            yield from body(json.dumps(step.data, ensure_ascii=False, indent=2), self.words)
            yield []
        yield [(self._totals(), "dim")]

    def _to(self, places: Iterator[int]) -> bool:
        place = next(places, None)
        if place is not None:
            self.rows.cursor = place
        return place is not None

    def _first(self) -> int | None:
        call = self.state.seen.call.number if self.state.seen else None
        turns = [node.turn for node in self._tree] or [mark.turn for mark in self._marks]
        here = self.rows.cursor
        if here < len(turns) and turns[here] == call:
            return here
        return next((i for i, turn in enumerate(turns) if turn == call), None)

    def _totals(self) -> str:
        steps = [node.step for node in self._tree]
        costs = [step.cost for step in steps if step.cost is not None]
        return self.words(
            "steps.totals",
            steps=len(steps),
            tokens=sum(step.tokens or 0 for step in steps if step.kind == MODEL),
            cost=f"${sum(costs):.4f}" if costs else "–",
            failed=sum(not step.ok for step in steps),
        )

    def _draw(self, index: int, width: int) -> Sequence[Sequence[Bit]]:
        if not self._tree:
            mark = self._marks[index]
            told = mark_text(mark, self.words)
            bits = [(right(str(mark.turn), 5), "faint"), (f"  ▪ {told}", "cut")]
            return [[*bits, (f"  {mark.at:%H:%M:%S}", "dim")]]
        node = self._tree[index]
        step = node.step
        call = self.state.seen.call.number if self.state.seen else None
        bright = node.turn == call
        tone = TONES.get(step.kind, "text") if bright else "dim"
        found = self._findings.get(step.id)
        label = "  " * node.depth + step_name(step, self.words)
        row: list[Bit] = [
            (
                right("" if node.turn is None else str(node.turn), 5),
                "accent" if bright else "faint",
            ),
            (" ! ", SEVERITIES[found[0].severity]) if found else ("   ", "faint"),
            (f"{step.started_at:%H:%M:%S}  ", "faint"),
            ("▪ " if step.ok else "✗ ", tone if step.ok else "bad"),
            (fit(label, 26 if width >= NARROW else 16), tone),
            (right(took(step.duration), 9) + "  ", "text" if bright else "dim"),
        ]
        if not step.ok:
            row.append((f"{step.outcome} {step.error or ''}", "bad"))
        elif width >= NARROW:
            row.append((_bar(node, max(0, min(BAR, width - BESIDE))), tone))
            row.append((right("" if step.tokens is None else f"{step.tokens:,}", 9), "dim"))
            row.append((right("" if step.cost is None else f"${step.cost:.4f}", 10), "dim"))
        return [row]


def _bar(node: Node, width: int) -> str:
    """Return a bar that begins and ends where the step did in its trace."""
    start = min(width - 1, int(node.began * width))
    size = max(1, min(width - start, round(node.spent * width)))
    return fit(" " * start + "━" * size, width)


def _fields(step: Step) -> Iterator[tuple[str, str]]:
    yield "began", f"{step.started_at:%Y-%m-%d %H:%M:%S.%f}"[:-3]
    yield "took", took(step.duration)
    yield "outcome", step.outcome
    if step.tokens is not None:
        yield "tokens", f"{step.tokens:,}"
    if step.cost is not None:
        yield "cost", f"${step.cost:.6f}"
    if step.agent:
        yield "agent", step.agent
    yield "trace", step.trace
    if step.parent:
        yield "parent", step.parent
