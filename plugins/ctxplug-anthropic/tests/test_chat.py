"""What a turn stores, recalls and returns, in all four ways to hold it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import pytest
from ctxplug_anthropic import AsyncMemoryChat, MemoryChat

from ctxplug import AgentMemory, Message
from ctxplug.errors import InvalidMessageError, InvalidNamespaceError, InvalidValueError
from ctxplug.messages import TextPart, ToolCallPart
from ctxplug.testing.model_server import Failure, ModelServer, Reply

MODEL = "claude-sonnet-4-6"


def test_a_reply_says_what_it_took(held: Any) -> None:
    held.serve([Reply.tool_use(("weather", {"city": "Oslo"})), Reply.text("Sunny.")])
    reply = held.ask("How is Oslo?", system="Be brief. " * 900)
    usages = [request.usage for request in held.server.sent]
    assert reply.usage.output_tokens == sum(usage["output_tokens"] for usage in usages)
    assert reply.usage.cache_write_tokens > 1_024
    assert reply.usage.cache_read_tokens > 1_024
    assert reply.cost is not None
    assert reply.cost > 0
    assert (reply.calls, reply.stop_reason, reply.model) == (2, "end_turn", MODEL)
    roles = [message.role for message in reply.messages]
    assert roles == ["user", "assistant", "tool", "assistant"]
    assert json.loads(json.dumps(reply.to_dict()))["text"] == "Sunny."
    total = held.of_alice.usage.report().total
    assert (total.usage.total, total.calls) == (reply.usage.total, 2)


def test_thinking_comes_back_with_its_signature(held: Any) -> None:
    calls = Reply.tool_use(("weather", {"city": "北京"}), thinking="先查一下天气。")
    held.serve([calls, Reply.text("晴。", thinking="好。"), Reply.text("不客气。")])
    held.ask("北京天气怎么样?")
    assert held.ask("谢谢").text == "不客气。"  # the server refuses a signature that was touched
    sent = [b for m in held.server.sent[2].messages for b in m["content"]]
    assert [b["thinking"] for b in sent if b["type"] == "thinking"] == ["先查一下天气。", "好。"]


def test_another_models_thinking_is_left_out(held: Any) -> None:
    held.serve([Reply.text("First.", thinking="Hm."), Reply.text("Second.")])
    held.ask("One")
    held.ask("Two", model="claude-haiku-4-5")
    sent = [b["type"] for m in held.server.sent[1].messages for b in m["content"]]
    assert "thinking" not in sent


def test_a_list_that_holds_all_that_was_said_is_stored_once(held: Any) -> None:
    held.serve([Reply.text("Hello."), Reply.tool_use(("weather", {"city": "Oslo"})), "Sunny."])
    said: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    said.append({"role": "assistant", "content": held.ask(said).text})
    said.append({"role": "user", "content": "How is Oslo?"})
    said.append({"role": "assistant", "content": held.ask(said).text})
    held.serve(["Bye."])
    held.ask([*said, {"role": "user", "content": "Bye"}])
    assert [text for role, text in held.said if role == "user"] == ["Hi", "How is Oslo?", "Bye"]
    assert [text for role, text in held.said if role == "assistant" and text] == [
        "Hello.",
        "Sunny.",
        "Bye.",
    ]


def test_the_same_words_said_again_after_an_answer_are_new(held: Any) -> None:
    held.serve(["Fine.", "Still fine."])
    held.ask("Go on")
    assert held.ask("Go on").text == "Still fine."
    assert [text for _, text in held.said] == ["Go on", "Fine.", "Go on", "Still fine."]


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
@pytest.mark.parametrize("again", [True, False], ids=["same message", "another message"])
def test_a_turn_that_a_crash_cut_off_goes_on(held: Any, begun: bool, again: bool) -> None:
    """A crash behind the reply and before, or after, its call ran."""
    call = ToolCallPart("toolu_1", "weather", {"city": "Oslo"})
    reply = Message("assistant", (TextPart("Let me see."), call))
    held.serve(["Sunny."])
    held.memory.tools.add(held.weather)
    alice = held.of_alice
    alice.extend([Message("user", "How is Oslo?"), reply])
    if begun:
        alice.tools.run([call])  # its result did not get into the session
    assert held.ask("How is Oslo?" if again else "Never mind.").text == "Sunny."
    assert held.runs == (["Oslo"] if begun or again else [])
    (result,) = [r for m in held.of_alice.messages() for r in m.tool_results]
    assert result.is_error is not bool(held.runs)
    assert sum(role == "user" for role, _ in held.said) == (1 if again else 2)


def test_users_and_namespaces_never_meet(held: Any) -> None:
    held.serve(lambda request: json.dumps(request.messages, ensure_ascii=False))
    held.of_alice.remember("Alice's door code is 4711.", importance=0.9)
    alice = held.ask("What is the door code?")
    assert "4711" in alice.text
    for other in ({"user_id": "bob"}, {"namespace": "elsewhere"}):
        assert "4711" not in held.ask("What is the door code?", **other).text
    with pytest.raises(InvalidNamespaceError):
        held.ask("Hello", user_id="bob/../alice")


def test_what_is_recalled_is_data_in_the_users_turn(held: Any) -> None:
    held.of_alice.remember("用户喜欢喝绿茶。", importance=0.9)
    held.serve(["绿茶。", "绿茶。"])
    held.ask("我喜欢喝什么?")
    body = held.server.sent[0].body
    assert "绿茶" in json.dumps(body["messages"], ensure_ascii=False)
    assert "绿茶" not in json.dumps(body.get("system", ""), ensure_ascii=False)
    held.ask("我喜欢喝什么?", session_id="s2", recall=False)
    assert "绿茶" not in json.dumps(held.server.sent[1].body["messages"], ensure_ascii=False)


def test_conscious_memories_are_the_models_own(held: Any) -> None:
    held.serve([Reply.tool_use(("remember", {"content": "Alice is vegan."})), "Noted."])
    held.ask("I am vegan.", chat={"conscious": True})
    (record,) = held.of_alice.memories()
    assert record.content == "Alice is vegan."


@pytest.mark.parametrize("text", ["I am allergic to peanuts.", "我对花生过敏。"])
def test_automatic_memories_are_found_by_rules(text: str) -> None:
    with ModelServer(["Noted."]) as server:
        client = anthropic.Anthropic(api_key="test", base_url=server.url)
        with client, MemoryChat("memory:", client, model=MODEL, auto=True) as chat:
            chat.create_message("alice", "s1", text)
            found = chat.memory("alice", "s1").memories()
            assert [record.content for record in found] == [text]


@pytest.mark.parametrize("given", [[], [{"role": "assistant", "content": "Hi"}], 7])
def test_messages_must_end_with_the_users(held: Any, given: Any) -> None:
    held.serve(["Never."])
    with pytest.raises(InvalidMessageError):
        held.ask(given)
    assert held.said == []


def test_an_unknown_setting_is_refused_by_name(held: Any) -> None:
    held.serve(["Never."])
    with pytest.raises(InvalidValueError, match="temprature"):
        held.ask("Hello", temprature=0.5)
    with pytest.raises(InvalidValueError, match="max_tokens"):
        held.ask("Hello", options={"max_tokens": 5})


def test_options_are_passed_on(held: Any) -> None:
    held.serve(["Hi."])
    held.ask("Hello", options={"stop_sequences": ["END"], "metadata": {"user_id": "u1"}})
    assert held.server.sent[0].body["stop_sequences"] == ["END"]


# -- streams ---------------------------------------------------------------------------


def _client(server: ModelServer) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0)


def _chat(client: anthropic.Anthropic) -> MemoryChat:
    return MemoryChat("memory:", client, model=MODEL)


def noted(request: Any) -> str:
    return "Noted."


def weather(city: str) -> str:
    """Say the weather of a city."""
    return f"It is sunny in {city}."


def test_a_stream_tells_what_happens_in_order() -> None:
    called = Reply.tool_use(("weather", {"city": "Oslo"}), text="Let me see.", thinking="Hm.")
    with ModelServer([called, "It is sunny."]) as server, _client(server) as client:
        chat = MemoryChat("memory:", client, model=MODEL, tools=[weather])
        with chat, chat.create_message("alice", "s1", "Oslo?", stream=True) as stream:
            events = list(stream)
        kinds = [event.kind for event in events]
        order = list(dict.fromkeys(kinds))
        assert order == ["thinking", "text", "tool_call", "tool_result", "done"]
        text = "".join(event.text for event in events if event.kind == "text")
        assert text == "Let me see.It is sunny."
        assert stream.reply.text == "It is sunny."


def test_a_stream_that_is_closed_early_can_be_gone_on_with() -> None:
    script = ["One two three four five six.", "One two."]
    with ModelServer(script) as server, _client(server) as client, _chat(client) as chat:
        with chat.create_message("alice", "s1", "Count", stream=True) as stream:
            next(stream.text_stream)
        with pytest.raises(InvalidValueError):
            _ = stream.reply
        spent = chat.statistics("alice").usage
        assert spent.total_input > 0
        reply = chat.create_message("alice", "s1", "Count")
        assert [message.role for message in reply.messages] == ["assistant"]
        assert len(chat.memory("alice", "s1").messages()) == 2


def test_an_async_turn_that_is_cancelled_can_be_gone_on_with() -> None:
    async def talk() -> None:
        script = [Reply.text("Too late.", delay=20.0), Reply.text("In time.")]
        with ModelServer(script) as server:
            client = anthropic.AsyncAnthropic(api_key="test", base_url=server.url)
            async with client, AsyncMemoryChat("memory:", client, model=MODEL) as chat:
                turn = asyncio.create_task(chat.create_message("alice", "s1", "Hello"))
                while not chat.memory("alice", "s1").messages():
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
                turn.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await turn
                reply = await chat.create_message("alice", "s1", "Hello")
                assert reply.text == "In time."
                assert len(await chat.memory("alice", "s1").amessages()) == 2

    asyncio.run(talk())


def test_a_limit_holds_for_turns_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from ctxplug.errors import UsageLimitError
    from ctxplug.tokens.limits import UsageLimits

    limit = UsageLimits(daily_tokens=3_000)
    with ModelServer(lambda request: "Yes.") as server, _client(server) as client:
        memory = AgentMemory.open("memory:", namespace="test", limits=limit)
        chat = MemoryChat(memory, client, model=MODEL, max_tokens=500)

        def turn(i: int) -> str:
            try:
                return chat.create_message("alice", f"s{i}", "Are you there?").text
            except UsageLimitError:
                return "refused"

        with memory, ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(turn, range(16)))
            assert {"Yes.", "refused"} >= set(answers)
            assert answers.count("Yes.") == len(server.sent) >= 1
            assert chat.statistics("alice").usage.total <= 3_000


# -- what else a chat does ---------------------------------------------------------------


def test_search_clear_and_statistics() -> None:
    with ModelServer(noted) as server, _client(server) as client, _chat(client) as chat:
        chat.remember("alice", "Alice speaks Norwegian.", kind="preference")
        chat.create_message("alice", "s1", "The meeting is in Bergen.")
        assert "Bergen" in chat.search("alice", "meeting Bergen")[0].record.content
        assert chat.search("bob", "Bergen") == []
        stats = chat.statistics("alice")
        assert (stats.sessions, sum(stats.memories.values()), stats.calls) == (1, 1, 1)
        assert chat.clear("alice", "s1") is None
        assert chat.memory("alice", "s1").messages() == []
        assert chat.search("alice", "Norwegian")
        receipt = chat.clear("alice")
        assert receipt is not None
        assert chat.search("alice", "Norwegian Bergen") == []
        assert chat.create_message("alice", "s1", "Hello again").text == "Noted."
        assert len(chat.memory("alice", "s1").messages()) == 2


def test_the_async_chat_has_every_verb() -> None:
    async def talk() -> None:
        with ModelServer(lambda request: "Noted.") as server:
            client = anthropic.AsyncAnthropic(api_key="test", base_url=server.url)
            async with client, AsyncMemoryChat("memory:", client, model=MODEL) as chat:
                await chat.remember("alice", "Alice speaks Norwegian.")
                await chat.create_message("alice", "s1", "The meeting is in Bergen.")
                assert await chat.search("alice", "Norwegian")
                assert (await chat.statistics("alice")).calls == 1
                assert await chat.clear("alice", "s1") is None
                assert await chat.clear("alice") is not None
                assert await chat.search("alice", "Norwegian") == []

    asyncio.run(talk())


def test_without_a_model_nothing_is_sent() -> None:
    with ModelServer(["Never."]) as server, _client(server) as client:
        with MemoryChat("memory:", client) as chat, pytest.raises(InvalidValueError, match="model"):
            chat.create_message("alice", "s1", "Hello")
        assert server.sent == []


def test_a_memory_of_ones_own_says_itself_what_it_captures() -> None:
    with AgentMemory.open("memory:", namespace="test") as memory:
        client = anthropic.Anthropic(api_key="test")
        with client, pytest.raises(InvalidValueError, match="auto"):
            MemoryChat(memory, client, auto=True)


def test_a_failure_of_the_api_in_the_middle_of_a_stream_keeps_what_came() -> None:
    from ctxplug_anthropic import IncompleteReplyError

    from ctxplug.testing.model_server import Broken

    said = Reply.text("One two three four five six seven eight nine ten.")
    with ModelServer([Broken("cut", said), Failure.overloaded()]) as server:
        client = _client(server)
        with client, _chat(client) as chat, pytest.raises(IncompleteReplyError) as error:
            list(chat.create_message("alice", "s1", "Count", stream=True))
        assert error.value.partial
        assert said.content[0]["text"].startswith(error.value.partial)
