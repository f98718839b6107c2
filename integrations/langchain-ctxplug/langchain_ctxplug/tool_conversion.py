"""Tools across: ctxplug's are plain annotated functions, LangChain's are BaseTool objects."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool

from ctxplug.errors import InvalidValueError
from ctxplug.plugins import Plugins, installed
from ctxplug.registry import Registry
from ctxplug.tools import Tool
from ctxplug.tools.foreign import FunctionsPlugin, plain_function, waited

__all__ = ["as_function", "as_langchain_tool", "registered_tools", "tools_plugin"]


# -- ctxplug to LangChain ----------------------------------------------------------------


def as_langchain_tool(
    function: Callable[..., Any] | Tool, *, name: str | None = None, description: str | None = None
) -> StructuredTool:
    """Return a plain annotated function, sync or async, or a Tool, as a LangChain tool.

    The schema comes from its signature, the descriptions from its docstring (and what an
    `Args:` section or an Annotated text says of a parameter). It can be invoked both ways.
    What it raises is told to the model as the result of the call.
    """
    if isinstance(function, Tool):
        function = function.as_function()
    name = name or str(getattr(function, "__name__", "tool"))
    doc = inspect.getdoc(function)
    if not doc and not description:
        raise InvalidValueError(
            f"The tool {name!r} has no docstring, so a model cannot know what it is for; write"
            " one, or give a description.",
            path="description",
        )
    schema, summary = _schema(function, name)
    call, acall = _both(function, name)
    return StructuredTool.from_function(
        call,
        acall,
        name=name,
        description=description or summary or doc,
        args_schema=schema,
        handle_tool_error=True,
    )


def _schema(function: Callable[..., Any], name: str) -> tuple[Any, str | None]:
    """Return the schema of a function's arguments, and what it says of itself beside them."""
    schema = getattr(function, "schema", None)
    if isinstance(schema, dict):
        return schema, (inspect.getdoc(function) or "").partition("\n\nArgs:\n")[0]
    try:
        made = StructuredTool.from_function(function, name=name, parse_docstring=True)
    except ValueError:  # a docstring of another style
        made = StructuredTool.from_function(function, name=name, description=name)
        return made.args_schema, None
    return made.args_schema, made.description


def registered_tools(
    plugins: Plugins | None = None, names: Iterable[str] | None = None
) -> list[BaseTool]:
    """Return the tools that plugins offer through `register_tools`, by their registered names.

    `names` chooses among them. Raises UnknownComponentError for a name that nobody offers.
    """
    registry = Registry(plugins or installed())
    chosen = registry.names("tool") if names is None else list(names)
    return [as_langchain_tool(registry.resolve("tool", name), name=name) for name in chosen]


def _both(function: Callable[..., Any], name: str) -> tuple[Any, Any]:
    """Return a function and a coroutine function that call `function` with a copy."""

    async def acall(**given: Any) -> Any:
        try:
            if inspect.iscoroutinefunction(function):
                return await function(**copy.deepcopy(given))
            return await asyncio.to_thread(function, **copy.deepcopy(given))
        except ToolException:
            raise
        except Exception as exc:
            raise _told(name, exc) from exc

    def call(**given: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return waited(acall(**given))
        try:
            return function(**copy.deepcopy(given))
        except ToolException:
            raise
        except Exception as exc:
            raise _told(name, exc) from exc

    return call, acall


def _told(name: str, exc: Exception) -> ToolException:
    return ToolException(f"{name} failed: {type(exc).__name__}: {exc}")


# -- LangChain to ctxplug ----------------------------------------------------------------


def tools_plugin(tools: Iterable[BaseTool | Callable[..., Any]]) -> object:
    """Return a ctxplug plugin that registers LangChain tools, each under its name.

    Register it with `plugins.register(tools_plugin(tools), "my-tools")`.
    """
    return FunctionsPlugin(as_function(t) if isinstance(t, BaseTool) else t for t in tools)


def as_function(tool: BaseTool) -> Callable[..., Any]:
    """Return a LangChain tool as a plain annotated function.

    Its name, signature and docstring are what the model would see of the tool, and `schema`
    is the JSON schema of its arguments; it is async where the tool is only that. It returns
    the content that the model would get, as text, or as a list where it has other blocks.
    Raises InvalidValueError for a tool that needs what only a LangGraph run can give it.
    """
    _refuse_injected(tool)
    spec = convert_to_openai_tool(tool)["function"]
    schema: dict[str, Any] = spec.get("parameters") or {"type": "object", "properties": {}}

    def message(args: dict[str, Any]) -> dict[str, Any]:
        return {"name": tool.name, "args": args, "id": uuid.uuid4().hex, "type": "tool_call"}

    def call(args: dict[str, Any]) -> Any:
        return _content(tool.invoke(message(args)))

    async def acall(args: dict[str, Any]) -> Any:
        return _content(await tool.ainvoke(message(args)))

    is_async = isinstance(tool, StructuredTool) and tool.func is None
    return plain_function(
        tool.name,
        spec.get("description") or "",
        schema,
        call=call,
        acall=acall if is_async else None,
        model=tool.args_schema if isinstance(tool.args_schema, type) else None,
    )


def _refuse_injected(tool: BaseTool) -> None:
    if isinstance(tool.args_schema, dict):
        return
    shown = set(
        convert_to_openai_tool(tool)["function"].get("parameters", {}).get("properties", {})
    )
    schema: Any = tool.get_input_schema()
    missing = [
        name
        for name, field in schema.model_fields.items()
        if name not in shown and field.is_required() and "tool_call_id" not in name
    ]
    if missing:
        raise InvalidValueError(
            f"The tool {tool.name!r} takes {missing[0]!r} from a LangGraph run, so it cannot be"
            " called from elsewhere; give the agent a tool without it.",
            path=missing[0],
        )


def _content(answer: Any) -> Any:
    """Return the content of a tool's message: text where it is only that."""
    content = answer.content if isinstance(answer, ToolMessage) else answer
    if isinstance(content, list):
        texts = [block if isinstance(block, str) else block.get("text") for block in content]
        said = [text for text in texts if isinstance(text, str)]
        return "\n".join(said) if len(said) == len(texts) else content
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
