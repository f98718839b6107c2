"""Turns that meet: with a clearing, a cancellation, other sessions, and what was left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from ctxplug_anthropic import AsyncMemoryChat, MemoryChat

from ctxplug import AgentMemory, Message
from ctxplug.errors import InvalidMessageError, InvalidValueError, UsageLimitError
from ctxplug.messages import ToolCallPart
from ctxplug.testing.model_server import ModelServer, Reply, ServedRequest
from ctxplug.tokens.limits import UsageLimits
from ctxplug.tokens.usage_stream import UsageStream
from ctxplug.tools import ToolPolicy, ToolRule

MODEL = "claude-sonnet-4-6"


@pytest.fixture
def gate() -> Iterator[tuple[ModelServer, threading.Event, threading.Event]]:
    """A server whose answers to what is marked "wait" come when the second event is set."""
    asked, answer = threading.Event(), threading.Event()

    def script(request: ServedRequest) -> Reply:
        if "wait" in str(request.messages[-1]):
            asked.set()
            answer.wait(20)
        return Reply.text("Yes.")

    with ModelServer(script) as server:
        yield server, asked, answer
        answer.set()


@pytest.mark.parametrize("session", ["s1", None], ids=["session", "user"])
def test_clearing_waits_for_the_turn_under_way(gate: Any, session: str | None) -> None:
    server, asked, answer = gate
    client = anthropic.Anthropic(api_key="test", base_url=server.url)
    with client, MemoryChat("memory:", client, model=MODEL) as chat:
        turn = threading.Thread(target=chat.create_message, args=("alice", "s1", "wait"))
        turn.start()
        assert asked.wait(20)
        clearing = threading.Thread(target=chat.clear, args=("alice", session))
        clearing.start()
        clearing.join(0.2)
        assert clearing.is_alive()
        answer.set()
        turn.join(20)
        clearing.join(20)
        assert chat.memory("alice", "s1").messages() == []
        assert chat.search("alice", "Yes wait") == []


@pytest.mark.parametrize("session", ["s1", None], ids=["session", "user"])
def test_async_clearing_waits_for_the_turn_under_way(gate: Any, session: str | None) -> None:
    server, asked, answer = gate

    async def talk() -> None:
        client = anthropic.AsyncAnthropic(api_key="test", base_url=server.url)
        async with client, AsyncMemoryChat("memory:", client, model=MODEL) as chat:
            turn = asyncio.create_task(chat.create_message("alice", "s1", "wait"))
            assert await asyncio.to_thread(asked.wait, 20)
            clearing = asyncio.create_task(chat.clear("alice", session))
            done, _ = await asyncio.wait([clearing], timeout=0.2)
            assert not done
            answer.set()
            assert (await turn).text == "Yes."
            await clearing
            assert await chat.memory("alice", "s1").amessages() == []
            assert await chat.search("alice", "Yes wait") == []

    asyncio.run(talk())


def test_a_session_stays_one_however_many_are_open(gate: Any) -> None:
    server, asked, answer = gate
    client = anthropic.Anthropic(api_key="test", base_url=server.url)
    with client, MemoryChat("memory:", client, model=MODEL) as chat:
        first = threading.Thread(target=chat.create_message, args=("alice", "s1", "wait"))
        first.start()
        assert asked.wait(20)
        for i in range(300):
            chat.memory("alice", f"other {i}")
        second = threading.Thread(target=chat.create_message, args=("alice", "s1", "Next"))
        second.start()
        second.join(0.2)
        answer.set()
        first.join(20)
        second.join(20)
        said = [message.text for message in chat.memory("alice", "s1").messages()]
        assert said == ["wait", "Yes.", "Next", "Yes."]


def test_no_reservation_is_left_by_a_turn_cancelled_while_it_was_made() -> None:
    async def talk(memory: AgentMemory, server: ModelServer) -> None:
        client = anthropic.AsyncAnthropic(api_key="test", base_url=server.url)
        async with client:
            chat = AsyncMemoryChat(memory, client, model=MODEL)
            alice = chat.memory("alice", "s1")
            turn: Any = None
            ledger = type(alice.usage)
            reserve: Callable[..., Any] = ledger.reserve
            loop = asyncio.get_running_loop()

            def cancelled(*args: Any, **options: Any) -> Any:
                reservation = reserve(*args, **options)
                cancelled_now = threading.Event()
                loop.call_soon_threadsafe(lambda: (turn.cancel(), cancelled_now.set()))
                cancelled_now.wait(20)
                return reservation

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ledger, "reserve", cancelled)
                turn = asyncio.create_task(chat.create_message("alice", "s1", "Hello"))
                with pytest.raises(asyncio.CancelledError):
                    await turn
            assert not UsageStream(alice.backend, alice.scope).book().open
            assert server.sent == []

    with ModelServer(["Never."]) as server, AgentMemory.open("memory:", namespace="t") as memory:
        asyncio.run(talk(memory, server))


def test_a_call_left_open_runs_only_with_a_tool_of_this_turn(held: Any) -> None:
    held.serve(["Well."])
    held.memory.tools.add(held.weather)
    call = ToolCallPart("toolu_1", "weather", {"city": "Oslo"})
    held.of_alice.extend([Message("user", "How is Oslo?"), Message("assistant", call)])
    assert held.ask("How is Oslo?", tools=[]).text == "Well."
    assert held.runs == []
    (result,) = [r for m in held.of_alice.messages() for r in m.tool_results]
    assert result.is_error


def test_a_call_left_open_is_asked_about_like_any_other(held: Any) -> None:
    asked: list[str] = []

    def approve(request: Any) -> bool:
        asked.append(request.call.name)
        return True

    policy = ToolPolicy(rules=[ToolRule("ask", "weather")])
    held.memory = AgentMemory.open("memory:", namespace="test", tool_policy=policy)
    held.serve(["Sunny."])
    held.memory.tools.add(held.weather)
    call = ToolCallPart("toolu_1", "weather", {"city": "Oslo"})
    held.of_alice.extend([Message("user", "How is Oslo?"), Message("assistant", call)])
    held.ask("How is Oslo?", approve=approve)
    assert (asked, held.runs) == (["weather"], ["Oslo"])


@pytest.mark.parametrize("blank", ["", " \n", {"role": "user", "content": []}])
def test_a_blank_message_is_refused_before_it_is_stored(held: Any, blank: Any) -> None:
    held.serve(["Never."])
    with pytest.raises(InvalidMessageError):
        held.ask(blank)
    assert held.said == []


@pytest.mark.parametrize(
    "wrong",
    [{"system": [{"type": "text", "text": "Be brief."}]}, {"session_id": None}],
    ids=["system", "session"],
)
def test_what_is_of_the_wrong_type_is_refused_before_it_is_stored(held: Any, wrong: Any) -> None:
    held.serve(["Never."])
    with pytest.raises(InvalidValueError):
        held.ask("Hello", **wrong)
    assert held.said == []


@pytest.mark.parametrize("text", ["I am allergic to peanuts.", "我对花生过敏。"])
def test_what_is_refused_leaves_no_automatic_memory_and_takes_none(text: str) -> None:
    opening = {"limits": UsageLimits(daily_tokens=6_000)}
    with ModelServer(lambda request: "Noted.") as server:
        client = anthropic.Anthropic(api_key="test", base_url=server.url)
        with client, MemoryChat("memory:", client, model=MODEL, auto=True, opening=opening) as chat:
            with pytest.raises(UsageLimitError):
                chat.create_message("alice", "s1", text, max_tokens=9_000)
            assert chat.search("alice", text) == []
            chat.create_message("alice", "s1", text, max_tokens=100)
            before = [record.content for record in chat.memory("alice", "s1").memories()]
            with pytest.raises(UsageLimitError):
                chat.create_message("alice", "s2", text, max_tokens=9_000)
            after = [record.content for record in chat.memory("alice", "s1").memories()]
            assert before == after != []
