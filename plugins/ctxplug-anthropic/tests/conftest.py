"""One way to hold a turn, whether the client is sync or async and the reply streamed or not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from ctxplug_anthropic import AsyncMemoryChat, ChatReply, MemoryChat

from ctxplug import AgentMemory
from ctxplug.testing.model_server import ModelServer

MODEL = "claude-sonnet-4-6"
MODES = ("sync", "sync stream", "async", "async stream")


class Held:
    """A chat of one user, with the server's script to be given to `serve`."""

    def __init__(self, mode: str) -> None:
        self.is_async, self.stream = mode.startswith("async"), mode.endswith("stream")
        self.memory = AgentMemory.open("memory:", namespace="test")
        self.server: Any = None
        self.runs: list[str] = []

    def serve(self, *script: Any, **options: Any) -> ModelServer:
        """Answer with `script` from now on."""
        if self.server is not None:
            self.server.close()
        self.server = ModelServer(*script, **options)
        return self.server

    def weather(self, city: str) -> str:
        """Say the weather of a city."""
        self.runs.append(city)
        return f"It is sunny in {city}."

    def ask(self, text: Any, *, chat: dict[str, Any] | None = None, **settings: Any) -> ChatReply:
        """Hold one turn of alice's session."""
        options = {"model": MODEL, "tools": [], **(chat or {})}
        if "weather" not in self.memory.tools:
            self.memory.tools.add(self.weather)
        turn = {"user_id": "alice", "session_id": "s1", "messages": text, **settings}
        retries = options.pop("retries", 2)
        given = {"api_key": "test", "base_url": self.server.url, "max_retries": retries}
        if self.is_async:
            return asyncio.run(self._ask(given, options, turn))
        http = anthropic.DefaultHttpxClient(verify=False)  # certificates take long to load
        with anthropic.Anthropic(**given, http_client=http) as client:
            held = MemoryChat(self.memory, client, **options)
            answer = held.create_message(**turn, stream=self.stream)
            return answer.reply if self.stream else answer

    async def _ask(self, given: Any, options: Any, turn: Any) -> ChatReply:
        http = anthropic.DefaultAsyncHttpxClient(verify=False)
        async with anthropic.AsyncAnthropic(**given, http_client=http) as client:
            held = AsyncMemoryChat(self.memory, client, **options)
            answer = await held.create_message(**turn, stream=self.stream)
            return await answer.wait() if self.stream else answer

    @property
    def of_alice(self) -> AgentMemory:
        """The memory of the session, opened anew: what is stored, not what is at hand."""
        return self.memory.beside(namespace=("test", "alice"), session="s1")

    @property
    def said(self) -> list[tuple[str, str]]:
        """Role and text of what is in view."""
        return [(message.role, message.text) for message in self.of_alice.messages()]

    @property
    def outstanding(self) -> int:
        """How many tokens are reserved and not settled."""
        from ctxplug.tokens.usage_stream import UsageStream

        memory = self.of_alice
        return len(UsageStream(memory.backend, memory.scope).book().open)


@pytest.fixture(params=MODES)
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """A chat in each of the four ways; the SDK's pauses before a retry are short."""
    monkeypatch.setattr("anthropic._base_client.INITIAL_RETRY_DELAY", 0.01)
    one = Held(request.param)
    yield one
    if one.server is not None:
        one.server.close()
    one.memory.close()
