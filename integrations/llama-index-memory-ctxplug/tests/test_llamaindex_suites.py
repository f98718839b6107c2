"""What the adapter makes for ctxplug keeps the laws of ctxplug: a counter, and tools."""

from __future__ import annotations

from typing import Any

import pytest
from ctxplug_llamaindex.counting import counter_of
from llama_index.core.tools import FunctionTool
from llama_index.core.utils import get_tokenizer

from ctxplug.testing import TokenCounterSuite, ToolSuite
from ctxplug.tokens import TokenCounter


class TestTokenizer(TokenCounterSuite):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        return counter_of(get_tokenizer())


def fare(to: str, seats: int = 1) -> str:
    """Say what a flight costs. 机票多少钱"""
    return f"{to}: {seats * 120} euros"


async def afare(to: str) -> dict[str, Any]:
    """Say what a flight costs. 机票多少钱"""
    return {"to": to, "euros": 120}


@pytest.mark.parametrize("given", [fare, afare], ids=["sync", "async"])
class TestFunctionTool(ToolSuite):
    @pytest.fixture
    def tool(self, given: Any) -> Any:
        return FunctionTool.from_defaults(given)
