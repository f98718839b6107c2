"""Tools across: ctxplug's are plain annotated functions, LangChain's are BaseTool objects."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import json
import keyword
import operator
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from types import NoneType
from typing import Annotated, Any, Literal

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool

from ctxplug import hookimpl
from ctxplug.errors import InvalidValueError
from ctxplug.hookspecs import Register
from ctxplug.plugins import Plugins, installed
from ctxplug.registry import Registry
from ctxplug.tools import Tool

__all__ = ["as_function", "as_langchain_tool", "registered_tools", "tools_plugin"]

_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": NoneType,
}


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
            return _waited(acall(**given))
        try:
            return function(**copy.deepcopy(given))
        except ToolException:
            raise
        except Exception as exc:
            raise _told(name, exc) from exc

    return call, acall


def _told(name: str, exc: Exception) -> ToolException:
    return ToolException(f"{name} failed: {type(exc).__name__}: {exc}")


def _waited(coroutine: Any) -> Any:
    """Run a coroutine to its end, on a thread of its own where a loop is running here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, thread_name_prefix="ctxplug-tool") as pool:
        return pool.submit(copy_context().run, asyncio.run, coroutine).result()


# -- LangChain to ctxplug ----------------------------------------------------------------


def tools_plugin(tools: Iterable[BaseTool | Callable[..., Any]]) -> object:
    """Return a ctxplug plugin that registers LangChain tools, each under its name.

    Register it with `plugins.register(tools_plugin(tools), "my-tools")`.
    """
    functions = [as_function(tool) if isinstance(tool, BaseTool) else tool for tool in tools]
    return _ToolsPlugin({function.__name__: function for function in functions})


class _ToolsPlugin:
    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._functions = functions

    @hookimpl
    def register_tools(self, register: Register) -> None:
        for name, function in self._functions.items():
            register(name, lambda function=function: function)


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
    names = {_identifier(name): name for name in schema.get("properties", {})}
    hints = {name: _hint(tool, given, schema) for name, given in names.items()}

    def message(given: Mapping[str, Any]) -> dict[str, Any]:
        args = {names.get(name, name): value for name, value in given.items()}
        return {"name": tool.name, "args": args, "id": uuid.uuid4().hex, "type": "tool_call"}

    signature = inspect.Signature(_parameters(tool, schema, names, hints), return_annotation=str)

    ours = {given: name for name, given in names.items()}

    def bound(*args: Any, **given: Any) -> dict[str, Any]:
        named = {ours.get(name, name): value for name, value in given.items()}
        return message(signature.bind(*args, **named).arguments)

    def call(*args: Any, **given: Any) -> Any:
        return _content(tool.invoke(bound(*args, **given)))

    async def acall(*args: Any, **given: Any) -> Any:
        return _content(await tool.ainvoke(bound(*args, **given)))

    is_async = isinstance(tool, StructuredTool) and tool.func is None
    function: Any = acall if is_async else call
    function.__name__ = function.__qualname__ = tool.name
    function.__doc__ = _doc(spec.get("description") or "", schema, names)
    function.__signature__ = signature
    function.__annotations__ = {**hints, "return": str}
    function.schema = schema
    return function  # type: ignore[no-any-return]


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


def _parameters(
    tool: BaseTool, schema: Mapping[str, Any], names: Mapping[str, str], hints: Mapping[str, Any]
) -> list[inspect.Parameter]:
    """Return the parameters, those without a default first, as a signature must have them."""
    required = set(schema.get("required", ()))
    found = []
    for name, given in names.items():
        default: Any = inspect.Parameter.empty
        if given not in required:
            default = copy.deepcopy(schema["properties"][given].get("default"))
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        found.append(inspect.Parameter(name, kind, default=default, annotation=hints[name]))
    return sorted(found, key=lambda one: one.default is not inspect.Parameter.empty)


def _identifier(name: str) -> str:
    """Return `name` as Python can take it, such as "from_" for "from"."""
    made = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    made = f"_{made}" if made[:1].isdigit() or not made else made
    return f"{made}_" if keyword.iskeyword(made) else made


def _hint(tool: BaseTool, name: str, schema: Mapping[str, Any]) -> Any:
    """Return the annotation of an argument, with its description where it has one."""
    said = schema["properties"][name]
    fields = getattr(tool.args_schema, "model_fields", {})
    hint = fields[name].annotation if name in fields else None
    if hint is None:
        hint = _type(said)
    text = said.get("description")
    return Annotated[hint, text] if isinstance(text, str) and text else hint


def _type(said: Mapping[str, Any]) -> Any:
    """Return the Python type that a JSON schema describes; Any where there is none."""
    if said.get("enum"):
        return Literal[tuple(said["enum"])]
    for key in ("anyOf", "oneOf"):
        if said.get(key):
            return functools.reduce(operator.or_, [_type(one) for one in said[key]])
    kind = said.get("type")
    if isinstance(kind, list):
        return functools.reduce(operator.or_, [_type({**said, "type": one}) for one in kind])
    if kind == "array":
        return list[_type(said.get("items") or {})]  # type: ignore[misc]
    if kind == "object":
        return dict[str, Any]
    return _TYPES.get(str(kind), Any)


def _doc(description: str, schema: Mapping[str, Any], names: Mapping[str, str]) -> str:
    said = {name: schema["properties"][given].get("description") for name, given in names.items()}
    lines = [f"    {name}: {' '.join(text.split())}" for name, text in said.items() if text]
    if not lines or "Args:" in description:
        return description
    return "\n".join([description.rstrip(), "", "Args:", *lines])


def _content(answer: Any) -> Any:
    """Return the content of a tool's message: text where it is only that."""
    content = answer.content if isinstance(answer, ToolMessage) else answer
    if isinstance(content, list):
        texts = [block if isinstance(block, str) else block.get("text") for block in content]
        said = [text for text in texts if isinstance(text, str)]
        return "\n".join(said) if len(said) == len(texts) else content
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
