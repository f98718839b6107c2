"""Tools that each break one law, and the tests of the suite that say so."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kit_runner import laws

from ctxplug.errors import ToolArgumentsError
from ctxplug.testing import ToolSuite
from ctxplug.testing.tool_arguments import examples_of
from ctxplug.testing.tool_suite import made
from ctxplug.tools import Tool


def right() -> Any:
    """Return a tool that keeps every law."""

    def weather(city: str, days: list[int] = [1]) -> str:  # noqa: B006
        """Say what the weather will be."""
        return f"{city}: sun for {len(days)} days"

    return Tool.of(weather, idempotent=True)


def without_a_word() -> Any:
    def weather(city: str) -> str:
        return f"{city}: sun"

    return weather


def takes_anything() -> Any:
    def weather(city, days=1):
        """Say what the weather will be."""
        return f"{city}: sun"

    return weather


def no_json_schema() -> Any:
    schema = {"type": "object", "properties": {"city": {"type": "text"}}}
    return Tool("weather", "Say it.", lambda city="x": city, schema, validate=_plain)


def chinese_parameter() -> Any:
    schema = {"type": "object", "properties": {"城市": {"type": "string"}}}
    return Tool("weather", "Say it.", lambda 城市="里斯本": 城市, schema, validate=_plain)


def refuses_chinese() -> Any:
    def validate(data: bytes) -> dict[str, Any]:
        given: dict[str, Any] = right().validate(data)
        if not given["city"].isascii():
            raise ToolArgumentsError("Only ASCII.", tool="weather")
        return given

    return right().evolve(validate=validate)


def takes_everything() -> Any:
    return right().evolve(validate=lambda data: {"city": "x"} | _known(_plain(data)))


def raises_key_error() -> Any:
    def validate(data: bytes) -> dict[str, Any]:
        given = dict(right().validate(data)) if b"city" in data else {}
        return {"city": given["city"], "days": given.get("days", [1])}

    return right().evolve(validate=validate)


def fails_in_chinese() -> Any:
    def weather(city: str) -> str:
        """Say what the weather will be."""
        return city.encode("ascii").decode()

    return Tool.of(weather, schema=_schema("Lisbon", "里斯本"))


def gives_an_object() -> Any:
    class Weather:
        __slots__ = ()

    def weather(city: str) -> Any:
        """Say what the weather will be."""
        return Weather()

    return weather


def changes_its_arguments() -> Any:
    def weather(city: str, days: list[int]) -> str:
        """Say what the weather will be."""
        days.append(1)
        return f"{city}: sun"

    return weather


def never_the_same() -> Any:
    numbers = itertools.count()

    def weather(city: str) -> str:
        """Say what the weather will be."""
        return f"{city}: {next(numbers)} °C"

    return Tool.of(weather, idempotent=True)


def fails_at_first() -> Any:
    """One that says it may be run again, because it has to be."""
    failures = iter([True])

    def weather(city: str) -> str:
        """Say what the weather will be."""
        if next(failures, False):
            raise OSError("try again")
        return f"{city}: sun"

    return Tool.of(weather, idempotent=True)


def remembers_who_asked() -> Any:
    asked: list[str] = []

    def weather(city: str) -> str:
        """Say what the weather will be."""
        asked.append(city)
        return f"sun in {', '.join(asked)}"

    return weather


def one_at_a_time() -> Any:
    busy, both = threading.Lock(), threading.Event()

    def weather(city: str) -> str:
        """Say what the weather will be."""
        if not busy.acquire(blocking=False):
            both.set()
            raise RuntimeError("busy")
        both.wait(0.25)
        busy.release()
        return f"{city}: sun"

    return weather


def goes_on_when_cancelled() -> Any:
    async def weather(city: str) -> str:
        """Say what the weather will be."""
        try:
            await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            await asyncio.sleep(30)
        return f"{city}: sun"

    return weather


def leaves_a_task() -> Any:
    async def weather(city: str) -> str:
        """Say what the weather will be."""
        told = asyncio.ensure_future(asyncio.sleep(30))
        await asyncio.sleep(0.005)
        told.cancel()
        return f"{city}: sun"

    return weather


def stays_locked() -> Any:
    locked = []

    async def weather(city: str) -> str:
        """Say what the weather will be."""
        if locked:
            raise RuntimeError("locked by a call that was cancelled")
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            locked.append(city)
            raise
        return f"{city}: sun"

    return weather


def _plain(data: bytes) -> dict[str, Any]:
    import json

    given = json.loads(data)
    if not isinstance(given, dict):
        raise ToolArgumentsError("No object.", tool="weather")
    return given


def _known(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key in ("city", "days")}


def _schema(*cities: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }


def fixtures(make: Callable[[], Any]) -> Mapping[str, Callable[[], Any]]:
    """Return the fixtures of the suite for the tool that `make` gives."""

    def arguments() -> Any:
        try:
            return examples_of(made(make()).schema)
        except AssertionError:
            return [{"city": "Lisbon"}]

    return {"tool": make, "arguments": arguments}


RIGHT = right
_CALLED = {
    "test_it_answers_every_valid_call",
    "test_it_works_from_several_threads",
    "test_a_cancelled_call_ends_and_leaves_nothing",
}
WRONG: list[tuple[Any, set[str]]] = [
    (without_a_word, {"test_a_model_is_told_what_it_does"}),
    (takes_anything, {*laws(ToolSuite)}),
    (no_json_schema, {"test_its_schema_is_one_that_models_accept"}),
    (chinese_parameter, {"test_its_schema_is_one_that_models_accept"}),
    (
        refuses_chinese,
        {
            "test_valid_arguments_are_taken",
            "test_nothing_that_is_passed_in_is_changed",
            *_CALLED,
        },
    ),
    (takes_everything, {"test_what_does_not_fit_is_refused"}),
    (raises_key_error, {"test_what_does_not_fit_is_refused"}),
    (fails_in_chinese, _CALLED),
    (gives_an_object, {"test_a_model_can_read_its_answer"}),
    (changes_its_arguments, {"test_nothing_that_is_passed_in_is_changed"}),
    (never_the_same, {"test_only_an_idempotent_tool_may_be_run_again"}),
    (fails_at_first, {"test_only_an_idempotent_tool_may_be_run_again"}),
    (remembers_who_asked, {"test_nothing_is_kept_of_another_user"}),
    (one_at_a_time, {"test_it_works_from_several_threads"}),
    (goes_on_when_cancelled, {"test_a_cancelled_call_ends_and_leaves_nothing"}),
    (leaves_a_task, {"test_a_cancelled_call_ends_and_leaves_nothing"}),
    (stays_locked, {"test_a_cancelled_call_ends_and_leaves_nothing"}),
]
