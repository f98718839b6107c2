"""What requests about steps and tools carry."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ctxplug_server.schemas.kinds import Body, Object, Text, Time
from ctxplug_server.schemas.messages import ToolCallPart


class StepIn(Body):
    """A step that was measured by whoever sends it."""

    kind: Text = Field(description="model, tool, recall, error, retry, span, ...")
    name: Text = ""
    started_at: Time
    duration: float = Field(description="In seconds.")
    outcome: Text = "ok"
    tokens: int | None = None
    cost: float | None = None
    error: Text | None = None
    parent: Text | None = Field(None, description="The id of the step that it is a part of.")
    trace: Text | None = Field(None, description="The trace that it belongs to.")
    id: Text | None = Field(None, description="16 hexadecimal digits; made when left out.")
    data: Object = Field(default_factory=dict)


class StepsIn(Body):
    """Steps to be entered."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "steps": [
                        {
                            "kind": "model",
                            "name": "claude-sonnet-4-5",
                            "started_at": "2026-05-01T10:30:00+00:00",
                            "duration": 1.8,
                            "tokens": 7600,
                        }
                    ]
                }
            ]
        }
    )

    steps: list[StepIn] = Field(max_length=1000)


class RerunIn(Body):
    """The settings under which a session's calls are made again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"policy": "aggressive"}]})

    policy: Text | None = None
    budget: int | None = None
    model: Text | None = None
    whole: bool = Field(False, description="Whether to tell what was sent, message by message.")


class CallIn(ToolCallPart):
    """A call that a model asked for."""

    type: Literal["tool_call"] = "tool_call"


class RunIn(Body):
    """The calls of a turn."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"calls": [{"id": "call_1", "name": "recall", "arguments": {"query": "seat"}}]}
            ]
        }
    )

    calls: list[CallIn] = Field(max_length=256)
    deadline: float | None = Field(None, ge=0, description="Seconds after which what runs ends.")
    store: bool = Field(False, description="Whether to add the messages to the session.")
    approve: bool = Field(
        False, description='What the rules ask about may run; takes the right "admin".'
    )


class OneCallIn(Body):
    """One call of a tool."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "recall", "arguments": {"query": "seat"}}]}
    )

    name: Text
    arguments: Object = Field(default_factory=dict)
    call_id: Text | None = None
    deadline: float | None = Field(None, ge=0)
    approve: bool = False


class ToolShown(BaseModel):
    """A tool, as a model is told of it."""

    model_config = ConfigDict(
        title="Tool",
        json_schema_extra={
            "examples": [
                {
                    "name": "recall",
                    "description": "Look for what is known.",
                    "schema": {"type": "object", "properties": {"query": {"type": "string"}}},
                    "version": "1",
                    "idempotent": True,
                    "side_effects": False,
                    "timeout": None,
                    "isolation": "thread",
                    "source": "the memory",
                }
            ]
        },
    )

    name: str
    description: str
    arguments: dict[str, Any] = Field(alias="schema", description="JSON Schema of its arguments.")
    version: str
    idempotent: bool = Field(description="Whether it may be tried again.")
    side_effects: bool = Field(description="Whether it takes a rule to run it.")
    timeout: float | None = Field(description="In seconds; null: the policy's.")
    isolation: str
    source: str


class ToolsShown(BaseModel):
    """The tools that a model may be told of here."""

    tools: list[ToolShown]
