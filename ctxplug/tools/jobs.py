"""Job: one call on its way from what a model asked for to what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ctxplug import codec
from ctxplug.errors import GuardError, InvalidMessageError, ToolArgumentsError, ToolError
from ctxplug.guards import Guards
from ctxplug.messages import Message, Part, TextPart, ToolCallPart
from ctxplug.scope import Scope, new_id
from ctxplug.tools.running import Answer
from ctxplug.tools.runs import INTERRUPTED, End, Outcome, Start, result_message
from ctxplug.tools.tool import Tool

MOST_RECORDED = 256 * 1024  # bytes of the arguments that are recorded
USED_TWICE = (
    "The call id {!r} was used for another call before, so this one did not run; every call has"
    " an id of its own."
)
ELSEWHERE = (
    "The call {!r} was begun before and still ran when the time for it was up. Whether it takes"
    " effect is not known."
)
WITHHELD = "A plugin that redacts what is stored refused or failed; {what}."


@dataclass(slots=True)
class Job:
    """A call, how it is recorded, and what came of it."""

    call: ToolCallPart
    start: Start
    tool: Tool | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)  # as the function gets them
    outcome: Outcome | None = None  # None: it is to run, or runs
    error: str | None = None
    answer: Answer | None = None
    attempts: int = 0
    duration: float = 0.0
    started: int | None = None  # version of its start in the log
    step: Any = None  # of the memory's trace

    @property
    def given(self) -> Mapping[str, Any] | str:
        """The arguments as the model gave them."""
        raw = self.call.raw_arguments
        return raw if raw and not self.call.arguments else self.call.arguments

    def end(self, outcome: Outcome, error: str | None = None) -> None:
        """Say what came of it; the first word counts."""
        if self.outcome is None:
            self.outcome, self.error = outcome, error

    def to_end(self, guards: Guards, scope: Scope) -> End:
        """Return how its end is recorded: read out and redacted."""
        output: Message | None = None
        outcome, error = self.outcome or "interrupted", self.error
        if self.outcome is None:
            error = INTERRUPTED
        failure = self.answer.failure if self.answer else None
        now = datetime.now(UTC)
        if outcome == "ok" and self.answer is not None:
            outcome, error, output = self._read(self.answer, now)
        try:
            output = guards.redact_message(output, scope) if output else None
            error = guards.redact(error, scope) if error else error
        except GuardError:
            outcome, output = "error", None
            error = WITHHELD.format(what="what the tool gave back is withheld")
        return End(
            start=self.start,
            outcome=outcome,
            at=now,
            error=error,
            output=output,
            attempts=self.attempts,
            duration=self.duration,
            started=self.started,
            failure=failure,
        )

    def _read(self, answer: Answer, now: datetime) -> tuple[Outcome, str | None, Message | None]:
        result = answer.read()
        if "error" in result:
            return "error", error_text(self.start.tool, result), None
        output = result_message(
            self.start.run,
            self.call.id,
            self.start.tool,
            _content(result["content"]),
            now,
            is_error=result["is_error"],
        )
        return ("error" if result["is_error"] else "ok"), None, output


def _content(parts: Sequence[Mapping[str, Any]]) -> Sequence[Part]:
    """Return the parts that `read_result` describes."""
    if all(part["type"] == "text" for part in parts):
        return [TextPart(part["text"]) for part in parts]
    return Message.from_dict({"role": "tool", "content": list(parts)}).content


def error_text(tool: str, result: Mapping[str, Any]) -> str:
    """Return what the model is told of a failure: the class, and a text only if it was meant."""
    if result["text"]:
        return str(result["text"])
    name = re.sub(r"\W", "", str(result["error"])) or "Exception"
    return f"The tool {tool!r} failed with {name}."


def late(job: Job, seconds: float) -> str:
    """Return what the model is told of a call whose time was up."""
    if not job.attempts:
        return f"The tool {job.start.tool!r} did not run: no time was left for it."
    return (
        f"The tool {job.start.tool!r} gave no answer within {seconds:.3g} seconds."
        " Whether it took effect is not known."
    )


def to_jobs(calls: Sequence[ToolCallPart], guards: Guards, scope: Scope) -> list[Job]:
    """Return a job for each call; raise InvalidMessageError if two have one id."""
    now = datetime.now(UTC)
    jobs: list[Job] = []
    ids: set[str] = set()
    for i, call in enumerate(calls):
        if not isinstance(call, ToolCallPart):
            raise InvalidMessageError(
                f"run takes ToolCallParts, such as message.tool_calls, not {type(call).__name__}.",
                path=f"calls[{i}]",
            )
        if not call.id or call.id in ids:
            raise InvalidMessageError(
                f"calls[{i}] has the id {call.id!r}"
                + (", as another of these calls has" if call.id else "")
                + "; every call has an id of its own, by which its result is found.",
                path=f"calls[{i}].id",
            )
        ids.add(call.id)
        jobs.append(_job(call, guards, scope, now))
    return jobs


def prepare(job: Job, tool: Tool) -> None:
    """Give a job its tool and validated arguments, or its end if they do not fit."""
    job.tool = tool
    try:
        job.arguments = tool.validated(job.given)
    except ToolArgumentsError as exc:
        job.end("invalid", str(exc)[:2_000])
    except ToolError as exc:
        job.end("error", str(exc)[:2_000])
    except Exception as exc:  # a validator of the application's own
        job.end("invalid", f"The arguments of {tool.name!r} do not fit: {type(exc).__name__}.")


def _job(call: ToolCallPart, guards: Guards, scope: Scope, now: datetime) -> Job:
    refused = None
    recorded: Mapping[str, Any] = {}
    try:
        recorded = _recorded(call, guards, scope)
    except GuardError:
        refused = WITHHELD.format(what="the call was not run")
    start = Start(new_id(), call.id, str(call.name)[:200], "", recorded, now)
    job = Job(call, start)
    if refused:
        job.end("refused", refused)
    return job


def _recorded(call: ToolCallPart, guards: Guards, scope: Scope) -> Mapping[str, Any]:
    """Return the arguments as they may be stored; what is too large, or no JSON, is left out."""
    raw = call.raw_arguments
    try:
        arguments: Any = call.arguments or (codec.decode(raw) if raw else {})
        plain = codec.plain(arguments)
        if not isinstance(plain, dict) or _is_large(plain):
            return {}
    except ValueError:
        return {}
    if not guards.redacts:
        return plain
    message = Message("assistant", ToolCallPart(call.id, call.name, plain))
    return guards.redact_message(message, scope).tool_calls[0].arguments


def _is_large(arguments: Mapping[str, Any]) -> bool:
    """Say whether arguments are too many to be recorded; most are a few short values."""
    if len(arguments) < 16 and all(
        isinstance(value, str | int | float | None)
        and (not isinstance(value, str) or len(value) < 1_000)
        for value in arguments.values()
    ):
        return False
    return len(codec.encode(arguments)) > MOST_RECORDED
