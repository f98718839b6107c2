"""The calls of a session, each with its answer, its window and its step, in order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ctxplug import codec
from ctxplug.messages import Logged, Message, ToolResultPart
from ctxplug.recall.text import folded
from ctxplug.tracing.analysis.errors_told import Problem, problem_of
from ctxplug.tracing.analysis.subject import Subject
from ctxplug.tracing.analysis.values import plain_number
from ctxplug.tracing.step import CANCELLED, TOOL, WINDOW, Step

_MADE_FROM = ("base", "compactions", "budget", "counter", "policy", "system", "tools", "recalled")
_MADE_OTHERWISE = {"tight", "repairs", "notes"}


@dataclass(frozen=True)
class Call:
    """A tool call: `version` is that of the message that asks, 0 if only a step tells of it.

    `turn` counts the user messages before it; `text` is the answer's, None while there is
    none; `window` is what the model was sent before it asked. `known` says whether its
    arguments are.
    """

    place: int
    version: int
    turn: int
    call_id: str
    name: str
    arguments: Mapping[str, Any]
    answered: int | None = None
    text: str | None = None
    problem: Problem | None = None
    window: Step | None = None
    step: Step | None = None
    at: float = 0.0
    known: bool = True

    @cached_property
    def key(self) -> str:
        """What is the same of two calls that ask the same, whatever their spelling."""
        return key_of(self.name, self.arguments)

    @property
    def steps(self) -> tuple[str, ...]:
        """The ids of its steps: window, then tool."""
        return tuple(step.id for step in (self.window, self.step) if step)

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions of its messages."""
        return tuple(v for v in (self.version, self.answered) if v)


@dataclass(frozen=True)
class Timeline:
    """A session as an analysis reads it: calls in order, and the window before each message."""

    subject: Subject
    calls: tuple[Call, ...]
    windows: tuple[Step, ...]  # that were made, by the version up to which they go

    def window_before(self, version: int) -> Step | None:
        """Return the newest window that was made without the message of `version`."""
        place = bisect_left(self._heads, version)
        return self.windows[place - 1] if place else None

    def goes_on_from(self, window: Step) -> Step:
        """Return the oldest window that `window` holds whole, with later messages behind it."""
        return self._begun.get(window.id, window)

    @cached_property
    def _heads(self) -> list[int]:
        return [_head(step) for step in self.windows]

    @cached_property
    def _begun(self) -> dict[str, Step]:
        versions = [logged.version for logged in self.subject.messages]
        begun: dict[str, Step] = {}
        first: Step | None = None
        for window in self.windows:
            if first is None or not _goes_on(first, window, versions):
                first = window
            begun[window.id] = first
        return begun


def read(subject: Subject) -> Timeline:
    """Return the timeline of a session."""
    made = [s for s in subject.steps if s.kind == WINDOW and s.ok and "head" in s.data]
    windows = tuple(sorted(made, key=_head))
    bare = Timeline(subject, (), windows)
    calls = _asked(subject.messages)
    steps = [step for step in subject.steps if step.kind == TOOL]
    joined, left = _joined(calls, steps)
    joined = [
        replace(call, window=bare.window_before(call.version)) if call.version else call
        for call in joined
    ]
    joined += [_of_step(step, windows) for step in left]
    if left:
        joined.sort(key=lambda call: call.at)
    return replace(bare, calls=tuple(replace(call, place=i) for i, call in enumerate(joined)))


def _asked(messages: Sequence[Logged]) -> list[Call]:
    """Return the calls of messages; a result answers the newest open call of its id."""
    calls: list[Call] = []
    open_: dict[str, list[int]] = defaultdict(list)
    turn = 0
    for logged in messages:
        message = logged.message
        turn += message.role == "user" and not message.tool_results
        for part in message.tool_calls:
            open_[part.id].append(len(calls))
            arguments = part.arguments or _loose(part.raw_arguments)
            call = Call(0, logged.version, turn, part.id, part.name, arguments)
            calls.append(replace(call, at=message.created_at.timestamp()))
        for result in message.tool_results:
            if open_[result.call_id]:
                place = open_[result.call_id].pop()
                calls[place] = _answered(calls[place], logged.version, result)
    return calls


def _answered(call: Call, version: int, result: ToolResultPart) -> Call:
    problem = problem_of(result.text, is_error=result.is_error)
    return replace(call, answered=version, text=result.text, problem=problem)


def _loose(raw: str | None) -> dict[str, Any]:
    return {"": raw} if raw and raw.strip() not in ("{}", "") else {}


def _joined(calls: Sequence[Call], steps: Sequence[Step]) -> tuple[list[Call], list[Step]]:
    """Return the calls with their steps, and the steps of no call."""
    waiting = _by_call(calls, steps)
    joined, used = [], set()
    for call in calls:
        keys = ((call.call_id, call.name), ("", call.key), ("", call.name))
        queue = next((waiting[key] for key in keys if waiting[key]), None)
        if queue:
            step = queue.popleft()
            used.add(step.id)
            if not step.ok and call.problem is None and step.outcome != CANCELLED:
                problem = problem_of(step.error or call.text or "", outcome=step.outcome)
                call = replace(call, problem=problem)
            call = replace(call, step=step)
        joined.append(call)
    return joined, [step for step in steps if step.id not in used]


def _by_call(calls: Sequence[Call], steps: Sequence[Step]) -> dict[tuple[str, str], deque[Step]]:
    """Return steps in order by what tells whose they are: a call's id, its arguments, its place."""
    waiting: dict[tuple[str, str], deque[Step]] = defaultdict(deque)
    named: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        given = step.data.get("arguments")
        if "call_id" in step.data:
            waiting[str(step.data["call_id"]), step.name].append(step)
        elif isinstance(given, Mapping):
            waiting["", key_of(step.name, given)].append(step)
        else:
            named[step.name].append(step)
    counts = Counter(call.name for call in calls)
    for name, some in named.items():
        if len(some) == counts[name]:  # one for each call: then they are those
            waiting["", name].extend(some)
    return waiting


def _of_step(step: Step, windows: Sequence[Step]) -> Call:
    """Return the call of a step that no message tells of."""
    before = [window for window in windows if window.started_at <= step.started_at]
    result = step.data.get("result")
    text = result if isinstance(result, str) else _canonical(result) if result else ""
    given = step.data.get("arguments")
    known = isinstance(given, Mapping)
    return Call(
        0,
        0,
        0,
        str(step.data.get("call_id", "")),
        step.name,
        given if isinstance(given, Mapping) else {},
        text=text,
        problem=problem_of(step.error or text, outcome=step.outcome),
        window=before[-1] if before else None,
        step=step,
        at=step.started_at.timestamp(),
        known=known,
    )


def key_of(name: str, given: Mapping[str, Any]) -> str:
    """Return what is the same of two calls that ask the same, whatever their spelling."""
    return folded(f"{name} {_canonical(given)}")


def said(message: Message) -> str:
    """Return all that a message says: text, results, and the arguments of its calls."""
    calls = (
        f"{part.name} {part.raw_arguments or _canonical(part.arguments)}"
        for part in message.tool_calls
    )
    return "\n".join([message.text, *calls])


def _canonical(value: Any) -> str:
    try:
        return codec.canonical(_plain(value)).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return repr(value)


def _plain(value: Any) -> Any:
    """Return JSON in which spelling makes no difference: 3, 3.0 and "3 " are one."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool):
        return value
    return plain_number(" ".join(str(value).split()))


def _goes_on(first: Step, window: Step, versions: Sequence[int]) -> bool:
    """Say whether a window is an earlier one with what was said since, which its size tells."""
    if _MADE_OTHERWISE & (first.data.keys() | window.data.keys()):
        return False
    if any(first.data.get(key) != window.data.get(key) for key in _MADE_FROM):
        return False
    since = bisect_right(versions, _head(window)) - bisect_right(versions, _head(first))
    before, size = first.data.get("messages"), window.data.get("messages")
    return before is not None and size is not None and bool(size - before == since)


def _head(step: Step) -> int:
    return int(step.data["head"])
