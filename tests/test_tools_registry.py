"""memory.tools: what is there by name, from whom, and what a model is told of."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import warnings
from typing import Any

import pytest

from ctxplug import AgentMemory, Message, hookimpl
from ctxplug.errors import (
    ClosedError,
    ComponentConflictError,
    CtxplugError,
    InvalidToolError,
    PluginError,
    PluginWarning,
    ToolConflictError,
    UnknownToolError,
)
from ctxplug.plugins import Plugins
from ctxplug.tools import Tool, ToolRegistry

OWN = ["expand", "forget", "recall", "remember"]


def convert(amount: float, rate: float = 1.5) -> float:
    """Convert money. 换钱"""
    return amount * rate


def other(text: str) -> str:
    """Do something else."""
    return text


def plugins_of(**targets: Any) -> Plugins:
    """Return plugins each of which offers tools: name -> {tool name: target}."""
    plugins = Plugins(load_entry_points=False, environ={})
    for plugin, offered in targets.items():

        class Offering:
            tools = offered

            @hookimpl
            def register_tools(self, register: Any) -> None:
                for name, target in self.tools.items():
                    register(name, target)

        plugins.register(Offering(), plugin)
    return plugins


def opened(**options: Any) -> AgentMemory:
    return AgentMemory.open("memory:", namespace="acme/alice", session="trip", **options)


def names(tools: Any) -> list[str]:
    return [tool.name for tool in tools]


# -- adding and taking away ---------------------------------------------------------------


def test_a_function_that_was_added_is_there_by_name() -> None:
    with opened() as memory:
        assert isinstance(memory.tools, ToolRegistry) and memory.tools is memory.tools
        assert names(memory.tools) == [] and bool(memory.tools)
        added = memory.tools.add(convert, version="2", side_effects=False)
        assert memory.tools.get("convert") is added and added.version == "2"
        assert memory.tools.add(added, name="again").version == "2"
        assert names(memory.tools) == names(memory.tools.list()) == ["again", "convert"]
        assert "convert" in memory.tools and len(memory.tools) == 2
        memory.tools.remove("convert")
        assert "convert" not in memory.tools
        with pytest.raises(UnknownToolError) as raised:
            memory.tools.remove("convert")
        assert raised.value.known == ("again", *OWN)
        with pytest.raises(UnknownToolError, match="again"):
            memory.tools.get("换钱")


def test_two_tools_of_one_name_are_an_error_that_names_both() -> None:
    def convert_too(amount: int) -> int:
        """Convert otherwise."""
        return amount

    with opened() as memory:
        memory.tools.add(convert)
        with pytest.raises(ToolConflictError) as raised:
            memory.tools.add(convert_too, name="convert")
        sources = raised.value.sources
        assert sources == (f"{__name__}.convert", Tool.of(convert_too).source)
        assert all(source in str(raised.value) for source in sources)
        assert memory.tools.get("convert").function is convert


def test_what_cannot_be_a_tool_is_not_added() -> None:
    with opened() as memory:
        for wrong in (3, None, "convert", object(), [convert]):
            with pytest.raises(InvalidToolError):
                memory.tools.add(wrong)
        assert len(memory.tools) == 0


def test_the_dicts_of_providers_come_in_order_of_name() -> None:
    with opened() as memory:
        memory.tools.add(other)
        memory.tools.add(convert)
        assert [tool["name"] for tool in memory.tools.to_anthropic()] == ["convert", "other"]
        assert memory.tools.to_openai()[0]["function"]["description"] == "Convert money. 换钱"


def test_threads_may_add_at_once_and_one_wins() -> None:
    with opened() as memory:
        lost: list[str] = []

        def add(number: int) -> None:
            try:
                memory.tools.add(convert, name=f"tool{number % 4}")
            except ToolConflictError as exc:
                lost.append(exc.tool)

        threads = [threading.Thread(target=add, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert names(memory.tools) == ["tool0", "tool1", "tool2", "tool3"]
        assert len(lost) == 28


def test_threads_that_ask_first_get_one_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ToolRegistry.__init__

    def slowly(*args: Any, **options: Any) -> None:
        time.sleep(0.02)  # as when it is imported
        made(*args, **options)

    monkeypatch.setattr(ToolRegistry, "__init__", slowly)
    with opened() as memory:
        found: list[ToolRegistry] = []
        threads = [threading.Thread(target=lambda: found.append(memory.tools)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({id(one) for one in found}) == 1 and len(found) == 8


def test_memories_beside_each_other_have_the_same_tools() -> None:
    with opened() as memory:
        memory.tools.add(convert)
        beside = memory.beside(session="work")
        beside.tools.add(other)
        memory.tools.add_memory_tools("recall")
        assert names(memory.tools) == names(beside.tools) == ["convert", "other", "recall"]
        assert memory.tools.get("recall") is not beside.tools.get("recall")
        with opened() as apart:
            assert names(apart.tools) == []


def test_a_closed_memory_has_no_tools() -> None:
    memory = opened()
    registry = memory.tools
    memory.close()
    for use in (registry.names, registry.list, lambda: registry.add(convert)):
        with pytest.raises(ClosedError):
            use()


# -- of plugins ---------------------------------------------------------------------------


def test_tools_of_plugins_are_there_under_their_registered_names() -> None:
    made: list[int] = []

    def factory() -> Any:
        made.append(1)
        return convert

    plugins = plugins_of(money={"exchange": factory, "ready": lambda: Tool.of(other, version="9")})
    with opened(plugins=plugins) as memory:
        assert set(memory.tools.names()) == {"exchange", "ready", *OWN}
        assert made == []
        assert names(memory.tools) == ["exchange", "ready"]
        tool = memory.tools.get("exchange")
        assert tool.source == "plugin 'money'" and tool.function is convert
        assert memory.tools.get("ready").version == "9"
        assert memory.tools.get("exchange") is tool and made == [1]
        with pytest.raises(ToolConflictError, match="money"):
            memory.tools.add(other, name="exchange")
        memory.tools.remove("exchange")
        assert names(memory.tools) == ["ready"]
        assert memory.tools.add(other, name="exchange").function is other


def test_one_broken_tool_of_a_plugin_does_not_stop_the_others() -> None:
    def broken() -> Any:
        raise RuntimeError("no")

    offered = {"broken": broken, "no-tool": lambda: 3, "dotted.name": lambda: other}
    plugins = plugins_of(bad=offered, good={"exchange": lambda: convert})
    with opened(plugins=plugins) as memory:
        with pytest.warns(PluginWarning) as warned:
            assert names(memory.tools) == ["exchange"]
        assert len(warned) == 3
        for name, error in {"broken": PluginError, "no-tool": InvalidToolError}.items():
            with pytest.raises(error):
                memory.tools.get(name)
        assert "broken" in memory.tools.names()


def test_a_name_that_two_plugins_claim_belongs_to_neither() -> None:
    offered = {"exchange": lambda: convert}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)
        with opened(plugins=plugins_of(one=offered, two=offered)) as memory:
            assert names(memory.tools) == []
            with pytest.raises(ComponentConflictError) as raised:
                memory.tools.get("exchange")
    assert raised.value.plugins == ("one", "two")


# -- in a window --------------------------------------------------------------------------


def test_a_window_takes_tools_as_they_are() -> None:
    with opened() as memory:
        memory.add("user", "你好")
        memory.tools.add(convert)
        forms: list[Any] = [
            memory.tools,
            memory.tools.list(),
            memory.tools.to_anthropic(),
            memory.tools.to_openai(),
            [convert],
        ]
        windows = [memory.context(tools=form) for form in forms]
        assert len({json.dumps(window.to_anthropic()["tools"]) for window in windows}) == 1
        assert windows[0].to_openai()["tools"][0]["function"]["name"] == "convert"
        assert windows[0].tokens > memory.context().tokens
        with pytest.raises(CtxplugError):
            memory.context(tools=[3])  # type: ignore[list-item]


# -- what it costs ------------------------------------------------------------------------


def test_an_agent_without_tools_loads_nothing_for_them() -> None:
    code = (
        "import sys, ctxplug\n"
        "with ctxplug.AgentMemory.open('memory:', namespace='a') as memory:\n"
        "    memory.add('user', 'hi')\n"
        "    memory.context()\n"
        "    print(sorted({'pydantic', 'jsonschema', 'ctxplug.tools.registry'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_lists_what_there_is() -> None:
    command = [sys.executable, "-m", "ctxplug.cli", "tools", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    listed = {one["name"]: one for one in json.loads(done.stdout)}
    assert set(OWN) <= set(listed)
    assert listed["remember"]["schema"]["required"] == ["content"]
    assert listed["remember"]["side_effects"] and not listed["recall"]["side_effects"]


def test_the_command_shows_them_to_a_reader() -> None:
    command = [sys.executable, "-m", "ctxplug.cli", "tools"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert all(name in done.stdout for name in OWN)
    assert "memory_id" in done.stdout and "Traceback" not in done.stderr


async def test_a_tool_of_a_conversation_is_found_and_run_by_name() -> None:
    """The registry and the executor meet: what is told to the model is what runs."""
    with opened() as memory:
        memory.tools.add(convert, side_effects=False)
        call = {"type": "tool_use", "id": "c1", "name": "convert", "input": {"amount": 2}}
        (asked,) = Message.from_anthropic({"role": "assistant", "content": [call]})
        (answer,) = memory.tools.run(asked.tool_calls)
        assert answer.tool_results[0].text == "3.0"
        (refused,) = await memory.tools.arun(
            [type(asked.tool_calls[0])("c2", "convert", {"amount": "2"})]
        )
        assert refused.tool_results[0].is_error and "amount" in refused.text
