"""Does the analysis name the right cause of a failure? Faults injected into recorded runs.

Each failed tau-bench run (reward 0) is played into a memory under a tight budget once for each
fault of benchmarks/failure_injection.py, and analysed; the successful runs (reward 1) are played
as they were recorded, under budgets made the same way. Nothing else is told to the analysis.

- **Named**: a finding of the fault's kind whose evidence is the injected place: one of its
  messages, or, for a slow step, that step.
- **First**: the likeliest cause (`Analysis.cause`) is of that kind and place.
- **False**: an untouched run with a finding of the kind, of any severity.

Goals: named in at least 90 % of cases, of each fault; false in at most 5 % of untouched successful
runs, for each. Half of the runs, by a hash of their names, were looked at while the analysis was
written; the other half were held out, and both are told.

What a run lacks without any injection is looked for too, by a search of the windows that is
written apart from the analysis: under a tight budget windows do lose values, and a finding that
says so is right, but counts as false all the same.

    PYTHONPATH=. python benchmarks/failure_analysis.py [--json] [--data DIR] [--runs N]
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from failure_injection import (
    ERROR,
    FAULTS,
    LOOP,
    LOST,
    SLOW,
    Case,
    injected,
    untouched,
)
from failure_playing import Played, Player
from recorded_data import agent_runs

from ctxplug.tracing.analysis import Analysis, Finding
from ctxplug.transcripts import read_transcript

KIND_OF = {
    LOST: "lost_value",
    ERROR: "tool_error",
    LOOP: "retry_loop",
    SLOW: "slow_step",
}
CAUSES = tuple(KIND_OF.values())
ENOUGH = 0.9
FALSE = 0.05
SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


# -- scoring ---------------------------------------------------------------------------


@dataclass
class Score:
    """What was found of one fault."""

    cases: int = 0
    named: int = 0
    first: int = 0
    top: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.named / self.cases if self.cases else 0.0


def hits(finding: Finding, case: Case, played: Played) -> bool:
    """Say whether a finding is that of the fault of `case`, at its place."""
    if finding.kind != KIND_OF[case.fault]:
        return False
    steps = {step for place in case.place for step in played.steps[place]}
    versions = {played.versions[place] for place in case.place}
    if case.fault == SLOW:
        return bool(steps & set(finding.steps))
    return bool(steps & set(finding.steps) or versions & set(finding.versions))


def score(cases: Sequence[Case], player: Player) -> dict[str, Score]:
    """Return what is found of each fault in `cases`."""
    scores = {fault: Score() for fault in FAULTS}
    for case in cases:
        for fault in FAULTS:
            broken = injected(case, fault)
            if broken is None:
                continue
            played = player.play(broken)
            analysis = played.memory.trace.analyze()
            _enter(scores[fault], analysis, broken, played)
    return scores


def _enter(one: Score, analysis: Analysis, case: Case, played: Played) -> None:
    found = any(hits(finding, case, played) for finding in analysis.findings)
    cause = analysis.cause
    one.cases += 1
    one.named += found
    one.first += cause is not None and hits(cause, case, played)
    one.top[cause.kind if cause else "none"] += 1
    if not found:
        one.missed.append(f"{case.name}: {case.style}")


def false_findings(cases: Sequence[Case], player: Player) -> dict[str, list[str]]:
    """Return the names of untouched runs with a finding of each kind."""
    found: dict[str, list[str]] = {kind: [] for kind in CAUSES}
    for case in cases:
        analysis = player.play(case).memory.trace.analyze()
        for kind in CAUSES:
            if analysis.of(kind):
                found[kind].append(f"{case.name}: {analysis.of(kind)[0]}")
    return found


def tightness(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return what untouched runs lack, and what is found, under tighter and tighter budgets."""
    rows = []
    for share in SHARES:
        player = Player(alone=True, tight=share)
        played = [player.play(case) for case in cases]
        found = [bool(one.memory.trace.analyze().of(KIND_OF[LOST])) for one in played]
        rows.append(
            {
                "share": share,
                "compacted": sum(one.compactions > 0 for one in played),
                "lacking": sum(bool(one.lacked) for one in played),
                "found": sum(found),
                "unconfirmed": sum(f and not p.lacked for f, p in zip(found, played, strict=True)),
            }
        )
    return rows


# -- reading and printing ----------------------------------------------------------------


def cases(file: Path, reward: int) -> list[Case]:
    """Return the runs of that reward, untouched."""
    return [
        untouched(run.name, run.messages)
        for run in read_transcript(file)
        if run.metadata.get("reward") == reward
    ]


def held_out(case: Case) -> bool:
    """Say whether a run is of the half that was not looked at."""
    return zlib.crc32(case.name.encode()) % 2 == 1


@dataclass
class Result:
    """The figures of one half of the runs."""

    scores: dict[str, Score]
    false: dict[str, list[str]]
    runs: int


def measure(failed: Sequence[Case], good: Sequence[Case], alone: bool) -> Result:
    """Return the figures of some runs."""
    player = Player(alone)
    false = false_findings(good, player)
    return Result(score(failed, player), false, len(good))


def lines(name: str, result: Result) -> Iterator[str]:
    """Yield the tables of one half."""
    yield f"### {name}"
    yield ""
    kinds = " | ".join(CAUSES)
    yield f"| fault | cases | named | first | {kinds} | none | false, of {result.runs} |"
    yield "|---|---:|---:|---:|" + "---:|" * (len(CAUSES) + 2)
    for fault, one in result.scores.items():
        top = " | ".join(str(one.top[kind]) for kind in (*CAUSES, "none"))
        false = len(result.false[KIND_OF[fault]])
        yield (
            f"| {fault} | {one.cases} | {one.share:.1%} ({one.named})"
            f" | {one.first / one.cases if one.cases else 0:.1%} | {top}"
            f" | {false / result.runs if result.runs else 0:.1%} ({false}) |"
        )
    yield ""


def goals(result: Result) -> bool:
    """Say whether the figures are what was asked for."""
    named = all(one.share >= ENOUGH for one in result.scores.values() if one.cases)
    return named and all(len(some) <= FALSE * result.runs for some in result.false.values())


def main() -> int:
    """Print the tables; 1 if a goal is missed, 2 where the data are absent."""
    parser = argparse.ArgumentParser(description="Is the right cause of a failure named?")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--data", help="the folder that holds tau-bench-dev")
    parser.add_argument("--runs", type=int, help="only so many failed and successful runs")
    parser.add_argument("--half", choices=("seen", "held out"), help="only this half")
    parser.add_argument("--missed", action="store_true", help="list what was missed, and why false")
    options = parser.parse_args()
    file = agent_runs(options.data)
    if file is None:
        print("skipped: there is no tau-bench-dev/airline.jsonl; set CTXPLUG_DATA", file=sys.stderr)
        return 2
    failed, good = (cases(file, reward)[: options.runs] for reward in (0, 1))
    results: dict[str, Result] = {}
    for half, wanted in (("seen", False), ("held out", True)):
        if options.half in (None, half):
            parts = [[c for c in some if held_out(c) == wanted] for some in (failed, good)]
            for alone in (True, False):
                name = f"{half}, {'each in a namespace alone' if alone else 'all in one namespace'}"
                results[name] = measure(*parts, alone)
    if options.half is None:
        results = _merged(results)
    rows = tightness(good) if options.half is None else []
    if options.json:
        figures = {name: _plain(one) for name, one in results.items()}
        print(json.dumps({**figures, "tightness": rows}, indent=1, ensure_ascii=False))
    else:
        for name, one in results.items():
            print("\n".join(lines(name, one)))
            if options.missed:
                print(json.dumps(_plain(one), indent=1, ensure_ascii=False))
        print("\n".join(_tight_lines(rows, len(good))))
    judged = {name: one for name, one in results.items() if name.startswith("all,")} or results
    return 0 if all(map(goals, judged.values())) else 1


def _merged(results: Mapping[str, Result]) -> dict[str, Result]:
    """Return the figures of both halves together, then those of each."""
    found: dict[str, Result] = {}
    for name, one in results.items():
        whole = f"all, {name.partition(', ')[2]}"
        found[whole] = one if whole not in found else _sum(found[whole], one)
    return {**found, **results}


def _sum(one: Result, other: Result) -> Result:
    scores = {}
    for fault, score in one.scores.items():
        more = other.scores[fault]
        scores[fault] = Score(
            score.cases + more.cases,
            score.named + more.named,
            score.first + more.first,
            score.top + more.top,
            score.missed + more.missed,
        )
    false = {kind: some + other.false[kind] for kind, some in one.false.items()}
    return Result(scores, false, one.runs + other.runs)


def _tight_lines(rows: Sequence[Mapping[str, Any]], runs: int) -> Iterator[str]:
    """Yield the table of how tight a budget may be."""
    if rows:
        yield f"### lost values in {runs} untouched successful runs"
        yield ""
        yield "| budget | compacted | a value is missing | found | of them unconfirmed |"
        yield "|---:|---:|---:|---:|---:|"
    for row in rows:
        yield (
            f"| {row['share']:.0%} | {row['compacted']} | {row['lacking']} | {row['found']}"
            f" | {row['unconfirmed']} |"
        )


def _plain(result: Result) -> dict[str, Any]:
    return {
        "faults": {
            fault: {
                "cases": one.cases,
                "named": one.named,
                "first": one.first,
                "top": dict(one.top),
                "missed": one.missed,
            }
            for fault, one in result.scores.items()
        },
        "false": result.false,
        "untouched": result.runs,
    }


if __name__ == "__main__":
    sys.exit(main())
