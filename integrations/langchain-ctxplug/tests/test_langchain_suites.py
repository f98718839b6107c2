"""What the adapter makes for ctxplug keeps the laws of ctxplug: a summarizer, and tools."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeListChatModel, SimpleChatModel
from langchain_core.messages import BaseMessage
from langchain_core.tools import tool as langchain_tool
from langchain_ctxplug.model_summarizer import ModelSummarizer
from langchain_ctxplug.tools import as_function

from ctxplug.compression import Summarizer
from ctxplug.testing import SummarizerSuite, ToolSuite


class Reads(SimpleChatModel):
    """A chat model that says a line of the middle of what it was told."""

    @property
    def _llm_type(self) -> str:
        return "reads"

    def _call(self, messages: list[BaseMessage], *rest: Any, **options: Any) -> str:
        lines = str(messages[-1].text).splitlines() or ["nothing. 没什么。"]
        return f"So far: {lines[len(lines) // 2][:120]}"


@pytest.mark.parametrize("model", [Reads(), FakeListChatModel(responses=["好。"])], ids=["a", "b"])
class TestModelSummarizer(SummarizerSuite):
    @pytest.fixture
    def summarizer(self, model: BaseChatModel) -> Summarizer:
        return ModelSummarizer(model)


@langchain_tool
def fare(to: str, seats: int = 1) -> str:
    """Say what a flight costs. 机票多少钱"""
    return f"{to}: {seats * 120} euros"


@langchain_tool
async def afare(to: str) -> dict[str, Any]:
    """Say what a flight costs. 机票多少钱"""
    return {"to": to, "euros": 120}


@pytest.mark.parametrize("given", [fare, afare], ids=["sync", "async"])
class TestLangChainTool(ToolSuite):
    @pytest.fixture
    def tool(self, given: Any) -> Any:
        return given


class TestLangChainToolAsFunction(ToolSuite):
    @pytest.fixture
    def tool(self) -> Any:
        return as_function(fare)
