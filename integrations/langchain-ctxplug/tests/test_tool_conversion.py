"""Tools across: ctxplug's functions as LangChain tools, LangChain's tools as functions."""

from __future__ import annotations

import asyncio
import inspect
from typing import Annotated, Any, Literal

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_ctxplug.tools import (
    as_function,
    as_langchain_tool,
    memory_tools,
    registered_tools,
    tools_plugin,
)
from pydantic import BaseModel, Field

from ctxplug import AgentMemory, hookimpl
from ctxplug.errors import InvalidValueError, UnknownComponentError
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.tools import Tool


class Scripted(GenericFakeChatModel):
    """Says what it was told to, whatever tools it is given."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Scripted:
        return self


def convert(amount: float, rate: float = 7.1, unit: Literal["USD", "CNY"] = "CNY") -> str:
    """Convert an amount of money at a rate.

    Args:
        amount: How much there is.
        rate: 汇率, what one unit costs.
        unit: What to convert to.
    """
    return f"{amount * rate:g} {unit}"


async def translate(text: Annotated[str, "要翻译的文字"], words: list[str] | None = None) -> str:
    """Translate a text."""
    if words is not None:
        words.append("changed")
    if not text:
        raise ValueError("there is nothing to translate")
    return text[::-1]


def parameters(made: BaseTool) -> dict[str, Any]:
    spec: dict[str, Any] = convert_to_openai_tool(made)["function"]["parameters"]
    return spec


def call(made: BaseTool, **args: Any) -> ToolMessage:
    given = {"name": made.name, "args": args, "id": "1", "type": "tool_call"}
    message = made.invoke(given)
    again = asyncio.run(made.ainvoke(given))
    assert (message.content, message.status) == (again.content, again.status)
    assert isinstance(message, ToolMessage)
    return message


def test_a_function_keeps_its_name_schema_and_descriptions() -> None:
    made = as_langchain_tool(convert)
    assert (made.name, made.description) == ("convert", "Convert an amount of money at a rate.")
    seen = parameters(made)
    assert seen["required"] == ["amount"]
    assert seen["properties"]["amount"]["description"] == "How much there is."
    assert seen["properties"]["rate"]["default"] == 7.1
    assert "汇率" in seen["properties"]["rate"]["description"]
    assert seen["properties"]["unit"]["enum"] == ["USD", "CNY"]
    assert call(made, amount=10).content == "71 CNY"
    named = as_langchain_tool(convert, name="money", description="Money.")
    assert (named.name, named.description) == ("money", "Money.")


def test_a_coroutine_function_works_both_ways_and_inside_a_loop() -> None:
    made = as_langchain_tool(translate)
    assert parameters(made)["properties"]["text"]["description"] == "要翻译的文字"
    assert call(made, text="你好").content == "好你"

    async def inside() -> Any:
        return made.invoke({"text": "abc"})

    assert asyncio.run(inside()) == "cba"


def test_what_a_tool_raises_becomes_its_result_and_its_arguments_are_a_copy() -> None:
    made = as_langchain_tool(translate)
    failed = call(made, text="")
    assert failed.status == "error"
    assert failed.content == "translate failed: ValueError: there is nothing to translate"
    words = ["one"]
    made.invoke({"text": "x", "words": words})

    def spoil(words: list[str]) -> str:
        """Change what it is given."""
        words.clear()
        return "done"

    listed = {"type": "object", "properties": {"words": {"type": "array"}}}
    spoil.schema = listed  # type: ignore[attr-defined]
    assert call(as_langchain_tool(spoil), words=words).content == "done"
    assert words == ["one"]


def test_a_docstring_of_another_style_is_kept_whole_and_a_missing_one_is_refused() -> None:
    def odd(n: int) -> int:
        """Double a number.

        Args:
            m: no such parameter
        """
        return 2 * n

    assert "Double a number." in as_langchain_tool(odd).description
    with pytest.raises(InvalidValueError, match="no docstring"):
        as_langchain_tool(lambda x: x, name="blank")


class MoneyPlugin:
    @hookimpl
    def register_tools(self, register: Any) -> None:
        register("exchange", lambda: convert)
        register("translate", lambda: translate)


def test_tools_that_plugins_register_are_found_by_their_names() -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(MoneyPlugin(), "money")
    assert [one.name for one in registered_tools(plugins)] == ["exchange", "translate"]
    [exchange] = registered_tools(plugins, ["exchange"])
    assert call(exchange, amount=2, unit="USD").content == "14.2 USD"
    with pytest.raises(UnknownComponentError):
        registered_tools(plugins, ["none"])


class Search(BaseModel):
    """What to search."""

    query: str = Field(description="要找什么")
    limit: int = Field(5, ge=1, le=10, description="How many at most.")
    sort: Literal["price", "time"] | None = None


@tool(args_schema=Search)
def search(query: str, limit: int = 5, sort: str | None = None) -> str:
    """Search for flights."""
    return f"{limit} flights to {query} by {sort}"


def test_a_langchain_tool_becomes_a_plain_annotated_function() -> None:
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
    with pytest.raises(ValueError, match="limit"):
        function("成都", limit=99)


def test_there_and_back_a_model_sees_the_same() -> None:
    memory = AgentMemory.open("memory:", namespace="acme/alice")
    for one in (search, as_langchain_tool(convert), *memory_tools(memory)):
        back = as_langchain_tool(as_function(one))
        assert convert_to_openai_tool(back) == convert_to_openai_tool(one), one.name


def test_without_its_schema_the_signature_says_the_same() -> None:
    function = as_function(search)
    del function.schema  # type: ignore[attr-defined]
    seen = parameters(as_langchain_tool(function))
    assert seen["required"] == ["query"]
    assert seen["properties"]["query"]["description"] == "要找什么"
    assert seen["properties"]["limit"]["default"] == 5


def test_langchain_tools_go_through_register_tools() -> None:
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

    function = as_function(StructuredTool.from_function(coroutine=fetch))
    assert inspect.iscoroutinefunction(function)
    assert asyncio.run(function(url="a")) == "page a"


def test_a_json_schema_becomes_annotations_and_any_name_can_be_passed() -> None:
    schema = {
        "title": "book",
        "description": "Book a seat.",
        "type": "object",
        "properties": {
            "from": {"type": "string", "description": "Where from."},
            "max-price": {"type": ["number", "null"]},
            "seats": {"type": "array", "items": {"type": "integer"}},
            "class": {"enum": ["one", "two"]},
        },
        "required": ["from", "seats"],
    }

    def book(**given: Any) -> str:
        return str(sorted(given.items()))

    made = StructuredTool.from_function(book, name="book", args_schema=schema)
    function = as_function(made)
    signature = inspect.signature(function)
    assert list(signature.parameters) == ["from_", "seats", "max_price", "class_"]
    hints = {name: one.annotation for name, one in signature.parameters.items()}
    assert hints["max_price"] == (float | None) and hints["seats"] == list[int]
    assert hints["class_"] == Literal["one", "two"]
    expected = "[('from', 'Oslo'), ('max-price', 9.5), ('seats', [1])]"
    assert function("Oslo", [1], max_price=9.5) == expected
    back = as_langchain_tool(function)
    assert back.invoke({"from": "Oslo", "seats": [1], "max-price": 9.5}) == expected


def test_a_tool_that_only_a_graph_can_call_is_refused() -> None:
    @tool
    def peek(key: str, runtime: ToolRuntime) -> str:
        """Look into the state."""
        return str(runtime.state[key])

    with pytest.raises(InvalidValueError, match="'peek' takes 'runtime' from a LangGraph run"):
        as_function(peek)


def test_converted_tools_work_in_an_agent() -> None:
    names = {"convert": {"amount": 3}, "translate": {"text": ""}}
    calls = [{"name": name, "args": args, "id": name} for name, args in names.items()]
    model = Scripted(messages=iter([AIMessage("", tool_calls=calls), AIMessage("done")]))
    agent = create_agent(model, [as_langchain_tool(convert), as_langchain_tool(translate)])
    said = agent.invoke({"messages": [("user", "go")]})["messages"]
    assert next(m.content for m in said if isinstance(m, ToolMessage)) == "21.3 CNY"
    assert said[-2].status == "error" and said[-1].content == "done"


# -- Tool objects ------------------------------------------------------------------------


async def test_a_tool_of_ctxplug_becomes_a_langchain_tool_that_validates() -> None:
    made = as_langchain_tool(Tool.of(convert, name="money"))
    assert (made.name, made.description) == ("money", "Convert an amount of money at a rate.")
    assert made.invoke({"amount": 2, "unit": "USD"}) == "14.2 USD"
    assert "汇率" in str(convert_to_openai_tool(made))
    assert "unit" in made.invoke({"amount": 2, "unit": "EUR"})
    assert await as_langchain_tool(Tool.of(translate)).ainvoke({"text": "茶"}) == await translate(
        "茶"
    )


def test_langchain_tools_are_tools_of_a_memory() -> None:
    """Given as they are, or through `as_function`: the model sees the same and they answer."""

    @tool
    def weather(city: Annotated[str, "哪座城市"], days: int = 1) -> str:
        """Say the weather."""
        return f"{city} {days}"

    later = StructuredTool.from_function(coroutine=translate)
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        memory.tools.add(weather)
        memory.tools.add(as_function(weather), name="function")
        memory.tools.add(later)
        for name in ("weather", "function"):
            properties = memory.tools.get(name).schema["properties"]
            assert properties["city"]["description"] == "哪座城市"
            assert memory.tools.call(name, {"city": "里斯本"}).outcome == "ok"
            assert memory.tools.call(name, {"city": 1}).outcome == "invalid"
            assert memory.tools.call(name, {"city": "a", "user": "b"}).outcome == "invalid"
        assert memory.tools.get("weather").source == "LangChain tool 'weather'"
        assert memory.tools.call("translate", {"text": "茶"}).outcome == "ok"
        assert as_langchain_tool(memory.tools.get("weather")).invoke({"city": "x"}) == "x 1"


def test_what_a_langchain_tool_means_the_model_to_read_is_told_and_nothing_else() -> None:
    @tool
    def pay(card: str) -> str:
        """Pay."""
        if card == "expired":
            raise ToolException("The card has expired. 卡已过期")
        raise RuntimeError(f"gateway key sk-{card}")

    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        memory.tools.add(pay)
        assert "卡已过期" in memory.tools.call("pay", {"card": "expired"}).text
        failed = memory.tools.call("pay", {"card": "secret"})
        assert failed.outcome == "error" and "sk-secret" not in failed.text
