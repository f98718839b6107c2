"""ToolRun: what came of one call; and the entries of a session's log that tell of it.

Before the calls of a turn run, a `tool.started` of all of them is in the log; a `tool.finished`
tells of those that ended together, with the whole of what they gave back. What is long stands
alone in a `tool.output` before it, in the same write, so that to read the ends is cheap.
The first start and the first end of a call id count, so a call runs once and has one result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from ctxplug import codec
from ctxplug.messages import Message, TextPart, ToolResultPart
from ctxplug.storage import Append, Entry, Stream

STARTED = "tool.started"
OUTPUT = "tool.output"
FINISHED = "tool.finished"

INTERRUPTED = (
    "The call was interrupted before it ended: its process stopped, or it was cancelled."
    " Whether it took effect is not known."
)
INLINE = 1_000  # characters of an output that stands with the end of its run

Outcome: TypeAlias = Literal["ok", "error", "timeout", "refused", "interrupted", "invalid"]


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One call of a tool and what came of it.

    `outcome` is "ok", "error" (it raised, or said so), "timeout", "refused" (by a rule, by
    whoever was asked, or because no place came free), "interrupted" (the process or its
    caller ended first) or "invalid" (no such tool, or arguments that do not fit). `result` is
    the reference of its whole output, for `memory.original` and `memory.expand`; `error` says
    why there is none. `duration` is in seconds. Of a run just made, `message` is what the
    model gets, and `failure` what the tool raised: that may hold secrets, and is kept nowhere.
    """

    id: str
    call_id: str
    tool: str
    version: str
    arguments: Mapping[str, Any]
    outcome: Outcome
    result: str | None
    error: str | None
    started_at: datetime
    duration: float
    attempts: int
    session: str
    agent: str | None
    message: Message | None = field(default=None, repr=False)
    failure: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The text of what the model gets."""
        return self.message.text if self.message else self.error or ""


@dataclass(slots=True)
class Start:
    """A call as it is recorded before it runs; `arguments` as they may be stored."""

    run: str
    call: str
    tool: str
    version: str
    arguments: Mapping[str, Any]
    at: datetime

    @property
    def digest(self) -> str:
        """What tells this call from another under the same id."""
        named = [self.tool, self.arguments]
        return hashlib.sha256(codec.canonical(named)).hexdigest()[:32]

    def body(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run": self.run,
            "call": self.call,
            "tool": self.tool,
            "version": self.version,
            "arguments": self.arguments,
            "digest": self.digest,
        }


@dataclass(slots=True)
class End:
    """What came of a call: its `output` as parts, or an `error` text.

    `started` is the version of its start in the log; None if it was not let run.
    """

    start: Start
    outcome: Outcome
    at: datetime  # when it ended
    error: str | None = None
    output: Message | None = None
    attempts: int = 0
    duration: float = 0.0
    started: int | None = None
    failure: BaseException | None = None

    def body(self) -> dict[str, Any]:
        """Return it as JSON, without its output."""
        body: dict[str, Any] = {
            "run": self.start.run,
            "call": self.start.call,
            "tool": self.start.tool,
            "version": self.start.version,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "seconds": round(self.duration, 6),
            "at": self.start.at.isoformat(),
        }
        if self.started is None:
            body |= {"arguments": self.start.arguments, "digest": self.start.digest}
        else:
            body["started"] = self.started
        if self.error is not None:
            body["error"] = self.error
        return body


def end_appends(ends: Sequence[End], stream: Stream, agent: str | None) -> list[Append]:
    """Return the operations that record ends: their long outputs, and behind these one entry."""
    if not ends:
        return []
    at = ends[-1].at
    bodies = [end.body() for end in ends]
    long: list[Append] = []
    for end, body in zip(ends, bodies, strict=True):
        if end.output is None:
            continue
        message = end.output.to_dict()
        if _is_short(end.output):
            body["message"] = message
        else:
            body["output"] = len(long)
            output = {"run": end.start.run, "message": message}
            long.append(_append(stream, OUTPUT, output, at, agent))
    for body in bodies:
        if "output" in body:
            body["output"] = len(long) - body["output"]  # so many entries before this one
    return [*long, _append(stream, FINISHED, {"ends": bodies}, at, agent)]


def start_append(
    starts: Sequence[Start], stream: Stream, agent: str | None, runner: Any, until: datetime
) -> Append:
    """Return the operation that records starts; `until` is when they have ended for certain."""
    runs = [start.body() for start in starts]
    body = {"runs": runs, "runner": runner, "until": until.isoformat()}
    return _append(stream, STARTED, body, starts[0].at, agent)


def result_message(
    run: str,
    call: str,
    tool: str,
    content: Any,
    at: datetime,
    *,
    is_error: bool,
) -> Message:
    """Return the tool message of a run; its id is the run's."""
    part = ToolResultPart(call, content, is_error=is_error, name=tool)
    return Message("tool", part, created_at=at, id=run, metadata={"tool_run": run})


def message_of(body: Mapping[str, Any], at: datetime) -> Message:
    """Return the tool message that stands with the end of a run: its output or its error."""
    if "message" in body:
        return Message.from_dict(body["message"])
    text = TextPart(body.get("error") or "")
    return result_message(body["run"], body["call"], body["tool"], (text,), at, is_error=True)


def to_run(
    finished: Entry,
    place: int,
    arguments: Mapping[str, Any],
    message: Message | None = None,
    failure: BaseException | None = None,
) -> ToolRun:
    """Return the run that is told of at a place of an entry."""
    body = finished.body["ends"][place]
    return ToolRun(
        id=body["run"],
        call_id=body["call"],
        tool=body["tool"],
        version=body["version"],
        arguments=arguments,
        outcome=body["outcome"],
        result=_ref(body, finished.version, place),
        error=body.get("error"),
        started_at=datetime.fromisoformat(body["at"]),
        duration=body["seconds"],
        attempts=body["attempts"],
        session=finished.stream.session,
        agent=finished.agent,
        message=message,
        failure=failure,
    )


def _ref(body: Mapping[str, Any], version: int, place: int) -> str | None:
    """Return the reference of the whole output, if there is any."""
    if "output" in body:
        return f"@{version - body['output']}"
    return f"@{version}.{place}" if "message" in body else None


def _is_short(message: Message) -> bool:
    content = message.tool_results[0].content
    if not all(isinstance(part, TextPart) for part in content):
        return False
    return sum(len(part.text) for part in content if isinstance(part, TextPart)) <= INLINE


def _append(
    stream: Stream, kind: str, body: Mapping[str, Any], at: datetime, agent: str | None
) -> Append:
    return Append(stream=stream, kind=kind, body=body, created_at=at, agent=agent)
