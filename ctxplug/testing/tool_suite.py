"""The conformance suite of tools: the law in `ctxplug.tools.Tool` and docs/tools.md.

Subclass it, override one fixture, and inherit the tests::

    class TestWeather(ToolSuite):
        @pytest.fixture
        def tool(self):
            return weather  # a plain annotated function, or a Tool

        @pytest.fixture
        def arguments(self):  # where those made from its schema would not do
            return [{"city": "Lisbon"}, {"city": "里斯本", "days": 2}]
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeAlias

import pytest

from ctxplug.agent_memory import AgentMemory
from ctxplug.errors import InvalidToolError, ToolArgumentsError
from ctxplug.plugins import Plugins
from ctxplug.testing.suite import Suite, from_threads, not_overridden
from ctxplug.testing.tool_arguments import examples_of, with_text
from ctxplug.tools import Tool, ToolRun
from ctxplug.tools.convert import to_tool
from ctxplug.tools.running import attempt

Arguments: TypeAlias = Sequence[Mapping[str, Any]]
Call: TypeAlias = Callable[[Mapping[str, Any]], ToolRun]

_CANARY = "ZEBRA-7319"
_OBJECT = re.compile(r"<[\w.<>]+ (?:object )?at 0x[0-9a-f]+>")
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_STEPS = 12  # turns of the event loop after which a call is cancelled, at most
_SECONDS = 60.0  # after which a call counts as hanging
_PARTING = 1.0  # seconds in which what was cancelled cleans up


def made(tool: Any) -> Tool:
    """Return `tool` as a Tool; fails where it cannot be one."""
    try:
        return to_tool(tool)
    except InvalidToolError as exc:
        raise AssertionError(f"it is no tool: {exc}") from exc


class ToolSuite(Suite):
    """The tests that every tool passes; override the fixture `tool`, and maybe `arguments`."""

    @pytest.fixture
    def tool(self) -> Any:
        """Return the tool under test: a Tool, or a plain annotated function."""
        raise not_overridden("tool", "the tool, a Tool or a plain annotated function,")

    @pytest.fixture
    def arguments(self, tool: Any) -> Arguments:
        """Return valid arguments, a dict for each call to try.

        A tool that takes each only once, as one that removes something does, gets 20 of them.
        """
        return examples_of(made(tool).schema)

    def test_a_model_is_told_what_it_does(self, tool: Any) -> None:
        """The name, the description and the schema are all that a model sees."""
        shown = made(tool).to_anthropic()
        assert shown["description"].strip(), (
            f"the tool {shown['name']!r} has no description; give the function a docstring"
        )

    def test_its_schema_is_one_that_models_accept(self, tool: Any) -> None:
        """A JSON Schema of an object whose names are of letters, digits, _ . and -."""
        from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]

        tool = made(tool)
        try:
            Draft202012Validator.check_schema(json.loads(json.dumps(tool.schema)))
        except SchemaError as exc:
            raise AssertionError(f"its schema is no JSON Schema: {exc.message}") from exc
        odd = [name for name in tool.schema.get("properties", {}) if not _PROPERTY.fullmatch(name)]
        assert not odd, f"models do not accept the parameter names {odd}"

    def test_valid_arguments_are_taken(self, tool: Any, arguments: Arguments) -> None:
        """As a mapping and as JSON text alike; give valid ones with the fixture `arguments`."""
        tool = made(tool)
        for given in arguments:
            try:
                taken = tool.validated(given)
                assert tool.validated(json.dumps(given)) == taken, (
                    f"{given!r} is read in another way when it comes as JSON text"
                )
            except ToolArgumentsError as exc:
                raise AssertionError(
                    f"it refuses {given!r}: {exc} Override the fixture 'arguments'."
                ) from exc

    def test_what_does_not_fit_is_refused(self, tool: Any, arguments: Arguments) -> None:
        """What is no object, lacks what is required or has what is unknown never reaches it."""
        tool = made(tool)
        for wrong in _misfits(tool, arguments):
            try:
                tool.validated(wrong)
            except ToolArgumentsError:
                continue
            except Exception as exc:
                raise AssertionError(
                    f"arguments that do not fit raise ToolArgumentsError, not {exc!r}"
                ) from exc
            raise AssertionError(f"it takes {wrong!r:.80}, which does not fit its schema")

    def test_it_answers_every_valid_call(self, tool: Any, arguments: Arguments) -> None:
        """Run as an agent runs it, under its own time limit."""
        with _users(tool) as (call, _):
            for given in arguments:
                run = call(given)
                assert run.outcome == "ok", f"the call with {given!r} was no success: {run.text}"

    def test_a_model_can_read_its_answer(self, tool: Any, arguments: Arguments) -> None:
        """Text, JSON or parts; an object of Python is none."""
        with _users(tool) as (call, _):
            for text in (call(given).text for given in arguments):
                found = _OBJECT.findall(text)
                assert not found, f"its answer holds {found}, which tells a model nothing"

    def test_nothing_that_is_passed_in_is_changed(self, tool: Any, arguments: Arguments) -> None:
        """Its arguments are what the log says it was called with."""
        tool = made(tool)
        for given in arguments:
            taken = tool.validated(given)
            before = deepcopy(taken)
            asyncio.run(attempt(tool, taken, given, _SECONDS))
            assert taken == before, f"it changed its arguments to {taken!r:.200}"

    def test_only_an_idempotent_tool_may_be_run_again(
        self, tool: Any, arguments: Arguments
    ) -> None:
        """One that says so gives the same again; any other is tried once."""
        with _users(tool) as (call, _):
            for given in arguments:
                first, again = call(given), call(given)
                if made(tool).idempotent:
                    assert first.text == again.text, (
                        f"it says that it is idempotent, and gave {first.text!r:.80}, then"
                        f" {again.text!r:.80}"
                    )
                assert max(first.attempts, again.attempts) <= 1, "a call took another attempt"

    def test_nothing_is_kept_of_another_user(self, tool: Any, arguments: Arguments) -> None:
        """What one user's agent asks for is in no answer to another's."""
        with _users(tool) as (call, call_of_another):
            for given in arguments:
                strange = with_text(given, _CANARY)
                if strange == given or not _fits(made(tool), strange):
                    continue
                call_of_another(strange)
                assert _CANARY not in call(given).text, (
                    "its answer holds what another user's agent had asked"
                )

    def test_it_works_from_several_threads(self, tool: Any, arguments: Arguments) -> None:
        """Calls of one turn run together, and those of many users do."""
        with _users(tool) as users:
            runs = from_threads(lambda n: users[n % 2](arguments[n % len(arguments)]))
        failed = [run.text for run in runs if run.outcome != "ok"]
        assert not failed, (
            f"{len(failed)} of {len(runs)} calls from threads failed, the first: {failed[0]}"
        )

    def test_a_cancelled_call_ends_and_leaves_nothing(
        self, tool: Any, arguments: Arguments
    ) -> None:
        """An async tool ends where it is cancelled, whenever that is; it runs again afterwards.

        A sync one runs on in its thread, and nobody waits for it.
        """
        with _users(tool) as (call, _):
            for steps in range(_STEPS):
                given = arguments[steps % len(arguments)]
                if asyncio.run(_cancelled(made(tool), given, steps)):
                    break
            run = call(arguments[-1])
        assert run.outcome == "ok", f"after cancelled calls it fails: {run.text}"


@contextmanager
def _users(tool: Any) -> Iterator[tuple[Call, Call]]:
    """Yield what runs the tool for each of two users of one store."""
    tool = made(tool)
    # Without entry points: the plugin that offers this tool is installed where it is tested.
    plugins = Plugins(load_entry_points=False, environ={})
    with AgentMemory.open(
        "memory:", namespace="acme/alice", session="trip", plugins=plugins
    ) as alice:
        alice.tools.add(tool)
        other = alice.beside(namespace="acme/陈伟", session="trip")
        yield (
            lambda given: alice.tools.call(tool.name, given),
            lambda given: other.tools.call(tool.name, given),
        )


async def _cancelled(tool: Tool, given: Mapping[str, Any], steps: int) -> bool:
    """Cancel a call after `steps` turns of the loop; say whether it had ended before."""
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(attempt(tool, tool.validated(given), given, _SECONDS))
    for _ in range(steps):
        await asyncio.sleep(0)
    if task.done():
        return True
    task.cancel()
    await asyncio.wait({task}, timeout=_SECONDS)
    assert task.done(), "the caller of a cancelled call is not let go"
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=_PARTING)
    left = asyncio.all_tasks() - before
    assert not left, (
        "a cancelled call goes on: it catches CancelledError, or leaves a task behind:"
        f" {sorted(str(one.get_coro()) for one in left)}"
    )
    return False


def _fits(tool: Tool, arguments: Mapping[str, Any]) -> bool:
    try:
        tool.validated(arguments)
    except ToolArgumentsError:
        return False
    return True


def _misfits(tool: Tool, arguments: Arguments) -> Iterator[Any]:
    yield from ("[]", '"text"', "{", "null")
    for given in arguments[:1]:
        required = tool.schema.get("required", ())
        yield from ({k: v for k, v in given.items() if k != name} for name in required)
        if tool.schema.get("additionalProperties", True) is False:
            yield {**given, "no_such_parameter": 1}
