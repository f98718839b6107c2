"""Do the values that later tool calls need survive compression? Without a model.

An *argument value* is a scalar leaf of the JSON arguments of a tool call at message i, as
a string of at least 5 characters (no booleans, no null; arguments that are not JSON are
skipped). It *occurs* in an earlier message if it is a substring of its text: content plus
the JSON arguments of its calls. It is *tool-only* if every occurrence is in a tool result.

A policy is applied to the messages before i, and to nothing else. A tool-only value is
*lost* if the text it leaves does not hold it; if that text has a reference to the original
of a result that held it, it is also counted as *recoverable*, which is not kept.

    python benchmarks/argument_survival.py [--json] [--data DIR] [--runs N]

The data are recorded airline runs of tau-bench (`tau-bench-dev/airline.jsonl`, in the
folder CTXPLUG_DATA or ../shared/data beside the checkout).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorded_data import agent_runs, default_counter

from ctxplug.compression import CompressionTools, Unit
from ctxplug.compression.clear_tool_results import ClearToolResults
from ctxplug.compression.dedupe import Dedupe
from ctxplug.compression.shape_tool_results import ShapeToolResults
from ctxplug.messages import Logged, Message, TextPart, ToolResultPart
from ctxplug.tokens import TokenCounter

FLOOR = 5
START = datetime(2024, 5, 15, tzinfo=UTC)
FLOORS = (3, 4, 5, 6, 8)
KEPT_UNITS = 3
CLASSES = {  # by whether a tool result and whether another message holds the value
    (True, True): "both",
    (True, False): "tool-only",
    (False, True): "user/assistant",
    (False, False): "nowhere",
}


@dataclass(frozen=True)
class Step:
    """One call's values and what was known before it."""

    position: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """A recorded run: its messages as units, and its steps."""

    messages: tuple[Logged, ...]
    steps: tuple[Step, ...]


Policy = Callable[[Sequence[Unit], CompressionTools], Sequence[Unit]]


@dataclass
class Score:
    """What one policy did, summed over all steps of all runs."""

    policy: str
    values: int = 0
    tool_only: int = 0
    lost: int = 0
    recoverable: int = 0
    lost_of_all: int = 0
    shown: int = 0
    full: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def loss(self) -> float:
        """Lost tool-only values / tool-only values."""
        return self.lost / self.tool_only if self.tool_only else 0.0

    @property
    def loss_of_all(self) -> float:
        """Lost values / values that occurred anywhere or nowhere."""
        return self.lost_of_all / self.values if self.values else 0.0

    @property
    def reduction(self) -> float:
        """1 - tool-result tokens shown / tool-result tokens in full."""
        return 1 - self.shown / self.full if self.full else 0.0


# -- reading -----------------------------------------------------------------------


def read_runs(file: Path, counter: TokenCounter, floor: int = FLOOR) -> list[Run]:
    """Return the runs of a file that holds one JSON object with `messages` a line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [run_of(json.loads(line)["messages"], counter, floor) for line in lines]


def run_of(dicts: Sequence[dict[str, Any]], counter: TokenCounter, floor: int = FLOOR) -> Run:
    """Return one run from OpenAI message dicts."""
    messages, steps = [], []
    for i, data in enumerate(dicts):
        values = tuple(argument_values(data, floor))
        if data.get("tool_calls"):
            steps.append(Step(i, values))
        (message,) = Message.from_openai(data)
        message = replace(message, id=f"m{i}", created_at=START)
        messages.append(Logged(i + 1, message, counter.count(message)))
    return Run(tuple(messages), tuple(steps))


def argument_values(data: dict[str, Any], floor: int = FLOOR) -> Iterator[str]:
    """Yield the argument values of a message's calls, as they are defined above."""
    for call in data.get("tool_calls") or ():
        try:
            arguments = json.loads(call["function"]["arguments"])
        except (ValueError, TypeError):
            continue
        for leaf in _leaves(arguments):
            if len(leaf) >= floor:
                yield leaf


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def text_of(message: Message) -> str:
    """Return a message's content and the JSON arguments of its calls."""
    calls = (
        call.raw_arguments or json.dumps(call.arguments, ensure_ascii=False)
        for call in message.tool_calls
    )
    return "\n".join([message.text, *calls])


def units_of(items: Sequence[Logged]) -> list[Unit]:
    """Group messages: an assistant message and the results that follow it are one unit."""
    groups: list[list[Logged]] = []
    for item in items:
        if item.message.role == "tool" and groups:
            groups[-1].append(item)
        else:
            groups.append([item])
    return [Unit(tuple(group)) for group in groups]


# -- policies ----------------------------------------------------------------------


def full_history(units: Sequence[Unit], tools: CompressionTools) -> Sequence[Unit]:
    """Leave everything."""
    return units


def clear_all_but(k: int) -> Policy:
    """Blank every tool result except the last `k`, as most frameworks do."""

    def policy(units: Sequence[Unit], tools: CompressionTools) -> Sequence[Unit]:
        left = sum(len(item.message.tool_results) for unit in units for item in unit.items) - k
        result = []
        for unit in units:
            messages = []
            for item in unit.items:
                message = item.message
                if message.tool_results and left > 0:
                    left -= len(message.tool_results)
                    message = replace(message, content=tuple(map(_blank, message.tool_results)))
                messages.append(message)
            result.append(unit.changed("cleared", messages, tools.counter))
        return result

    return policy


def _blank(result: ToolResultPart) -> ToolResultPart:
    return replace(result, content=(TextPart("[cleared]"),))


def clear_tool_results(units: Sequence[Unit], tools: CompressionTools) -> Sequence[Unit]:
    """Apply the strategy "clear-tool-results" to all but the last 3 units."""
    older, recent = units[:-KEPT_UNITS], units[-KEPT_UNITS:]
    return [*ClearToolResults().compress(older, 0, tools), *recent]


def shape_tool_results(units: Sequence[Unit], tools: CompressionTools) -> Sequence[Unit]:
    """Apply the strategy "shape-tool-results" to every unit, as is done at birth."""
    return ShapeToolResults().compress(units, 0, tools)


def shape_then_clear(units: Sequence[Unit], tools: CompressionTools) -> Sequence[Unit]:
    """Shape every unit at birth, then clear all but the last 3."""
    return clear_tool_results(shape_tool_results(units, tools), tools)


def shape_dedupe_clear(units: Sequence[Unit], tools: CompressionTools) -> Sequence[Unit]:
    """Shape every unit at birth, then dedupe and clear all but the last 3.

    The last 3 stay as they are, but an older copy may give way to one of them.
    """
    shaped = shape_tool_results(units, tools)
    deduped = Dedupe().compress(shaped, 0, tools)
    return clear_tool_results([*deduped[:-KEPT_UNITS], *shaped[-KEPT_UNITS:]], tools)


POLICIES: dict[str, Policy] = {
    "full history": full_history,
    "clear all but the last 5": clear_all_but(5),
    "clear all but the last 3": clear_all_but(3),
    "clear all but the last 1": clear_all_but(1),
    "clear all": clear_all_but(0),
    "shape-tool-results": shape_tool_results,
    "clear-tool-results": clear_tool_results,
    "shape, then clear": shape_then_clear,
    "shape, dedupe, then clear": shape_dedupe_clear,
}


# -- measuring ---------------------------------------------------------------------


def measure(name: str, policy: Policy, runs: Sequence[Run], counter: TokenCounter) -> Score:
    """Return what `policy` loses and saves over all steps of `runs`."""
    tools = CompressionTools(counter, lambda unit: _ref(unit.versions))
    score = Score(name)
    for run in runs:
        for step in run.steps:
            known = run.messages[: step.position]
            shown = policy(units_of(known), tools)
            _add(score, step, known, [item for unit in shown for item in unit.items], counter)
    return score


def _add(
    score: Score,
    step: Step,
    known: Sequence[Logged],
    shown: Sequence[Logged],
    counter: TokenCounter,
) -> None:
    score.full += sum(result_tokens(item.message, counter) for item in known)
    score.shown += sum(result_tokens(item.message, counter) for item in shown)
    visible = "\n".join(text_of(item.message) for item in shown)
    texts = [(item, text_of(item.message)) for item in known]
    for value in step.values:
        holders = [item for item, text in texts if value in text]
        tool_only = bool(holders) and all(item.message.role == "tool" for item in holders)
        score.values += 1
        score.tool_only += tool_only
        if value in visible or not holders:
            continue
        score.lost_of_all += 1
        if tool_only:
            score.lost += 1
            score.examples.append(value)
            score.recoverable += any(_refers(visible, item.version) for item in holders)


_memo: dict[tuple[str, str], int] = {}


def result_tokens(message: Message, counter: TokenCounter) -> int:
    """Return the tokens of the texts of a message's tool results."""
    tokens = 0
    for result in message.tool_results:
        key = (counter.name, result.text)
        if key not in _memo:
            _memo[key] = counter.count_text(result.text)
        tokens += _memo[key]
    return tokens


def _ref(versions: Sequence[int]) -> str:
    first, last = versions[0], versions[-1]
    return f"run@{first}" if first == last else f"run@{first}-{last}"


def _refers(text: str, version: int) -> bool:
    for piece in text.split("run@")[1:]:
        first, _, rest = piece.partition("]")[0].partition("-")
        if first.isdigit() and int(first) <= version <= int(rest if rest.isdigit() else first):
            return True
    return False


def classes(runs: Sequence[Run]) -> Counter[str]:
    """Return how many values have each source class."""
    found: Counter[str] = Counter()
    for run in runs:
        for step in run.steps:
            texts = [(i.message.role, text_of(i.message)) for i in run.messages[: step.position]]
            for value in step.values:
                tools = any(value in text for role, text in texts if role == "tool")
                others = any(value in text for role, text in texts if role != "tool")
                found[CLASSES[tools, others]] += 1
    return found


# -- printing ----------------------------------------------------------------------


def table(scores: Sequence[Score]) -> str:
    """Return the scores as a Markdown table."""
    lines = [
        "| policy | tool-only values lost | of them recoverable | all values lost"
        " | tool-result tokens removed |",
        "|---|---:|---:|---:|---:|",
    ]
    for s in scores:
        lines.append(
            f"| {s.policy} | {s.loss:.1%} ({s.lost}/{s.tool_only}) | {s.recoverable}"
            f" | {s.loss_of_all:.1%} | {s.reduction:.1%} |"
        )
    return "\n".join(lines)


def floors(file: Path, counter: TokenCounter, limit: int | None) -> str:
    """Return the sensitivity to the floor of 5 characters as a Markdown table."""
    names = ("clear all but the last 3", "clear-tool-results", "shape, dedupe, then clear")
    lines = [f"| shortest value | tool-only values | {' | '.join(names)} |"]
    lines.append("|" + "---:|" * (2 + len(names)))
    for floor in FLOORS:
        runs = read_runs(file, counter, floor)[:limit]
        scores = [measure(name, POLICIES[name], runs, counter) for name in names]
        cells = " | ".join(f"{score.loss:.1%}" for score in scores)
        lines.append(f"| {floor} | {scores[0].tool_only} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    """Print the tables; 2 where the data are absent."""
    parser = argparse.ArgumentParser(description="Survival of tool-call arguments.")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    parser.add_argument("--data", help="the folder that holds tau-bench-dev")
    parser.add_argument("--runs", type=int, help="only the first N runs")
    options = parser.parse_args()
    file = agent_runs(options.data)
    if file is None:
        print("skipped: there is no tau-bench-dev/airline.jsonl; set CTXPLUG_DATA", file=sys.stderr)
        return 2
    counter = default_counter()
    runs = read_runs(file, counter)[: options.runs]
    scores = [measure(name, policy, runs, counter) for name, policy in POLICIES.items()]
    if options.json:
        rows = [asdict(s) | {"loss": s.loss, "reduction": s.reduction} for s in scores]
        print(json.dumps({"counter": counter.name, "scores": rows}, ensure_ascii=False, indent=1))
        return 0
    found = classes(runs)
    counts = ", ".join(f"{name} {found[name]}" for name in CLASSES.values())
    print(f"{len(runs)} runs, {found.total()} values: {counts}.")
    print(f"Tokens by {counter.name}.\n\n{table(scores)}\n\n{floors(file, counter, options.runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
