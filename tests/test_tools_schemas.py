"""Tools that bring a JSON Schema: of an MCP server, or as the providers write them."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.errors import InvalidToolError, ToolArgumentsError
from ctxplug.tools import Tool

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1},
        "days": {"type": "integer", "default": 2, "maximum": 7},
        "unit": {"enum": ["C", "F", "摄氏"], "default": "C"},
        "place": {
            "type": "object",
            "properties": {"zip": {"type": "string", "default": "1000"}, "of": {"type": "string"}},
            "required": ["of"],
        },
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city"],
}


def weather(**arguments: Any) -> dict[str, Any]:
    return arguments


def tool(schema: Any = WEATHER, **fields: Any) -> Tool:
    return Tool.from_schema("weather", "Say the weather. 天气", schema, weather, **fields)


def test_a_schema_makes_a_tool_that_validates_by_it() -> None:
    made = tool()
    assert made.schema == WEATHER | {"additionalProperties": False}
    assert "additionalProperties" not in WEATHER
    given = made.validated({"city": "里斯本"})
    assert made.function(**given) == {"city": "里斯本", "days": 2, "unit": "C"}
    assert made.validated({"city": "a", "place": {"of": "x"}})["place"]["zip"] == "1000"


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({}, "city"),
        ({"city": 3}, "city"),
        ({"city": ""}, "city"),
        ({"city": "a", "days": "2"}, "days"),
        ({"city": "a", "days": 8}, "days"),
        ({"city": "a", "days": True}, "days"),
        ({"city": "a", "unit": "K"}, "unit"),
        ({"city": "a", "place": {}}, "place.of"),
        ({"city": "a", "tags": ["x", 1]}, "tags[1]"),
        ({"city": "a", "城市": "b"}, "城市"),
    ],
)
def test_what_does_not_fit_is_refused_naming_the_field(
    arguments: dict[str, Any], path: str
) -> None:
    with pytest.raises(ToolArgumentsError) as raised:
        tool().validated(arguments)
    assert raised.value.path == path and path in str(raised.value)


def test_an_error_does_not_repeat_a_value() -> None:
    with pytest.raises(ToolArgumentsError) as raised:
        tool().validated({"city": "a", "days": "sk-secret", "unit": "sk-secret"})
    assert "secret" not in str(raised.value)


def test_a_schema_that_says_it_is_open_is_open() -> None:
    made = tool(WEATHER | {"additionalProperties": {"type": "integer"}})
    assert made.validated({"city": "a", "more": 1})["more"] == 1
    with pytest.raises(ToolArgumentsError, match="more"):
        made.validated({"city": "a", "more": "x"})


def test_a_schema_made_of_others_is_closed_as_a_whole() -> None:
    made = tool(
        {
            "$defs": {"city": {"type": "object", "properties": {"city": {"type": "string"}}}},
            "allOf": [{"$ref": "#/$defs/city"}],
            "properties": {"days": {"type": "integer"}},
        }
    )
    assert made.validated({"city": "a", "days": 1})
    with pytest.raises(ToolArgumentsError, match="more"):
        made.validated({"city": "a", "more": 1})
    with pytest.raises(ToolArgumentsError, match="city"):
        made.validated({"city": 1})


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string"}, "object"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "properties.a.type"),
        ({"properties": []}, "properties"),
        ([], "object"),
        ("{}", "object"),
        ({"properties": {"a": {1, 2}}}, "JSON"),
        ({"properties": {"a": {"$ref": "https://example.org/a.json"}}}, "example.org"),
        ({"properties": {"a": {"$ref": "file.json"}}}, "file.json"),
        ({"properties": {"a": {"$dynamicRef": "other#x"}}}, "other#x"),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, "gone"),
    ],
)
def test_what_is_no_schema_of_arguments_is_refused(schema: Any, reason: str) -> None:
    if schema == []:
        schema = [1]
    with pytest.raises(InvalidToolError, match=reason):
        tool(schema)


def test_nothing_is_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a schema went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    remote = {"$schema": "https://example.org/schema", "$id": "https://example.org/x"}
    made = tool(WEATHER | remote)
    assert made.validated({"city": "a"})
    inner = {"$id": "https://example.org/y", "$ref": "#nowhere"}
    lost = tool({"properties": {"a": inner, "b": {}}})
    assert lost.validated({"b": 1})
    with pytest.raises(ToolArgumentsError, match="refers to nothing"):
        lost.validated({"a": 1})


def test_a_schema_that_refers_to_itself_for_ever_is_an_error_and_no_crash() -> None:
    turning = tool(
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "properties": {"x": {"$ref": "#/$defs/a"}}}
    )
    with pytest.raises(ToolArgumentsError, match="refers to nothing"):
        turning.validated({"x": 1})
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert tool(tree).validated({"next": {"next": {}}})


def test_tools_of_no_arguments() -> None:
    for schema in ({}, None, {"type": "object"}):
        made = tool(schema)
        assert made.validated({}) == {}
        assert made.schema["properties"] == {}
        with pytest.raises(ToolArgumentsError, match="x"):
            made.validated({"x": 1})


@pytest.mark.parametrize(
    "described",
    [
        {"name": "weather", "description": "d", "inputSchema": WEATHER, "annotations": {}},
        {"name": "weather", "description": "d", "input_schema": WEATHER},
        {
            "type": "function",
            "function": {"name": "weather", "description": "d", "parameters": WEATHER},
        },
        {"type": "function", "name": "weather", "description": "d", "parameters": WEATHER},
        SimpleNamespace(name="weather", description="d", inputSchema=WEATHER),
    ],
)
def test_descriptions_of_every_style_are_added_with_what_runs_them(described: Any) -> None:
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        added = memory.tools.add(described, call=weather, version="7", side_effects=False)
        assert (added.name, added.description, added.version) == ("weather", "d", "7")
        assert added.schema["properties"] == WEATHER["properties"]
        assert memory.tools.get("weather") is added
        assert memory.tools.add(described, call=weather, name="other").name == "other"
        with pytest.raises(InvalidToolError, match="call="):
            memory.tools.add(described, name="third")


def test_what_an_mcp_server_says_of_itself_is_not_believed() -> None:
    hints = {"readOnlyHint": True, "idempotentHint": True}
    described = {"name": "wipe", "inputSchema": {}, "annotations": hints}
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        added = memory.tools.add(described, call=weather)
        assert added.side_effects and not added.idempotent


def test_what_is_described_badly_is_refused() -> None:
    with AgentMemory.open("memory:", namespace="acme/alice") as memory:
        for described in ({}, {"name": "x"}, {"inputSchema": {}}, {"function": 3}):
            with pytest.raises(InvalidToolError):
                memory.tools.add(described, call=weather)
        with pytest.raises(InvalidToolError, match="call="):
            memory.tools.add(weather, call=weather)
        with pytest.raises(InvalidToolError):
            memory.tools.add(3)
