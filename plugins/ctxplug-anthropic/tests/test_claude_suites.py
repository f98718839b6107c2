"""The counter and the summarizer keep the laws of their kinds, against a local server."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest
from ctxplug_anthropic import AnthropicCounter, AnthropicSummarizer

from ctxplug.compression import Summarizer
from ctxplug.testing import ModelServer, ServedRequest, SummarizerSuite, TokenCounterSuite
from ctxplug.tokens import TokenCounter


@pytest.fixture
def client() -> Iterator[anthropic.Anthropic]:
    http = anthropic.DefaultHttpxClient(verify=False)  # certificates take long to load
    with (
        ModelServer(answer) as server,
        anthropic.Anthropic(base_url=server.url, api_key="test", http_client=http) as client,
    ):
        yield client


def answer(request: ServedRequest) -> str:
    """Say the middle of what is to be summarized, as a model that has read it would."""
    lines = str(request.body["messages"][0]["content"]).splitlines()[1:-3]
    return f"So far: {lines[len(lines) // 2][:120] if lines else 'nothing. 没什么。'}"


class TestCounter(TokenCounterSuite):
    @pytest.fixture
    def counter(self, client: anthropic.Anthropic) -> TokenCounter:
        return AnthropicCounter(client=client)


class TestSummarizer(SummarizerSuite):
    @pytest.fixture
    def summarizer(self, client: anthropic.Anthropic) -> Summarizer:
        return AnthropicSummarizer(client=client)
