"""What is done about each reason for which a model stops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["finish", "run_tools", "go_on", "compact", "incomplete"]

# Tools run for `tool_use` alone: what was cut off or refused may not be what was meant.
STOP_REASONS: Mapping[str | None, Action] = {
    "end_turn": "finish",
    "stop_sequence": "finish",
    "max_tokens": "finish",
    "refusal": "finish",
    "tool_use": "run_tools",
    "pause_turn": "go_on",
    "model_context_window_exceeded": "compact",
    None: "incomplete",  # the reply was cut off on its way
}


def action_for(stop_reason: str | None) -> Action:
    """Return what to do; a reason that is not known here ends the turn."""
    return STOP_REASONS.get(stop_reason, "finish")
