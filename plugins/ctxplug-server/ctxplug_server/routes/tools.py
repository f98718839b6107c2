"""Tools: those of the server's plugins, and those of memory."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response

from ctxplug.messages import Message, ToolCallPart
from ctxplug.tools.registry import ToolRegistry
from ctxplug.tools.runs import ToolRun
from ctxplug.tools.tool import Tool
from ctxplug_server.caller import Caller, Calling
from ctxplug_server.routes.answers import answer, gives, router
from ctxplug_server.routes.places import Session
from ctxplug_server.schemas.shown import model_of, several
from ctxplug_server.schemas.tracing import OneCallIn, RunIn, ToolsShown

tools = router("tools")

SHOWN = (
    "name", "description", "schema", "version", "idempotent", "side_effects", "timeout",
    "isolation", "source",
)  # fmt: skip


@tools.get("/tools", **gives(ToolsShown))
def list_tools(
    caller: Calling,
    session: Annotated[str | None, Query(description="Those that the rules enable there.")] = None,
) -> Response:
    """List the tools that a model may be told of, as JSON Schema."""
    listed = _registry(caller, session, "read").list()
    return answer({"tools": [_shown(tool) for tool in listed]})


@tools.get("/tools/history", **gives(several("runs", ToolRun)))
def tool_history(
    caller: Calling,
    session: Annotated[
        str, Query(description="The session whose runs are listed.", examples=["trip"])
    ],
    tool: Annotated[str | None, Query(description="Only of this tool.")] = None,
    limit: Annotated[int, Query(ge=0, le=10_000, description="How many at most.")] = 100,
) -> Response:
    """List the runs that have ended, the newest first."""
    runs = _registry(caller, session, "read").history(limit=limit, tool=tool)
    return answer({"runs": runs})


@tools.post("/sessions/{session}/tools/run", **gives(several("messages", Message)))
def run_tools(caller: Calling, session: Session, body: RunIn) -> Response:
    """Run the calls of a turn together; one tool message each, whatever happens to a call."""
    calls = [
        ToolCallPart(
            call.id, call.name, call.arguments, raw_arguments=call.raw_arguments, extra=call.extra
        )
        for call in body.calls
    ]
    registry = _registry(caller, session, "write")
    messages = registry.run(
        calls, approve=_approve(caller, body.approve), deadline=body.deadline, store=body.store
    )
    return answer({"messages": messages})


@tools.post("/sessions/{session}/tools/call", **gives(model_of(ToolRun)))
def call_tool(caller: Calling, session: Session, body: OneCallIn) -> Response:
    """Run one tool, by the same rules as a call of a model."""
    run = _registry(caller, session, "write").call(
        body.name,
        body.arguments,
        call_id=body.call_id,
        approve=_approve(caller, body.approve),
        deadline=body.deadline,
    )
    return answer(run)


def _registry(caller: Caller, session: str | None, right: str) -> ToolRegistry:
    registry = caller.memory(session, right).tools
    registry.add_memory_tools()
    return registry


def _approve(caller: Caller, given: bool) -> Any:
    """Return who is asked: whoever may administer the namespace has answered beforehand."""
    if not given:
        return None
    caller.require("admin")
    return lambda call: True


def _shown(tool: Tool) -> dict[str, Any]:
    return {name: getattr(tool, name) for name in SHOWN}
