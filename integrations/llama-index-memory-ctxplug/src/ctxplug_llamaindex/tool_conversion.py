"""Tools across: ctxplug's are plain annotated functions, LlamaIndex's are tool objects."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llama_index.core.base.llms.types import TextBlock
from llama_index.core.tools import BaseTool, FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.tools.types import adapt_to_async_tool

from ctxplug.errors import InvalidValueError
from ctxplug.plugins import Plugins, installed
from ctxplug.registry import Registry
from ctxplug.tools import Tool
from ctxplug.tools.foreign import FunctionsPlugin, plain_function, waited
from ctxplug_llamaindex.tool_schemas import schema_model, split_docstring

__all__ = ["as_function", "as_function_tool", "registered_tools", "tools_plugin"]

LONGEST = 1_024  # characters of a description: OpenAI takes no more, and LlamaIndex raises
HANDOFF = "handoff"  # AgentWorkflow's own tool


# -- ctxplug to LlamaIndex ---------------------------------------------------------------


def as_function_tool(
    function: Callable[..., Any] | Tool,
    *,
    name: str | None = None,
    description: str | None = None,
    return_direct: bool = False,
) -> FunctionTool:
    """Return a plain annotated function, sync or async, or a Tool, as a FunctionTool.

    The schema comes from its signature, the descriptions from its docstring (and what an
    `Args:` section or an Annotated text says of a parameter). It can be called both ways, on
    any thread. What it returns is text to a model, as JSON where it is data; what it raises,
    LlamaIndex tells the model.
    """
    if isinstance(function, Tool):
        function = function.as_function()
    name = name or str(getattr(function, "__name__", "tool"))
    summary, said = split_docstring(inspect.getdoc(function) or "")
    if not (description or summary):
        raise InvalidValueError(
            f"The tool {name!r} has no docstring, so a model cannot know what it is for; write"
            " one, or give a description.",
            path="description",
        )
    if name == HANDOFF:
        raise InvalidValueError(
            f"{HANDOFF!r} is the tool by which AgentWorkflow hands over; give another name.",
            path="name",
        )
    call, acall = _both(function)
    metadata = ToolMetadata(
        description=_short(description or summary),
        name=name,
        fn_schema=schema_model(function, name, said),
        return_direct=return_direct,
    )
    return FunctionTool.from_defaults(call, async_fn=acall, tool_metadata=metadata)


def registered_tools(
    plugins: Plugins | None = None, names: Iterable[str] | None = None
) -> list[FunctionTool]:
    """Return the tools that plugins offer through `register_tools`, by their registered names.

    `names` chooses among them. Raises UnknownComponentError for a name that nobody offers.
    """
    registry = Registry(plugins or installed())
    chosen = registry.names("tool") if names is None else list(names)
    return [as_function_tool(registry.resolve("tool", name), name=name) for name in chosen]


def _both(function: Callable[..., Any]) -> tuple[Any, Any]:
    """Return a function and a coroutine function that call `function` with a copy."""

    async def acall(**given: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return _answer(await function(**copy.deepcopy(given)))
        return _answer(await asyncio.to_thread(function, **copy.deepcopy(given)))

    def call(**given: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return waited(acall(**given))
        return _answer(function(**copy.deepcopy(given)))

    return call, acall


def _answer(value: Any) -> Any:
    """Return data as JSON, which LlamaIndex would show as Python writes it; else the value."""
    if not isinstance(value, Mapping | list | tuple):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return value  # such as a list of nodes or of content blocks


def _short(description: str) -> str:
    if len(description) <= LONGEST:
        return description
    return description[: LONGEST - 2].rstrip() + " …"


# -- LlamaIndex to ctxplug ---------------------------------------------------------------


def tools_plugin(tools: Iterable[BaseTool | Callable[..., Any]]) -> object:
    """Return a ctxplug plugin that registers LlamaIndex tools, each under its name.

    Register it with `plugins.register(tools_plugin(tools), "my-tools")`.
    """
    return FunctionsPlugin(as_function(t) if isinstance(t, BaseTool) else t for t in tools)


def as_function(tool: BaseTool) -> Callable[..., Any]:
    """Return a LlamaIndex tool, such as a FunctionTool or QueryEngineTool, as a plain function.

    Its name, signature and docstring are what the model would see of the tool, and `schema`
    is the JSON schema of its arguments; it is async where the tool is only that. It returns
    the content that the model would get, as text, or as a list of blocks where it has others.
    Raises InvalidValueError for a tool that needs the Context of a run.
    """
    metadata = tool.metadata
    name = metadata.get_name()
    if isinstance(tool, FunctionTool) and tool.requires_context:
        raise InvalidValueError(
            f"The tool {name!r} takes {tool.ctx_param_name!r} from a LlamaIndex run, so it cannot"
            " be called from elsewhere; make one without it.",
            path=tool.ctx_param_name or "",
        )
    named = adapt_to_async_tool(tool)

    def call(args: dict[str, Any]) -> Any:
        return _content(named.call(**args))

    async def acall(args: dict[str, Any]) -> Any:
        return _content(await named.acall(**args))

    is_async = isinstance(tool, FunctionTool) and inspect.iscoroutinefunction(tool.real_fn)
    return plain_function(
        name,
        metadata.description,
        metadata.get_parameters_dict(),
        call=call,
        acall=acall if is_async else None,
        model=metadata.fn_schema,
    )


def _content(output: ToolOutput) -> Any:
    """Return what a tool answered: text where it is only that; raise what it failed with."""
    if output.is_error:
        raise output.exception or RuntimeError(output.content)
    if all(isinstance(block, TextBlock) for block in output.blocks):
        return output.content
    return [block.model_dump(mode="json", exclude_none=True) for block in output.blocks]
