"""What stands out in a session: what went wrong and what it spends for nothing, with its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ctxplug.inspector.look import Bit, fit
from ctxplug.inspector.outline import Said
from ctxplug.inspector.panel import Detail, Line, Panel, body, heading
from ctxplug.inspector.step_tree import step_name, took
from ctxplug.inspector.words import Words
from ctxplug.printable import visible
from ctxplug.tracing.analysis import Finding
from ctxplug.tracing.step import Step

SEVERITIES = {"high": "bad", "warning": "cut", "info": "dim"}
MOST = 12  # steps or messages of one finding that are listed
NARROW = 70


class FindingsPanel(Panel):
    """What `memory.trace.analyze` finds, the gravest first; each leads to its steps."""

    _findings: Sequence[Finding] = ()

    def renew(self) -> None:
        """Show the findings."""
        self._findings = self.state.analysis.findings if self.state.analysis else ()
        self.rows.show(len(self._findings), self._draw)

    def tell(self) -> None:
        """Show the finding under the cursor, or that there is none."""
        if self._findings:
            super().tell()
            return
        analysis = self.state.analysis
        lines: list[Line] = [
            [(self.words("findings.none" if analysis else "findings.computing"), "dim")]
        ]
        self.query_one(Detail).show([*lines, *self._notes()])

    def finding(self) -> Finding | None:
        """Return the finding under the cursor."""
        index = self.rows.cursor
        return self._findings[index] if index < len(self._findings) else None

    def detail(self, index: int) -> Iterator[Line]:
        """Yield why it is thought so, what to do, and the steps and messages that show it."""
        finding = self._findings[index]
        yield finding_line(finding, self.words)
        for name, text in (("why", finding.why), ("do", finding.suggestion)):
            yield []
            yield heading(self.words(f"findings.{name}"))
            yield from body(text, self.words)
        steps = {step.id: step for step in self.state.steps}
        shown = [steps[id] for id in finding.steps if id in steps]
        yield from self._listed("steps", [_step_line(step, self.words) for step in shown])
        outline = self.state.outline
        said = [outline.said(version) for version in finding.versions] if outline else []
        yield from self._listed("messages", [_said_line(one, self.words) for one in said if one])
        yield from self._notes()

    # -- inside --------------------------------------------------------------------------

    def _notes(self) -> Iterator[Line]:
        """Yield what could not be looked at."""
        for note in self.state.analysis.notes if self.state.analysis else ():
            yield []
            yield [(visible(note), "dim")]

    def _listed(self, name: str, lines: Sequence[Line]) -> Iterator[Line]:
        if lines:
            yield []
            yield heading(self.words(f"findings.{name}"))
            yield from lines[:MOST]
        if len(lines) > MOST:
            yield [(self.words("findings.more", count=len(lines) - MOST), "dim")]

    def _draw(self, index: int, width: int) -> Sequence[Sequence[Bit]]:
        finding = self._findings[index]
        tone = SEVERITIES[finding.severity]
        kind = self.words.known("finding", finding.kind)
        return [
            [
                (" ▪ ", tone),
                (fit(self.words(f"severity.{finding.severity}"), 9), tone),
                (fit(kind, 17) if width >= NARROW else fit(kind, 13), "text"),
                (visible(finding.summary), "text"),
            ]
        ]


def by_step(findings: Sequence[Finding]) -> Mapping[str, list[Finding]]:
    """Return the findings that each step shows, by its id, the gravest first."""
    shown: dict[str, list[Finding]] = {}
    for finding in findings:
        for id in finding.steps:
            shown.setdefault(id, []).append(finding)
    return shown


def finding_line(finding: Finding, words: Words) -> Line:
    """Return what a finding says, in one line."""
    kind = words.known("finding", finding.kind)
    return [(f"▪ {kind}  ", SEVERITIES[finding.severity]), (visible(finding.summary), "strong")]


def _step_line(step: Step, words: Words) -> Line:
    sign: Bit = ("▪ ", "dim") if step.ok else ("✗ ", "bad")
    told = "" if step.ok else f"  {step.outcome} {visible(step.error or '')}"
    name = visible(step_name(step, words))
    return [
        sign,
        (f"{step.id[:8]}  {step.started_at:%H:%M:%S}  ", "faint"),
        (f"{name}  {took(step.duration)}", "text"),
        (told, "bad"),
    ]


def _said_line(said: Said, words: Words) -> Line:
    role = words.known("role", said.role)
    return [(f"@{said.version} ", "faint"), (f"{role}  ", said.role), (said.line, "text")]
