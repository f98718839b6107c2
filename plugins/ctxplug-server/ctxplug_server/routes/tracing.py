"""Traces: the steps of sessions, the windows they made, and what stands out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Response

from ctxplug.context.recorded import Replayed
from ctxplug.tracing.analysis import Analysis
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.rerun import Rerun
from ctxplug.tracing.step import Step
from ctxplug_server.caller import Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.routes.entering import entered
from ctxplug_server.routes.places import Session, When
from ctxplug_server.schemas.shown import model_of, several
from ctxplug_server.schemas.tracing import RerunIn, StepsIn
from ctxplug_server.wire import to_json
from ctxplug_server.wire.policies import policy_from
from ctxplug_server.wire.prompts import write_prompts

tracing = router("traces")

Kind = Literal[
    "window", "compaction", "model", "tool", "recall", "remember", "error", "retry", "span"
]
StepId = Annotated[str, Path(description="The id of a step.", examples=["9f3c5d7e1a2b4c60"])]


@tracing.get("/sessions/{session}/steps", **gives(several("steps", Step)))
def list_steps(
    caller: Calling,
    session: Session,
    trace: Annotated[str | None, Query(description="Only those of one trace.")] = None,
    kind: Annotated[Kind | None, Query(description="Only of this kind.")] = None,
    last: Annotated[int | None, Query(ge=0, description="Only so many of the newest.")] = None,
    since: When = None,
    until: When = None,
) -> Response:
    """List a session's steps in the order they began."""
    found = caller.memory(session).trace.steps(
        trace=trace, kind=kind, last=last, since=since, until=until
    )
    return answer({"steps": found})


@tracing.post("/sessions/{session}/steps", **gives(several("steps", Step), 201))
def record_steps(caller: Calling, session: Session, body: StepsIn) -> Response:
    """Enter steps that were measured elsewhere; those that are kept are stored."""
    memory = caller.memory(session, "write")
    steps = [entered(memory, step) for step in body.steps]
    memory.trace.flush()
    return answer({"steps": steps}, 201)


@tracing.get("/sessions/{session}/steps/{step}", **gives(model_of(Step)))
def get_step(caller: Calling, session: Session, step: StepId) -> Response:
    """Return one step."""
    return answer(caller.memory(session).trace.get(step))


@tracing.get("/sessions/{session}/steps/{step}/window", **gives(model_of(Replayed)))
def replay_window(caller: Calling, session: Session, step: StepId) -> Response:
    """Make the window of a past call again from the log, and say whether it is the same."""
    return answer(caller.memory(session).trace.window(step))


@tracing.get("/sessions/{session}/difference", **gives(model_of(Difference)))
def compare_windows(
    caller: Calling,
    session: Session,
    before: Annotated[
        str,
        Query(description="The id of a step that made a window.", examples=["9f3c5d7e1a2b4c60"]),
    ],
    after: Annotated[
        str, Query(description="The id of another one.", examples=["2b8e0f6a4c1d9375"])
    ],
) -> Response:
    """Return what one window has otherwise than another."""
    return answer(caller.memory(session).trace.compare(before, after))


@tracing.get("/sessions/{session}/analysis", **gives(model_of(Analysis)))
def analyze(caller: Calling, session: Session) -> Response:
    """Return what stands out in a session: causes of failure, and waste."""
    return answer(caller.memory(session).trace.analyze())


@tracing.post("/sessions/{session}/rerun", **gives(model_of(Rerun)))
def rerun(caller: Calling, session: Session, body: RerunIn | None = None) -> Response:
    """Make the recorded calls again under other settings, and compare; nothing is written."""
    given = body.given() if body else {}
    whole = given.pop("whole", False)
    if "policy" in given:
        caller.require_policy(given["policy"])
        given["policy"] = policy_from(given["policy"])
    found = caller.memory(session).trace.rerun(**given)
    return answer({**to_json(found), "prompts": write_prompts(found)} if whole else found)
