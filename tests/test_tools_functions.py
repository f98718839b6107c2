"""Functions become tools: their schema, what describes them, and what they accept."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from ctxplug.errors import InvalidToolError, ToolArgumentsError, ToolError
from ctxplug.tools import Tool


class Colour(enum.Enum):
    RED = "red"
    BLUE = "蓝"


class Trip(BaseModel):
    city: str
    days: list[int] = []


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    city: str


class Place(TypedDict):
    name: str


@dataclasses.dataclass
class Point:
    x: int


def plan(
    trip: Trip,
    when: date,
    nights: int = 3,
    colour: Colour = Colour.RED,
    price: float | None = None,
    json: Annotated[str, "How to answer."] = "short",
) -> str:
    """Plan a trip.

    It takes a while.

    Args:
        trip: Where to,
            and on which days.
        nights (int): How many.

    Returns:
        The plan.

    Raises:
        ValueError: Never.
    """
    return f"{trip.city} {when} {nights} {colour.name} {price} {json}"


GOOD = {"trip": {"city": "里斯本", "days": [1]}, "when": "2026-01-31"}


def scalars(count: int, name: str, ok: bool = True, mode: Literal["a", "乙"] = "a") -> str:
    """Take one of each."""
    return f"{count} {name} {ok} {mode}"


# -- the schema ---------------------------------------------------------------------------


def test_a_function_becomes_a_tool_with_the_schema_of_its_signature() -> None:
    tool = Tool.of(plan)
    assert (tool.name, tool.version, tool.source) == ("plan", "1", f"{__name__}.plan")
    schema = tool.schema
    assert schema["type"] == "object" and schema["additionalProperties"] is False
    assert schema["required"] == ["trip", "when"]
    assert list(schema["properties"]) == ["trip", "when", "nights", "colour", "price", "json"]
    assert schema["properties"]["nights"] == {
        "default": 3,
        "description": "How many.",
        "type": "integer",
    }
    assert schema["properties"]["json"]["description"] == "How to answer."
    assert schema["properties"]["trip"]["description"] == "Where to, and on which days."
    assert schema["$defs"]["Trip"]["additionalProperties"] is False
    assert schema["$defs"]["Colour"]["enum"] == ["red", "蓝"]
    assert "title" not in json.dumps(schema)


def test_the_description_is_the_docstring_without_its_parameters() -> None:
    description = Tool.of(plan).description
    assert description == "Plan a trip.\n\nIt takes a while.\n\nReturns:\n    The plan."


def test_the_forms_of_the_providers() -> None:
    tool = Tool.of(scalars)
    assert tool.to_anthropic() == {
        "name": "scalars",
        "description": "Take one of each.",
        "input_schema": tool.schema,
    }
    assert tool.to_openai() == {
        "type": "function",
        "function": {
            "name": "scalars",
            "description": "Take one of each.",
            "parameters": tool.schema,
        },
    }
    tool.to_anthropic()["input_schema"].clear()
    assert tool.schema["properties"]


def numpy_style(city: str, days: int = 1) -> None:
    """Look up the weather.

    Parameters
    ----------
    city : str
        Where.
    days : int, optional
        How far
        ahead.

    Returns
    -------
    str
        What it will be.
    """


def sphinx_style(city: str, days: int = 1) -> None:
    """Look up the weather.

    :param city: Where.
    :type city: str
    :param int days: How far
        ahead.
    :returns: What it will be.
    """


def chinese_style(city: str, days: int = 1) -> None:
    """查询天气。

    参数：
        city：哪座城市
        days（可选）：往后几天，
            最多七天

    返回：
        一句话
    """


@pytest.mark.parametrize(
    ("function", "first", "city", "days"),
    [
        (numpy_style, "Look up the weather.", "Where.", "How far ahead."),
        (sphinx_style, "Look up the weather.", "Where.", "How far ahead."),
        (chinese_style, "查询天气。", "哪座城市", "往后几天， 最多七天"),
    ],
)
def test_docstrings_of_every_style_describe_the_parameters(
    function: Any, first: str, city: str, days: str
) -> None:
    tool = Tool.of(function)
    properties = tool.schema["properties"]
    assert tool.description.startswith(first)
    assert city not in tool.description
    assert (properties["city"]["description"], properties["days"]["description"]) == (city, days)
    assert "What it will be." in tool.description or "一句话" in tool.description


def test_text_that_only_looks_like_a_section_stays() -> None:
    def search(query: str) -> str:
        """Search. Note: it is slow.

        Example: search("tea")
        查询：例如 茶
        """
        return query

    assert Tool.of(search).description.splitlines()[-1] == "查询：例如 茶"
    assert 'Example: search("tea")' in Tool.of(search).description


def test_methods_callables_partials_and_coroutines_are_functions_too() -> None:
    class Shop:
        def price(self, item: str) -> str:
            """Say the price."""
            return f"{item}: 3"

        def __call__(self, item: str) -> str:
            """Buy something."""
            return item

    async def later(item: str) -> str:
        """Buy later."""
        return item

    def owned(user: str, item: str, count: int = 1) -> str:
        """Order something."""
        return f"{user} {item} {count}"

    assert Tool.of(Shop().price).validated({"item": "tea"}) == {"item": "tea"}
    assert Tool.of(Shop(), name="buy").description == "Buy something."
    assert asyncio.run(Tool.of(later).function(item="tea")) == "tea"
    ours = Tool.of(functools.partial(owned, user="alice"))
    assert ours.name == "owned" and set(ours.schema["properties"]) == {"item", "count"}
    assert ours.function(**ours.validated({"item": "茶"})) == "alice 茶 1"
    with pytest.raises(ToolArgumentsError, match="user"):
        ours.validated({"item": "茶", "user": "bob"})


def test_a_field_can_carry_constraints_and_another_name() -> None:
    def buy(
        数量: Annotated[int, Field(alias="count", ge=1, le=9, description="几个")],
        note: str = Field("", max_length=5),
    ) -> str:
        """Buy."""
        return f"{数量}{note}"

    tool = Tool.of(buy)
    assert tool.schema["required"] == ["count"]
    assert tool.schema["properties"]["count"]["description"] == "几个"
    assert tool.function(**tool.validated({"count": 2})) == "2"
    with pytest.raises(ToolArgumentsError) as raised:
        tool.validated({"count": 10})
    assert raised.value.path == "count"
    with pytest.raises(ToolArgumentsError, match="note"):
        tool.validated({"count": 1, "note": "too long"})


def test_names_that_pydantic_uses_itself_are_parameters_like_others() -> None:
    def odd(schema: str, copy: int = 1, model_config: str = "c", _x: int = 2) -> str:
        """Take odd names."""
        return f"{schema}{copy}{model_config}{_x}"

    tool = Tool.of(odd)
    assert tool.function(**tool.validated({"schema": "s", "_x": 5})) == "s1c5"


def test_defaults_are_each_calls_own() -> None:
    def collect(item: str, into: list[str] = []) -> list[str]:  # noqa: B006
        """Collect."""
        into.append(item)
        return into

    tool = Tool.of(collect)
    for _ in range(2):
        assert tool.function(**tool.validated({"item": "x"})) == ["x"]


# -- what makes no tool -------------------------------------------------------------------


def test_what_no_model_could_call_is_refused_with_the_reason() -> None:
    def bare(city) -> str:  # type: ignore[no-untyped-def]
        return str(city)

    def many(*cities: str) -> str:
        return str(cities)

    def by_place(city: str, /) -> str:
        return city

    def unknown(city: NoSuchType) -> str:  # type: ignore[name-defined]  # noqa: F821
        return str(city)

    def opaque(city: object.__class__) -> str:  # type: ignore[name-defined]
        return str(city)

    def 天气(city: str) -> str:
        return city

    def chinese(城市: str) -> str:
        return 城市

    cases = [
        (bare, "has no annotation"),
        (many, "any number"),
        (by_place, "by position"),
        (unknown, "NoSuchType"),
        (天气, "name="),
        (chinese, "alias"),
        (Trip, "plain annotated function"),
        ("plan", "plain annotated function"),
    ]
    for function, reason in cases:
        with pytest.raises(InvalidToolError, match=reason):
            Tool.of(function)  # type: ignore[arg-type]
    with pytest.raises(InvalidToolError):
        Tool.of(opaque)
    assert Tool.of(天气, name="weather").name == "weather"


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"name": "a b"}, "1 to 64"),
        ({"name": "x" * 65}, "1 to 64"),
        ({"name": "end\n"}, "1 to 64"),
        ({"timeout": 0}, "above zero"),
        ({"timeout": float("nan")}, "above zero"),
        ({"isolation": "container"}, "process"),
        ({"version": ""}, "version"),
        ({"version": 2}, "version"),
        ({"description": "x" * 20_000}, "16384"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_fields_of_the_wrong_kind_are_refused(overrides: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidToolError, match=reason):
        Tool.of(scalars, **overrides)


# -- arguments ----------------------------------------------------------------------------


def test_arguments_arrive_as_the_function_wants_them() -> None:
    tool = Tool.of(plan)
    given = tool.validated(GOOD | {"colour": "蓝", "price": 3})
    assert given["trip"] == Trip(city="里斯本", days=[1])
    assert given["when"] == date(2026, 1, 31)
    assert tool.function(**given) == "里斯本 2026-01-31 3 BLUE 3.0 short"
    assert tool.validated(json.dumps(GOOD)) == tool.validated(GOOD)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"nights": "3"}, "nights"),
        ({"nights": True}, "nights"),
        ({"nights": 2.5}, "nights"),
        ({"nights": None}, "nights"),
        ({"when": "tomorrow"}, "when"),
        ({"trip": {"days": []}}, "trip.city"),
        ({"trip": {"city": "Porto", "days": [1, "2"]}}, "trip.days[1]"),
        ({"trip": {"city": "Porto", "user": "bob"}}, "trip.user"),
        ({"colour": "green"}, "colour"),
        ({"城市": "里斯本"}, "城市"),
    ],
)
def test_what_does_not_fit_is_refused_naming_the_field(change: dict[str, Any], path: str) -> None:
    with pytest.raises(ToolArgumentsError) as raised:
        Tool.of(plan).validated(GOOD | change)
    assert raised.value.path == path and path in str(raised.value)
    assert raised.value.tool == "plan"
    assert isinstance(raised.value, ToolError | ValueError)


def test_every_field_that_does_not_fit_is_named() -> None:
    with pytest.raises(ToolArgumentsError, match=r"count.*name.*nope"):
        Tool.of(scalars).validated({"count": "1", "nope": 2})


def test_what_is_nested_is_closed_too_unless_it_says_it_is_open() -> None:
    def go(place: Place, point: Point) -> str:
        """Go."""
        return f"{place['name']} {point.x}"

    def wander(loose: Loose) -> str:
        """Wander."""
        return str(loose.model_extra)

    tool = Tool.of(go)
    fine = {"place": {"name": "x"}, "point": {"x": 1}}
    assert tool.function(**tool.validated(fine)) == "x 1"
    for key in fine:
        with pytest.raises(ToolArgumentsError, match=key):
            tool.validated(fine | {key: {**fine[key], "extra": 1}})  # type: ignore[dict-item]
    loose = Tool.of(wander)
    given = loose.validated({"loose": {"city": "Porto", "mood": "好"}})
    assert loose.function(**given) == "{'mood': '好'}"
    with pytest.raises(ToolArgumentsError, match="other"):
        loose.validated({"loose": {"city": "Porto"}, "other": 1})


def test_arguments_that_are_too_large_or_no_json_are_refused() -> None:
    def take(value: Any) -> str:
        """Take anything."""
        return "ok"

    deep: Any = 1
    for _ in range(31):
        deep = [deep]
    tool = Tool.of(take)
    assert tool.validated({"value": deep})
    for value in ([deep], functools.reduce(lambda inner, _: {"a": inner}, range(99_000), {})):
        with pytest.raises(ToolArgumentsError, match="32 levels"):
            tool.validated({"value": value})
    assert tool.validated({"value": "x" * 262_000})
    with pytest.raises(ToolArgumentsError, match="262144"):
        tool.validated({"value": "字" * 100_000})
    for text in ("[1]", "null", "{", '{"value": NaN}', "x" * 300_000, "[" * 200_000):
        with pytest.raises(ToolArgumentsError):
            tool.validated(text)
    for no_json in (b"x", {1, 2}, float("inf"), object(), "\ud800"):
        with pytest.raises(ToolArgumentsError):
            tool.validated({"value": no_json})
    with pytest.raises(ToolArgumentsError, match="list"):
        tool.validated([1])  # type: ignore[arg-type]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["a", "乙", "", 0.5]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from(["count", "name", "ok", "mode", "more", "另"]), json_values, max_size=5
    )
)
def test_what_is_accepted_is_what_the_schema_says(arguments: dict[str, Any]) -> None:
    """A tool made of the schema alone accepts the same and gives the same."""
    ours = Tool.of(scalars)
    theirs = Tool.from_schema("scalars", "", ours.schema, scalars)

    def outcome(tool: Tool) -> Any:
        try:
            return tool.function(**tool.validated(arguments))
        except ToolArgumentsError as exc:
            return exc.tool

    assert outcome(ours) == outcome(theirs)


def test_a_tool_changes_into_another_and_goes_back_to_a_function() -> None:
    tool = Tool.of(scalars, version="2", idempotent=True, side_effects=False, timeout=1.5)
    other = tool.evolve(name="other", version="3")
    assert (other.name, other.version, other.idempotent) == ("other", "3", True)
    assert tool.version == "2"
    function = other.as_function()
    assert function.__name__ == "other" and function.__doc__ == "Take one of each."
    assert function(count=1, name="x") == "1 x True a"
    with pytest.raises(ToolArgumentsError):
        function(count="1", name="x")
    schema = {"type": "object", "properties": {"count": {"type": "integer"}}}
    for narrower in (tool.evolve(schema=schema), Tool.of(scalars, schema=schema)):
        assert narrower.validated({"count": 1}) == {"count": 1}
    with pytest.raises(InvalidToolError, match="colour"):
        tool.evolve(colour="red")
