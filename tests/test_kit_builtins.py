"""The built-in token counters, summarizer and tools keep the laws of their kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.compression import Summarizer
from ctxplug.compression.extractive_summarizer import ExtractiveSummarizer
from ctxplug.errors import PluginError
from ctxplug.testing import SummarizerSuite, TokenCounterSuite, ToolSuite
from ctxplug.tokens import TokenCounter
from ctxplug.tokens.estimate import estimate
from ctxplug.tokens.tiktoken_counter import tiktoken_counter
from ctxplug.tools.memory_tools import memory_tools


@pytest.mark.parametrize("variant", ["o200k", "claude"])
class TestEstimate(TokenCounterSuite):
    @pytest.fixture
    def counter(self, variant: str) -> TokenCounter:
        return estimate(variant)


class TestTiktoken(TokenCounterSuite):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        try:
            return tiktoken_counter()
        except PluginError as exc:  # llama-index-core carries the encodings
            pytest.skip(f"the encoding is not on this machine: {exc}")


@pytest.mark.parametrize("telegraphic", [False, True])
class TestExtractive(SummarizerSuite):
    @pytest.fixture
    def summarizer(self, telegraphic: bool) -> Summarizer:
        return ExtractiveSummarizer(telegraphic=telegraphic)


@pytest.mark.parametrize("name", ["expand", "forget", "recall", "remember"])
class TestMemoryTools(ToolSuite):
    @pytest.fixture
    def memory(self) -> Iterator[AgentMemory]:
        with AgentMemory.open("memory:", namespace="acme/bob", session="trip") as memory:
            memory.add("user", "I moved to Lisbon. 我搬到了里斯本。")
            yield memory

    @pytest.fixture
    def tool(self, memory: AgentMemory, name: str) -> Any:
        return next(tool for tool in memory_tools(memory) if tool.name == name)

    @pytest.fixture
    def arguments(self, memory: AgentMemory, name: str) -> Any:
        facts = [memory.remember(f"Fact {n}, 第{n}件事").id for n in range(20)]
        return {
            "expand": [{"ref": "@1"}, {"ref": "@1", "start": 2}],
            "forget": [{"memory_id": id} for id in facts],
            "recall": [{"query": "Lisbon"}, {"query": "里斯本", "k": 2, "kinds": ["message"]}],
            "remember": [
                {"content": "Prefers window seats"},
                {"content": "女儿对花生过敏", "kind": "fact", "importance": 1, "tags": ["健康"]},
            ],
        }[name]
