"""A remote memory in the adapters: LangChain, LlamaIndex and the Claude chat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ctxplug_server.client import RemoteMemory

from ctxplug import AgentMemory
from ctxplug.errors import UnsupportedError
from ctxplug.memory_like import MemoryLike, is_memory

Open = Callable[..., Any]


@pytest.fixture
def remote(stored: Any, own_namespace: str) -> Iterator[RemoteMemory]:
    with RemoteMemory.open(stored[1], namespace=own_namespace, session="trip") as memory:
        yield memory


def test_what_is_a_memory(remote: RemoteMemory) -> None:
    with AgentMemory.open("memory:", namespace="a") as local:
        for memory in (local, remote):
            assert is_memory(memory)
            assert isinstance(memory, MemoryLike)
            for other in (AgentMemory, RemoteMemory, "agent.db", None, memory.session, len):
                assert not is_memory(other)
            assert not is_memory(memory.backend)


def scripted(*answers: Any) -> Any:
    """Return a chat model of LangChain that says `answers`, and keeps what it was sent."""
    pytest.importorskip("langchain")
    from langchain_core.language_models import BaseChatModel
    from langchain_core.outputs import ChatGeneration, ChatResult
    from pydantic import Field

    class Scripted(BaseChatModel):
        sent: list[Any] = Field(default_factory=list)

        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
            self.sent.append(list(messages))
            said = answers[len(self.sent) - 1]
            return ChatResult(generations=[ChatGeneration(message=said)])

    return Scripted()


def test_the_middleware_of_langchain(remote: RemoteMemory) -> None:
    model = scripted()
    from langchain.agents import create_agent
    from langchain_core.messages import AIMessage, HumanMessage
    from langchain_ctxplug import CtxplugMiddleware
    from langgraph.checkpoint.memory import InMemorySaver

    model = scripted(AIMessage("Nice to meet you."), AIMessage("You like tea."))
    middleware = CtxplugMiddleware(remote)
    agent = create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t1"}}
    agent.invoke({"messages": [HumanMessage("I like tea 我喜欢茶")]}, config)
    result = asyncio.run(agent.ainvoke({"messages": [HumanMessage("What do I like?")]}, config))
    assert result["messages"][-1].text == "You like tea."
    assert [m.text for m in remote.beside(session="t1").messages()] == [
        "I like tea 我喜欢茶", "Nice to meet you.", "What do I like?", "You like tea.",
    ]  # fmt: skip
    assert "我喜欢茶" in str(model.sent[1])


def test_the_retriever_of_langchain(remote: RemoteMemory) -> None:
    pytest.importorskip("langchain_core")
    from langchain_ctxplug import CtxplugRetriever

    remote.remember("Likes tea 喜欢茶", kind="preference")
    retriever = CtxplugRetriever(remote, k=3)
    assert [d.page_content for d in retriever.invoke("tea")] == ["Likes tea 喜欢茶"]
    found = asyncio.run(retriever.ainvoke("茶", kinds="preference"))
    assert [d.page_content for d in found] == ["Likes tea 喜欢茶"]


def test_the_chat_history_of_langchain(remote: RemoteMemory) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.messages import AIMessage, HumanMessage
    from langchain_ctxplug import CtxplugChatMessageHistory

    history = CtxplugChatMessageHistory(remote)
    history.add_messages([HumanMessage("hello 你好"), AIMessage("hi")])
    assert [m.text for m in history.messages] == ["hello 你好", "hi"]
    asyncio.run(history.aadd_messages([HumanMessage("more")]))
    again = CtxplugChatMessageHistory(remote.beside(session="trip"))
    assert [m.text for m in again.messages] == ["hello 你好", "hi", "more"]
    history.clear()
    assert (history.messages, again.messages) == ([], [])
    again.add_messages([HumanMessage("anew")])
    assert [m.text for m in history.messages] == ["anew"]


def test_the_store_of_langchain_says_that_it_cannot(remote: RemoteMemory) -> None:
    pytest.importorskip("langgraph")
    from langchain_ctxplug import CtxplugStore

    with pytest.raises(UnsupportedError, match="server's"):
        CtxplugStore(remote).put(("a",), "key", {"text": "b"})


@pytest.mark.slow
def test_the_memory_of_llamaindex(remote: RemoteMemory) -> None:
    pytest.importorskip("llama_index.core")
    from ctxplug_llamaindex import CtxplugMemory, CtxplugRetriever
    from llama_index.core.llms import ChatMessage

    memory = CtxplugMemory.from_defaults(remote, session_id="llama")
    memory.put(ChatMessage("I like tea 我喜欢茶", role="user"))
    memory.put(ChatMessage("Noted.", role="assistant"))
    asyncio.run(memory.aput(ChatMessage("What do I like?", role="user")))
    assert memory.get_all()[-1].content == "What do I like?"
    assert memory.get()[0].content == "I like tea 我喜欢茶"
    assert len(asyncio.run(memory.aget())) == 3
    remote.remember("Likes tea 喜欢茶", kind="preference")
    nodes = CtxplugRetriever(remote).retrieve("茶")
    assert any("喜欢茶" in node.text for node in nodes)


@pytest.mark.slow
def test_the_chat_with_claude(remote: RemoteMemory) -> None:
    anthropic = pytest.importorskip("anthropic")
    from ctxplug_anthropic import AsyncMemoryChat, MemoryChat

    from ctxplug.testing.model_server import ModelServer, Reply

    call = Reply.tool_use(("remember", {"content": "Likes tea 喜欢茶"}))
    script = [call, Reply.text("Noted."), Reply.text("Tea.")]
    with ModelServer(script) as server:
        given: dict[str, Any] = {"api_key": "test", "base_url": server.url}
        turn = {"user_id": "alice", "session_id": "s1"}
        http = anthropic.DefaultHttpxClient(verify=False)
        with anthropic.Anthropic(**given, http_client=http) as client:
            chat = MemoryChat(remote, client, model="claude-sonnet-4-6", conscious=True)
            assert chat.create_message(messages="I like tea 我喜欢茶", **turn).text == "Noted."

        async def ask() -> str:
            http = anthropic.DefaultAsyncHttpxClient(verify=False)
            async with anthropic.AsyncAnthropic(**given, http_client=http) as client:
                chat = AsyncMemoryChat(remote, client, model="claude-sonnet-4-6")
                return (await chat.create_message(messages="What do I like?", **turn)).text

        assert asyncio.run(ask()) == "Tea."
    below = remote.beside(namespace=(*remote.scope.namespace, "alice"), session="s1")
    assert [record.content for record in below.memories()] == ["Likes tea 喜欢茶"]
    assert [m.role for m in below.messages()] == [
        "user", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert below.usage.report().total.calls == 3
