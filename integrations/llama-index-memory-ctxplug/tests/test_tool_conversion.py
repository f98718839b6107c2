"""Tools across: ctxplug's functions as FunctionTools, LlamaIndex's tools as functions."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest
from ctxplug_llamaindex.tools import (
    CtxplugToolSpec,
    as_function,
    as_function_tool,
    registered_tools,
    tools_plugin,
)
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import TextNode
from llama_index.core.tools import FunctionTool, QueryEngineTool, ToolOutput
from llama_index.core.workflow import Context
from pydantic import BaseModel, Field

from ctxplug import AgentMemory, hookimpl
from ctxplug.errors import InvalidToolError, InvalidValueError, UnknownComponentError
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.tools import Tool

# LlamaIndex's agents use what pydantic has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


def convert(amount: float, rate: float = 7.1, unit: Literal["USD", "CNY"] = "CNY") -> str:
    """Convert an amount of money at a rate.

    Args:
        amount: How much there is.
        rate (float): 汇率, what one unit
            costs.
        unit: What to convert to.

    Returns:
        The amount in the unit.
    """
    return f"{amount * rate:g} {unit}"


async def translate(text: Annotated[str, "要翻译的文字"], words: list[str] | None = None) -> str:
    """Translate a text."""
    if words is not None:
        words.append("changed")
    if not text:
        raise ValueError("there is nothing to translate")
    return text[::-1]


def parameters(made: FunctionTool) -> dict[str, Any]:
    spec: dict[str, Any] = made.metadata.to_openai_tool()["function"]["parameters"]
    return spec


def call(made: FunctionTool, **args: Any) -> ToolOutput:
    output = made(**args)
    again = asyncio.run(made.acall(**args))
    assert (output.content, output.is_error) == (again.content, again.is_error)
    return output


def test_a_function_keeps_its_name_schema_and_descriptions() -> None:
    made = as_function_tool(convert)
    assert made.metadata.name == "convert"
    assert made.metadata.description.startswith("Convert an amount of money at a rate.")
    assert "Returns:" in made.metadata.description and "Args:" not in made.metadata.description
    seen = parameters(made)
    assert seen["required"] == ["amount"]
    assert seen["properties"]["amount"]["description"] == "How much there is."
    assert seen["properties"]["rate"]["default"] == 7.1
    assert seen["properties"]["rate"]["description"] == "汇率, what one unit costs."
    assert seen["properties"]["unit"]["enum"] == ["USD", "CNY"]
    assert call(made, amount=10).content == "71 CNY"
    named = as_function_tool(convert, name="money", description="Money.", return_direct=True)
    assert (named.metadata.name, named.metadata.description) == ("money", "Money.")
    assert named.metadata.return_direct


def test_a_coroutine_function_works_both_ways_and_inside_a_loop() -> None:
    made = as_function_tool(translate)
    assert parameters(made)["properties"]["text"]["description"] == "要翻译的文字"
    assert call(made, text="你好").content == "好你"

    async def inside() -> str:
        return made(text="abc").content

    assert asyncio.run(inside()) == "cba"
    with pytest.raises(ValueError, match="nothing to translate"):  # as it was raised
        made(text="")


def test_arguments_are_a_copy_and_data_is_answered_as_json() -> None:
    words = ["one"]
    call(as_function_tool(translate), text="x", words=words)
    assert words == ["one"]

    def look(kind: str) -> Any:
        """Look something up."""
        return {
            "dict": {"城市": "成都", "n": [1, 2]},
            "list": [{"a": None}],
            "nodes": [TextNode(text="a node")],
            "image": [TextBlock(text="see"), ImageBlock(url="https://example.com/a.png")],
            "number": 7,
        }[kind]

    made = as_function_tool(look)
    assert json.loads(made(kind="dict").content) == {"城市": "成都", "n": [1, 2]}
    assert "成都" in made(kind="dict").content and "None" not in made(kind="list").content
    assert made(kind="nodes").content == "a node"
    assert [block.block_type for block in made(kind="image").blocks] == ["text", "image"]
    assert made(kind="number").content == "7"


def test_names_that_pydantic_has_taken_can_be_passed() -> None:
    def odd(copy: str, schema: str = "none", _hidden: int = 3, model_name: str = "m") -> str:
        """Take odd names."""
        return f"{copy} {schema} {_hidden} {model_name}"

    made = as_function_tool(odd)
    assert list(parameters(made)["properties"]) == ["copy", "schema", "_hidden", "model_name"]
    assert call(made, copy="a", _hidden=4).content == "a none 4 m"


def test_what_a_model_could_not_use_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no docstring"):
        as_function_tool(lambda x: x, name="blank")
    with pytest.raises(InvalidValueError, match="another name"):
        as_function_tool(convert, name="handoff")

    def unresolved(x: Missing) -> str:  # type: ignore[name-defined]  # noqa: F821
        """Never known."""
        return str(x)

    with pytest.raises(InvalidValueError, match="'Missing'"):
        as_function_tool(unresolved)

    async def peek(ctx: Context, key: str) -> str:
        """Look into the run."""
        return key

    with pytest.raises(InvalidValueError, match="'ctx'"):
        as_function_tool(peek)
    with pytest.raises(InvalidValueError, match="'peek' takes 'ctx' from a LlamaIndex run"):
        as_function(FunctionTool.from_defaults(_with_types(peek)))


def _with_types(function: Any) -> Any:
    function.__annotations__ = inspect.get_annotations(function, eval_str=True)
    return function


def test_a_long_description_still_goes_to_openai() -> None:
    made = as_function_tool(convert, description="很长 long " * 300)
    assert len(made.metadata.to_openai_tool()["function"]["description"]) <= 1_024


class MoneyPlugin:
    @hookimpl
    def register_tools(self, register: Any) -> None:
        register("exchange", lambda: convert)
        register("translate", lambda: translate)


def test_tools_that_plugins_register_are_found_by_their_names() -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(MoneyPlugin(), "money")
    found = registered_tools(plugins)
    assert [one.metadata.name for one in found] == ["exchange", "translate"]
    [exchange] = registered_tools(plugins, ["exchange"])
    assert call(exchange, amount=2, unit="USD").content == "14.2 USD"
    with pytest.raises(UnknownComponentError):
        registered_tools(plugins, ["none"])


class Search(BaseModel):
    """What to search."""

    query: str = Field(description="要找什么")
    limit: int = Field(5, ge=1, le=10, description="How many at most.")
    sort: Literal["price", "time"] | None = None


def flights(query: str, limit: int = 5, sort: str | None = None) -> str:
    return f"{limit} flights to {query} by {sort}"


search = FunctionTool.from_defaults(
    flights, name="search", description="Search for flights.", fn_schema=Search
)


def test_a_function_tool_becomes_a_plain_annotated_function() -> None:
    function = as_function(search)
    assert function.__name__ == "search"
    signature = inspect.signature(function)
    assert list(signature.parameters) == ["query", "limit", "sort"]
    assert signature.parameters["limit"].default == 5
    assert signature.parameters["query"].annotation == Annotated[str, "要找什么"]
    assert signature.return_annotation is str
    doc = inspect.getdoc(function) or ""
    assert doc.startswith("Search for flights.") and "query: 要找什么" in doc
    assert function("成都", sort="price") == "5 flights to 成都 by price"
    with pytest.raises(TypeError):
        function(limit=3)


def test_there_and_back_a_model_sees_the_same() -> None:
    memory = AgentMemory.open("memory:", namespace="acme/alice")
    tools = CtxplugToolSpec(memory).to_tool_list()
    for one in (search, as_function_tool(convert), as_function_tool(translate), *tools):
        back = as_function_tool(as_function(one))
        assert back.metadata.to_openai_tool() == one.metadata.to_openai_tool(), one.metadata.name
    remember = as_function(tools[0])
    remember("喜欢茶", kind="preference")
    assert memory.memories()[0].kind == "preference"


def test_without_its_schema_the_signature_says_the_same() -> None:
    function = as_function(search)
    del function.schema  # type: ignore[attr-defined]
    seen = parameters(as_function_tool(function))
    assert seen["required"] == ["query"]
    assert seen["properties"]["query"]["description"] == "要找什么"
    assert seen["properties"]["limit"]["default"] == 5


def test_llamaindex_tools_go_through_register_tools() -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(tools_plugin([search, convert]), "flights")
    registry = Registry(plugins)
    assert registry.names("tool") == ["convert", "search"]
    assert registry.resolve("tool", "search")("Berlin", 2) == "2 flights to Berlin by None"
    [back] = registered_tools(plugins, ["search"])
    assert call(back, query="Berlin").content == "5 flights to Berlin by None"


def test_an_async_only_tool_becomes_an_async_function() -> None:
    async def fetch(url: str) -> str:
        """Fetch a page."""
        return f"page {url}"

    function = as_function(FunctionTool.from_defaults(async_fn=fetch))
    assert inspect.iscoroutinefunction(function)
    assert asyncio.run(function(url="a")) == "page a"


class Echo(CustomQueryEngine):
    """A query engine that needs no index."""

    def custom_query(self, query_str: str) -> str:
        return f"答 {query_str}"


def test_other_tools_and_other_blocks_come_over_too() -> None:
    function = as_function(
        QueryEngineTool.from_defaults(Echo(), name="ask", description="Ask the handbook.")
    )
    assert function(input="假期") == "答 假期"

    def photo() -> list[Any]:
        """Take a photo."""
        return [TextBlock(text="done"), ImageBlock(url="https://example.com/a.png")]

    text, image = as_function(FunctionTool.from_defaults(photo))()
    assert (text["text"], image["block_type"]) == ("done", "image")

    def failing() -> str:
        """Fail."""
        raise LookupError("no such page")

    with pytest.raises(LookupError, match="no such page"):
        as_function(FunctionTool.from_defaults(failing))()

    def refused(result: Any) -> ToolOutput:
        return ToolOutput(tool_name="photo", content="no camera", raw_input={}, is_error=True)

    with pytest.raises(RuntimeError, match="no camera"):
        as_function(FunctionTool.from_defaults(photo, callback=refused))()


async def test_converted_tools_work_in_an_agent() -> None:
    names: dict[str, dict[str, Any]] = {"convert": {"amount": 3}, "translate": {"text": ""}}
    calls = [
        ToolCallBlock(tool_call_id=name, tool_name=name, tool_kwargs=args)
        for name, args in names.items()
    ]
    replies = [ChatMessage(role="assistant", blocks=calls), ChatMessage(role="assistant")]

    def answer(messages: Sequence[ChatMessage], **options: Any) -> ChatMessage:
        return replies.pop(0)

    agent = FunctionAgent(
        llm=MockFunctionCallingLLM(response_generator=answer),
        tools=[as_function_tool(convert), as_function_tool(translate)],
        streaming=False,
    )
    handler = agent.run("go")
    results = {e.tool_name: e.tool_output async for e in handler.stream_events()
               if isinstance(e, ToolCallResult)}  # fmt: skip
    await handler
    assert results["convert"].content == "21.3 CNY" and not results["convert"].is_error
    assert results["translate"].is_error and "nothing to translate" in results["translate"].content


# -- Tool objects ------------------------------------------------------------------------


def test_a_tool_of_ctxplug_becomes_a_function_tool_that_validates() -> None:
    made = as_function_tool(Tool.of(convert, name="money"))
    assert made.metadata.get_name() == "money"
    assert made.call(amount=2, unit="USD").content == "14.2 USD"
    assert "汇率" in json.dumps(made.metadata.get_parameters_dict(), ensure_ascii=False)


def test_llamaindex_tools_are_tools_of_a_memory() -> None:
    """Given as they are, or through `as_function`: the model sees the same and they answer."""

    def weather(city: str, days: int = 1) -> str:
        """Say the weather. 天气"""
        return f"{city} {days}"

    async def later(city: str) -> str:
        """Say it later."""
        return city

    theirs = FunctionTool.from_defaults(weather)
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        memory.tools.add(theirs)
        memory.tools.add(as_function(theirs), name="function")
        memory.tools.add(FunctionTool.from_defaults(async_fn=later))
        for name in ("weather", "function"):
            assert set(memory.tools.get(name).schema["properties"]) == {"city", "days"}
            assert memory.tools.call(name, {"city": "里斯本"}).outcome == "ok"
            assert memory.tools.call(name, {"city": 1}).outcome == "invalid"
            assert memory.tools.call(name, {"city": "a", "user": "b"}).outcome == "invalid"
        assert memory.tools.get("weather").source == "LlamaIndex tool 'weather'"
        assert memory.tools.call("later", {"city": "茶"}).outcome == "ok"
        assert as_function_tool(memory.tools.get("weather")).call(city="x").content == "x 1"


def test_a_tool_that_needs_a_run_or_has_no_schema_is_refused() -> None:
    def with_context(ctx: Context, city: str) -> str:
        """Say the weather."""
        return city

    def unresolved(city: Annotated[str, "a name that LlamaIndex does not resolve"]) -> str:
        """Say the weather."""
        return city

    without_schema = FunctionTool.from_defaults(unresolved)
    with_context.__annotations__["ctx"] = Context
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        with pytest.raises(InvalidToolError, match="Context"):
            memory.tools.add(FunctionTool.from_defaults(with_context))
        with pytest.raises(InvalidToolError, match="schema"):
            memory.tools.add(without_schema)
