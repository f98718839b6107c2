"""From whatever is a tool elsewhere to a Tool: functions, LangChain, LlamaIndex, MCP."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from ctxplug.errors import InvalidToolError, ToolError
from ctxplug.tools.tool import Tool

_SCHEMAS = ("inputSchema", "input_schema", "parameters")  # MCP, Anthropic, OpenAI


def to_tool(tool: Any, *, call: Callable[..., Any] | None = None, **overrides: Any) -> Tool:
    """Return what `tool` is as a Tool, with the fields of `overrides`.

    `call` runs a tool that is only described: a dict or object with a name, a description
    and an `inputSchema` (MCP), `input_schema` (Anthropic) or `parameters` (OpenAI).
    Raises InvalidToolError for what is none.
    """
    if isinstance(tool, Tool):
        if call is not None:
            overrides["function"] = call
        return tool.evolve(**overrides) if overrides else tool
    described = _described(tool)
    if described is not None:
        return _from_description(described, call, overrides)
    if call is not None:
        raise InvalidToolError(
            f"call= is for a tool that is described by a schema, and {tool!r:.80} is not; give"
            " the function alone.",
        )
    if hasattr(tool, "args_schema") and hasattr(tool, "ainvoke"):
        return _from_other(_of_langchain, tool, overrides)
    if hasattr(tool, "metadata") and hasattr(tool.metadata, "get_parameters_dict"):
        return _from_other(_of_llamaindex, tool, overrides)
    if isinstance(getattr(tool, "schema", None), Mapping) and callable(tool):
        return _from_function_with_schema(tool, overrides)
    return Tool.of(tool, **overrides)


def _described(tool: Any) -> Mapping[str, Any] | None:
    """Return name, description and schema of a tool that is no more than these."""
    if isinstance(tool, Mapping):
        inner = tool.get("function", tool)
        return inner if isinstance(inner, Mapping) else tool
    if isinstance(getattr(tool, "inputSchema", None), Mapping):  # of the package mcp
        return {
            "name": getattr(tool, "name", None),
            "description": getattr(tool, "description", None),
            "inputSchema": tool.inputSchema,
        }
    return None


def _from_description(
    described: Mapping[str, Any], call: Callable[..., Any] | None, overrides: dict[str, Any]
) -> Tool:
    name = overrides.pop("name", None) or described.get("name")
    schema = next((described[key] for key in _SCHEMAS if key in described), None)
    if not isinstance(name, str) or schema is None:
        raise InvalidToolError(
            f"A described tool has a 'name' and one of {', '.join(_SCHEMAS)}, and this has"
            f" {', '.join(sorted(map(str, described))) or 'nothing'}.",
            tool=str(name or ""),
        )
    if call is None:
        raise InvalidToolError(
            f"The tool {name!r} is only described; say what runs it with call=, a function that"
            " gets the arguments by name.",
            tool=name,
        )
    description = overrides.pop("description", None) or described.get("description") or ""
    schema = overrides.pop("schema", schema)
    return Tool.from_schema(
        name, description, schema, call, **{"source": _place(call), **overrides}
    )


def _from_function_with_schema(function: Any, overrides: dict[str, Any]) -> Tool:
    """Return a function that brings its schema, as those of the integrations do."""
    name = overrides.pop("name", None) or str(getattr(function, "__name__", ""))
    description = overrides.pop("description", None)
    if description is None:
        description = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")[0]
    schema = overrides.pop("schema", function.schema)
    return Tool.from_schema(
        name, description, schema, function, **{"source": _place(function), **overrides}
    )


def _from_other(
    read: Callable[[Any], dict[str, Any]], tool: Any, overrides: dict[str, Any]
) -> Tool:
    """Return the tool of another framework, of which `read` gives the fields."""
    try:
        fields = read(tool) | overrides
    except InvalidToolError:
        raise
    except Exception as exc:  # whatever the framework raises for a schema that it cannot make
        reason = str(exc).partition("\n")[0]
        raise InvalidToolError(f"{tool!r:.80} has no schema to be had: {reason}") from exc
    name, description, schema, call = (
        fields.pop(key) for key in ("name", "description", "schema", "function")
    )
    return Tool.from_schema(name, description, schema, call, **fields)


def _of_langchain(tool: Any) -> dict[str, Any]:
    schema = _schema_of_langchain(tool)
    fields = getattr(tool.args_schema, "model_fields", {})
    shown = schema.get("properties", {})
    for name, field in fields.items():
        if name not in shown and field.alias not in shown and field.is_required():
            raise InvalidToolError(
                f"The tool {tool.name!r} is given {name!r} by LangChain itself, so it cannot be"
                " called from elsewhere; make one without it.",
                tool=str(tool.name),
            )

    def call(**arguments: Any) -> Any:
        try:
            return tool.invoke(arguments)
        except Exception as exc:
            raise _told(exc, tool.name) from exc

    async def acall(**arguments: Any) -> Any:
        try:
            return await tool.ainvoke(arguments)
        except Exception as exc:
            raise _told(exc, tool.name) from exc

    only_async = getattr(tool, "coroutine", None) and not getattr(tool, "func", None)
    return {
        "name": str(tool.name),
        "description": str(tool.description or ""),
        "schema": {k: v for k, v in schema.items() if k not in ("title", "description")},
        "function": acall if only_async else call,
        "source": f"LangChain tool {tool.name!r}",
    }


def _schema_of_langchain(tool: Any) -> Mapping[str, Any]:
    names = {f"{one.__module__}.{one.__name__}" for one in type(tool).__mro__}
    if "langchain_core.tools.simple.Tool" in names and tool.args_schema is None:
        # of one text; its tool_call_schema describes what LangChain itself passes on
        return {"type": "object", "properties": dict(tool.args), "required": [*tool.args]}
    schema = tool.tool_call_schema if hasattr(tool, "tool_call_schema") else tool.args_schema
    return schema if isinstance(schema, Mapping) else cast(Any, schema.model_json_schema())


def _of_llamaindex(tool: Any) -> dict[str, Any]:
    name = str(tool.metadata.get_name())
    if getattr(tool, "requires_context", False):
        raise InvalidToolError(
            f"The tool {name!r} takes the Context of a LlamaIndex run, so it cannot be called"
            " from elsewhere; make one without it.",
            tool=name,
        )

    def call(**arguments: Any) -> Any:
        return _content(tool.call(**arguments), name)

    async def acall(**arguments: Any) -> Any:
        return _content(await tool.acall(**arguments), name)

    only_async = inspect.iscoroutinefunction(getattr(tool, "real_fn", None))
    return {
        "name": name,
        "description": str(tool.metadata.description or ""),
        "schema": dict(tool.metadata.get_parameters_dict()),
        "function": acall if only_async else call,
        "source": f"LlamaIndex tool {name!r}",
    }


def _content(output: Any, name: str) -> Any:
    """Return what a LlamaIndex tool answered, as text; raise what it failed with."""
    if getattr(output, "is_error", False):
        cause = getattr(output, "exception", None)
        raise cause or ToolError(f"The tool {name!r} failed.", tool=name)
    return getattr(output, "content", output)


def _told(exc: Exception, name: str) -> Exception:
    """Return what LangChain means the model to read as ours; other errors as they are."""
    names = {f"{one.__module__}.{one.__name__}" for one in type(exc).__mro__}
    is_meant = "langchain_core.tools.base.ToolException" in names
    return ToolError(str(exc), tool=str(name)) if is_meant else exc


def _place(function: Any) -> str:
    """Return where a function is from, for messages."""
    module = getattr(function, "__module__", None) or type(function).__module__
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}"
