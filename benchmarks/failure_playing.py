"""Recorded cases played through a memory: windows are made where models were called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from failure_injection import Case, Turn, bare, leaves, said

from ctxplug import AgentMemory, Message
from ctxplug.compression import CompressionTools, Unit
from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import BudgetError
from ctxplug.messages import TextPart, ToolCallPart, ToolResultPart
from ctxplug.tokens.estimate import estimate

TIGHT = 0.8  # of the tokens of a run besides its system prompt: what a budget is at first
START = datetime(2026, 5, 1, tzinfo=UTC)


class Blank:
    """A strategy that blanks the messages that hold a value, when it is told which."""

    name = "blank"

    def __init__(self) -> None:
        self.value: str | None = None

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        if self.value is None:
            return tuple(units)
        result = []
        for unit in units:
            note = f"[cleared; see {tools.ref(unit)}]"
            messages = [
                _blanked(item.message, note)
                if bare(self.value) in bare(said(item.message))
                else item.message
                for item in unit.items
            ]
            if any(new is not item.message for new, item in zip(messages, unit.items, strict=True)):
                plain = [m for m in messages if m.tool_calls or m.tool_results or m.content]
                unit = unit.changed(self.name, plain, tools.counter)
            result.append(unit)
        return tuple(result)


def _blanked(message: Message, note: str) -> Message:
    parts: list[Any] = []
    for part in message.content:
        if isinstance(part, ToolResultPart):
            parts.append(replace(part, content=(TextPart(note),)))
        elif isinstance(part, ToolCallPart):
            parts.append(replace(part, arguments={}, raw_arguments=None))
        elif isinstance(part, TextPart):
            parts.append(TextPart(note))
        else:
            parts.append(part)
    return replace(message, content=tuple(parts))


@dataclass
class Played:
    """A case in a memory: the versions of its turns, and the steps of each turn."""

    memory: AgentMemory
    versions: list[int] = field(default_factory=list)
    steps: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    compactions: int = 0
    lacked: list[str] = field(default_factory=list)  # ids and numbers that calls used unseen


class Player:
    """Plays one case after another, each in a namespace `alone`, or all in one."""

    def __init__(self, alone: bool, tight: float = TIGHT) -> None:
        self._alone = alone
        self._tight = tight
        self._count = 0
        self._home: AgentMemory | None = None
        self._counter = estimate()

    def play(self, case: Case) -> Played:
        """Play `case` under the tightest budget that it fits."""
        tokens = [self._counter.count(turn.message) for turn in case.turns]
        budget = tokens[0] + int(self._tight * sum(tokens[1:])) + 200
        while True:
            try:
                return self._play(case, budget)
            except BudgetError as exc:
                budget = max(int(budget * 1.1), exc.needed + 50)

    def _play(self, case: Case, budget: int) -> Played:
        blank, due = Blank(), [False]
        policy = ContextPolicy()
        if any(turn.cut and turn.cut[0] == "compaction" for turn in case.turns):
            policy = ContextPolicy(
                strategies=(blank, *policy.strategies),
                due=lambda tokens, messages: due[0] or tokens > 0.9 * budget,
                keep_last=0,
            )
        memory = self._memory(budget, policy)
        played = Played(memory)
        at = START + timedelta(hours=self._count)
        for turn in case.turns:
            if turn.cut and turn.cut[0] == "edit":
                _edit(memory, turn.cut[1])
            if turn.message.role == "assistant":
                if turn.cut and turn.cut[0] == "compaction":
                    blank.value, due[0] = turn.cut[1], True
                window = memory.context()
                blank.value, due[0] = None, False
                played.compactions = window.report.compactions
                played.lacked += lacked(case.turns[: len(played.versions) + 1], window.messages)
                _model(played, turn, at, window.tokens)
            for result in turn.message.tool_results:
                _tool(played, case, turn, at, result.call_id)
            at += timedelta(seconds=turn.seconds + 1)
            memory.add(turn.message)
            played.versions.append(memory.session.head)
        return played

    def _memory(self, budget: int, policy: ContextPolicy) -> AgentMemory:
        self._count += 1
        options = {"budget": budget, "policy": policy}
        if self._alone or self._home is None:
            namespace = f"bench/{self._count}" if self._alone else "bench/all"
            memory = AgentMemory.open(
                "memory:",
                namespace=namespace,
                session=f"s{self._count}",
                counter=self._counter,
                **options,
            )
            self._home = self._home or memory
            return memory
        return self._home.beside(session=f"s{self._count}", **options)


def lacked(turns: Sequence[Turn], window: Sequence[Message]) -> list[str]:
    """Return the values of the last turn's calls that earlier turns hold, and the window does not.

    By letters and digits alone, of 5 on with a digit among them; written without the analysis.
    """
    shown = bare("\n".join(said(message) for message in window))
    before = [bare(said(turn.message)) for turn in turns[:-1]]
    values = [v for call in turns[-1].message.tool_calls for v in leaves(call.arguments)]
    ids = [v for v in values if len(v) >= 5 and any(c.isdigit() for c in v) and " " not in v]
    return [v for v in ids if bare(v) not in shown and any(bare(v) in text for text in before)]


def _edit(memory: AgentMemory, value: str) -> None:
    """Take the messages that hold `value` out of view, calls and their results together."""
    log = memory.session.log()
    gone = {one.version for one in log if bare(value) in bare(said(one.message))}
    for first, second in pairwise(log):
        if first.message.tool_calls and {first.version, second.version} & gone:
            gone |= {first.version, second.version}
    memory.session.keep([one.version for one in log if one.version not in gone])


def _model(played: Played, turn: Turn, at: datetime, tokens: int) -> None:
    trace = played.memory.trace
    place = len(played.versions)
    for attempt in range(1, turn.attempts):
        step = trace.record(
            "retry",
            "agent-model",
            started_at=at,
            duration=turn.seconds,
            outcome="error",
            error="529 overloaded",
            attempt=attempt,
            reason="529 overloaded",
        )
        played.steps[place].append(step.id)
    step = trace.record(
        "model", "agent-model", started_at=at, duration=turn.seconds, tokens=tokens + 120
    )
    played.steps[place].append(step.id)


def _tool(played: Played, case: Case, turn: Turn, at: datetime, call_id: str) -> None:
    place = len(played.versions)
    asked = next(
        call
        for earlier in reversed(case.turns[:place])
        for call in earlier.message.tool_calls
        if call.id == call_id
    )
    step = played.memory.trace.record(
        "tool",
        asked.name,
        started_at=at,
        duration=turn.seconds,
        call_id=call_id,
        arguments=dict(asked.arguments),
        attempts=1,
    )
    played.steps[place].append(step.id)
