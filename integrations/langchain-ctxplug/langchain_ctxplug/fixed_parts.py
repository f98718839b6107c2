"""The system prompt, the tools and the answer's schema of a request, as they are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import SystemMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from ctxplug import Message
from langchain_ctxplug.messages import to_message

KNOWN = 512  # tools and schemas that are remembered


class FixedParts:
    """What a request carries besides its messages, as ctxplug counts it, made once each."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, dict[str, Any]]] = {}
        self._system: tuple[SystemMessage, Message] | None = None
        self._last: tuple[tuple[Any, ...], tuple[dict[str, Any], ...]] = (), ()

    def system(self, message: SystemMessage | None) -> Message | None:
        """Return the system prompt; the same object for the same."""
        if message is None:
            return None
        known = self._system
        if known is None or known[0] is not message:
            known = self._system = message, to_message(message)
        return known[1]

    def tools(
        self, tools: Sequence[Any], response_format: Any = None
    ) -> tuple[dict[str, Any], ...]:
        """Return a dict for each tool, dicts as they are, and for each schema of the answer."""
        asked = (*tools, *_schemas(response_format))
        made = self._last
        if len(made[0]) != len(asked) or any(
            a is not b for a, b in zip(made[0], asked, strict=True)
        ):
            made = asked, tuple(self._dict(one) for one in asked)
            self._last = made
        return made[1]

    def _dict(self, tool: Any) -> dict[str, Any]:
        if isinstance(tool, dict):
            return tool
        known = self._made.get(id(tool))
        if known is None or known[0] is not tool:
            if len(self._made) >= KNOWN:
                self._made.clear()
            known = self._made[id(tool)] = tool, _provider_dict(tool)
        return known[1]


def _provider_dict(tool: Any) -> dict[str, Any]:
    made: dict[str, Any] = convert_to_openai_tool(tool)
    extras = tool.extras if isinstance(tool, BaseTool) else None
    return {**made, "extras": extras} if isinstance(extras, dict) and extras else made


def _schemas(response_format: Any) -> list[Any]:
    """Return the schemas that a response format sends, whichever strategy sends them."""
    if response_format is None:
        return []
    specs = getattr(response_format, "schema_specs", None)
    if specs is None:
        spec = getattr(response_format, "schema_spec", None)
        specs = [] if spec is None else [spec]
    schemas = [spec.json_schema for spec in specs if isinstance(spec.json_schema, dict)]
    if schemas:
        return schemas
    return [getattr(response_format, "schema", response_format)]
