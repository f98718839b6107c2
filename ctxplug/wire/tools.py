"""Tool definitions: one reading of OpenAI's and Anthropic's styles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ctxplug.wire import reading as read


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool as every provider knows it; `style` is "openai", "anthropic" or "own".

    "own" is a tool that only its provider can run, such as a web search; `source` is
    the dict it was read from.
    """

    style: str
    name: str
    description: str | None
    schema: Mapping[str, Any]
    source: Mapping[str, Any]


def read_tool(tool: Any, path: str) -> ToolDefinition:
    """Read one tool dict of either style; raise InvalidMessageError naming the path.

    OpenAI's comes as `{"type": "function", "function": {...}}` or flat, as its
    Responses API has it; Anthropic's has `input_schema`.
    """
    data = read.mapping(tool, path)
    if "input_schema" in data:
        return _read(data, data, "anthropic", "input_schema", path)
    if "function" in data:
        inner = read.join(path, "function")
        return _read(data, read.mapping(data["function"], inner), "openai", "parameters", inner)
    if data.get("type") == "function":
        return _read(data, data, "openai", "parameters", path)
    if isinstance(data.get("type"), str):
        return ToolDefinition("own", str(data.get("name") or data["type"]), None, {}, data)
    raise read.wrong(path, "a tool with 'function' (OpenAI) or 'input_schema' (Anthropic)", tool)


def _read(
    source: Mapping[str, Any], data: Mapping[str, Any], style: str, key: str, path: str
) -> ToolDefinition:
    schema = data.get(key)
    if schema is None:
        schema = {"type": "object", "properties": {}}
    return ToolDefinition(
        style,
        read.text(data, "name", path),
        read.optional_text(data, "description", path),
        read.mapping(schema, read.join(path, key)),
        source,
    )
