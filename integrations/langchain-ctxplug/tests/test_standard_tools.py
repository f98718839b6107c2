"""LangChain's own suites for tools, unit and integration, for each tool there is."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pytest
from langchain_core.tools import BaseTool, tool
from langchain_ctxplug.tools import as_function, as_langchain_tool, memory_tools
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from ctxplug import AgentMemory


@pytest.fixture(scope="module")
def memory() -> AgentMemory:
    return filled()


def filled() -> AgentMemory:
    memory = AgentMemory.open("memory:", namespace="acme/alice", session="trip")
    memory.add("user", "国庆带女儿去成都看大熊猫，她对花生过敏。")
    memory.remember("Prefers aisle seats", kind="preference")
    return memory


class _Of:
    """A suite over `made`, called with `example`."""

    name = ""
    example: dict[str, Any] = {}  # noqa: RUF012

    @cached_property
    def made(self) -> BaseTool:
        return memory_tools(filled(), names=[self.name])[0]

    @property
    def tool_constructor(self) -> BaseTool:
        return self.made

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return self.example


class _Remember(_Of):
    name = "remember"
    example = {"content": "喜欢靠窗的座位", "kind": "preference", "tags": ["旅行"]}  # noqa: RUF012


class TestRememberUnit(_Remember, ToolsUnitTests):
    pass


class TestRemember(_Remember, ToolsIntegrationTests):
    pass


class _Recall(_Of):
    name = "recall"
    example = {"query": "aisle seats", "k": 3}  # noqa: RUF012


class TestRecallUnit(_Recall, ToolsUnitTests):
    pass


class TestRecall(_Recall, ToolsIntegrationTests):
    pass


class _Forget(_Of):
    name = "forget"

    @cached_property
    def memory(self) -> AgentMemory:
        return filled()

    @cached_property
    def made(self) -> BaseTool:
        return memory_tools(self.memory, names=["forget"])[0]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"memory_id": self.memory.remember("to be forgotten").id}


class TestForgetUnit(_Forget, ToolsUnitTests):
    pass


class TestForget(_Forget, ToolsIntegrationTests):
    pass


class _Expand(_Of):
    name = "expand"
    example = {"ref": "@1"}  # noqa: RUF012


class TestExpandUnit(_Expand, ToolsUnitTests):
    pass


class TestExpand(_Expand, ToolsIntegrationTests):
    pass


async def convert(amount: float, rate: float = 7.1) -> float:
    """Convert an amount of money at a rate.

    Args:
        amount: How much.
        rate: What one unit costs.
    """
    return round(amount * rate, 2)


class _Converted(_Of):
    example = {"amount": 12.5}  # noqa: RUF012

    @cached_property
    def made(self) -> BaseTool:
        return as_langchain_tool(convert)


class TestConvertedUnit(_Converted, ToolsUnitTests):
    pass


class TestConverted(_Converted, ToolsIntegrationTests):
    pass


@tool
def look_up(city: str, days: int = 3) -> str:
    """Look up the weather of a city."""
    return f"{city}: sunny for {days} days"


class _ThereAndBack(_Of):
    example = {"city": "成都"}  # noqa: RUF012

    @cached_property
    def made(self) -> BaseTool:
        return as_langchain_tool(as_function(look_up))


class TestThereAndBackUnit(_ThereAndBack, ToolsUnitTests):
    pass


class TestThereAndBack(_ThereAndBack, ToolsIntegrationTests):
    pass
