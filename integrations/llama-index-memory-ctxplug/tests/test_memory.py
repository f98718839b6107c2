"""CtxplugMemory: windows in budget, recalled for once a turn, in copies, for what is new."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ctxplug_llamaindex import (
    CtxplugAsyncChatStore,
    CtxplugChatStore,
    CtxplugMemory,
    CtxplugMemoryBlock,
    CtxplugRetriever,
    CtxplugToolSpec,
)
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.llms.mock import MockLLM
from llama_index.core.workflow import JsonSerializer

from ctxplug import AgentMemory, BudgetError, Message, hookimpl
from ctxplug.access.guarding import beneath
from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import CannotOpenError, InvalidMessageError, InvalidValueError
from ctxplug.plugins import Plugins
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.children import run_python
from ctxplug.tokens.counter import count_tools

BLOCK = "<recalled_memories>"
OPENED: tuple[Callable[..., Any], ...] = (
    CtxplugMemory,
    CtxplugMemory.from_defaults,
    CtxplugMemoryBlock,
    CtxplugChatStore,
    CtxplugAsyncChatStore,
    CtxplugRetriever,
    CtxplugToolSpec,
)


def user(text: str) -> ChatMessage:
    return ChatMessage(text, role="user")


def assistant(text: str) -> ChatMessage:
    return ChatMessage(text, role="assistant")


def exchange(id: str, text: str = "晴") -> list[ChatMessage]:
    """A call and its result."""
    call = ToolCallBlock(tool_call_id=id, tool_name="look_up", tool_kwargs={"city": "里斯本"})
    return [
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(text, role="tool", additional_kwargs={"tool_call_id": id}),
    ]


def texts(messages: Sequence[ChatMessage]) -> list[str]:
    return [message.content or "" for message in messages]


@pytest.fixture(params=["memory:", "file"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CtxplugMemory]:
    target = "memory:" if request.param == "memory:" else tmp_path / "a.db"
    with CtxplugMemory(target, namespace="acme/安娜", session="trip", budget=4_000) as made:
        yield made


# -- what every memory does ----------------------------------------------------------------


def test_what_is_put_is_what_is_got(memory: CtxplugMemory) -> None:
    said = [
        ChatMessage("简短回答。", role="system"),
        user("What is the weather in Lisbon? 里斯本天气如何？"),
        *exchange("c1"),
        assistant("晴，24°C."),
    ]
    memory.put(said[0])
    memory.put_messages(said[1:])
    assert memory.get_all() == said
    assert memory.get() == said
    assert memory.get("anything", some_block_keyword=1) == said
    memory.reset()
    assert memory.get_all() == memory.get() == []
    assert [len(memory.memory.session.log(kept=kept)) for kept in (True, False)] == [0, 5]


async def test_every_verb_has_its_twin(memory: CtxplugMemory) -> None:
    said = [user("你好"), assistant("Hello")]
    await memory.aput(said[0])
    await memory.aput_messages(said[1:])
    assert await memory.aget_all() == await memory.aget() == said
    assert await memory.aget(input=user("还有呢")) == said
    await memory.aset(said[:1])
    assert await memory.aget_all() == said[:1]
    await memory.areset()
    assert await memory.aget() == []


def test_nothing_put_is_nothing_written(memory: CtxplugMemory) -> None:
    memory.put_messages([])
    asyncio.run(memory.aput_messages([]))
    memory.set([])
    assert memory.memory.session.head == 0
    assert memory.get() == [] == asyncio.run(memory.aget("hello"))


def test_several_messages_are_stored_all_or_none(memory: CtxplugMemory) -> None:
    with pytest.raises(InvalidMessageError, match="no ChatMessage"):
        memory.put_messages([user("a"), "b"])  # type: ignore[list-item]
    assert memory.get_all() == []


def test_an_empty_memory_is_not_false(memory: CtxplugMemory) -> None:
    assert memory or pytest.fail("it would be replaced by another memory")


@pytest.mark.parametrize("read", [lambda m: m.get(), lambda m: m.get_all()])
def test_what_is_handed_out_may_be_changed(memory: CtxplugMemory, read: Callable[..., Any]) -> None:
    said = [user("你好"), *exchange("c1"), assistant("Hello")]
    memory.put_messages(copy.deepcopy(said))
    for _ in range(2):
        got = read(memory)
        assert got == said
        for message in got:
            message.role = "system"
            message.additional_kwargs["x"] = 1
            message.blocks.append(TextBlock(text="state"))
        got[0].blocks[0].text = "changed"
        got[1].blocks[0].tool_kwargs["city"] = "Porto"
        got.clear()


def test_what_was_put_may_be_changed_after(memory: CtxplugMemory) -> None:
    message = user("a")
    memory.put(message)
    message.blocks[0].text = "b"
    waiting = [assistant("c")]

    async def change() -> None:
        put = asyncio.ensure_future(memory.aput_messages(waiting))
        await asyncio.sleep(0)
        waiting[0].blocks[0].text = "d"
        await put

    asyncio.run(change())
    assert texts(memory.get_all()) == ["a", "c"]


def test_a_copy_is_the_same_memory(memory: CtxplugMemory) -> None:
    for same in (copy.deepcopy(memory), copy.copy(memory), copy.deepcopy({"memory": [memory]})):
        found = same["memory"][0] if isinstance(same, dict) else same
        assert found is memory


def test_from_any_thread_and_loop(memory: CtxplugMemory) -> None:
    faults: list[BaseException] = []

    def in_thread(n: int) -> None:
        try:
            memory.put(user(f"{n}-0"))
            asyncio.run(in_loop(n))
        except BaseException as exc:
            faults.append(exc)

    async def in_loop(n: int) -> None:
        await asyncio.gather(*(memory.aput(user(f"{n}-{k}")) for k in (1, 2)))
        await memory.aget()
        memory.put(user(f"{n}-3"))  # the sync verbs in a running loop
        memory.get()

    threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert sorted(texts(memory.get_all())) == sorted(f"{n}-{k}" for n in range(8) for k in range(4))


# -- setting a history ---------------------------------------------------------------------


def test_a_history_that_is_set_again_is_not_stored_again(memory: CtxplugMemory) -> None:
    history = [
        user("我叫安娜"),
        assistant("你好，安娜"),
        user("a"),
        *exchange("c1"),
        assistant("b"),
    ]
    for length in (2, 2, 6):  # as an agent does with the caller's chat_history at each run
        memory.set(history[:length])
        assert memory.get_all() == history[:length]
    assert memory.memory.session.head == 6, "it went on without an edit"
    memory.set(history[2:])
    assert memory.get_all() == history[2:]
    assert len(memory.memory.session.log(kept=False)) == 6


def test_setting_replaces_and_what_left_is_not_recalled(memory: CtxplugMemory) -> None:
    memory.set([user("The code is 4711."), assistant("Noted.")])
    memory.set([user("The code is 4712."), assistant("Noted.")])
    assert texts(memory.get_all()) == ["The code is 4712.", "Noted."]
    found = [one.record.content for one in memory.memory.recall("What is the code?")]
    assert "The code is 4712." in found and "The code is 4711." not in found
    assert len(memory.memory.session.log(kept=False)) == 4


def test_a_history_of_which_a_part_was_changed_keeps_what_comes_before(
    memory: CtxplugMemory,
) -> None:
    memory.set([user("a"), assistant("b"), user("c"), assistant("d")])
    ids = [message.id for message in memory.memory.messages()]
    memory.set([user("a"), assistant("b"), user("C"), assistant("d")])
    assert texts(memory.get_all()) == ["a", "b", "C", "d"]
    assert [message.id for message in memory.memory.messages()][:2] == ids[:2]


def test_setting_while_others_write_loses_nothing_of_what_is_set(memory: CtxplugMemory) -> None:
    memory.set([user("a"), assistant("b")])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            memory.put(user("other"))
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(10):
            memory.set([user(f"set {n}"), assistant(f"answer {n}")])
    finally:
        stop.set()
        writer.join()
    assert texts(memory.get_all())[:2] == ["set 9", "answer 9"]
    assert {*texts(memory.get_all())[2:]} <= {"other"}


def test_what_is_pinned_stays_so_when_it_is_set_again(memory: CtxplugMemory) -> None:
    memory.memory.add(Message("user", "Never book flights.", pinned=True, metadata={"a": 1}))
    memory.put(assistant("b"))
    memory.set([user("Never book flights."), assistant("c")])
    first = memory.memory.messages()[0]
    assert first.pinned and first.metadata == {"a": 1}


# -- windows -------------------------------------------------------------------------------


def test_every_window_is_within_budget_and_calls_count() -> None:
    memory = CtxplugMemory.from_defaults(token_limit=1_500, model="gpt-4o")
    memory.put(ChatMessage("Answer briefly. 简短回答。", role="system"))
    for n in range(40):
        long = {"query": f"{n} " + "word " * 60, "城市": "里斯本" * 20}
        call = ToolCallBlock(tool_call_id=f"c{n}", tool_name="look_up", tool_kwargs=long)
        memory.put(user(f"Question {n}: 第{n}个问题"))
        memory.put_messages([ChatMessage(role="assistant", blocks=[call]), exchange(f"c{n}")[1]])
        memory.put(assistant(f"Answer {n}"))
        got = memory.get()
        assert sum(map(len, texts(got))) and texts(got)[-1] == f"Answer {n}"
        counter = memory.memory.counter
        assert sum(len(memory.tokenizer_fn(str(m))) for m in got) <= 1_500
        window = memory.memory.context()
        assert counter.request_tokens + sum(map(counter.count, window.messages)) <= 1_500
        assert got[0].content == "Answer briefly. 简短回答。"
        asked = [b.tool_call_id for m in got for b in m.blocks if isinstance(b, ToolCallBlock)]
        given = [m.additional_kwargs["tool_call_id"] for m in got if m.role == "tool"]
        assert asked == given
    assert len(got) < 40


def test_what_cannot_fit_is_an_error_with_the_numbers() -> None:
    memory = CtxplugMemory.from_defaults(token_limit=200, model="gpt-4o")
    memory.put(user("word " * 500))
    with pytest.raises(BudgetError) as caught:
        memory.get()
    assert caught.value.budget <= 200 < caught.value.needed


def test_tokens_that_stand_before_the_history_are_left_free() -> None:
    memory = CtxplugMemory.from_defaults(token_limit=1_000, model="gpt-4o", recall=False)
    for n in range(30):
        memory.put_messages([user(f"{n} " + "word " * 20), assistant("ok")])
    count = memory.memory.counter.count
    sizes = []
    for spare in (0, 600):
        memory.get(initial_token_count=spare)
        messages = memory.memory.context(reserved=spare).messages
        sizes.append(sum(map(count, messages)))
        assert len(memory.get(initial_token_count=spare)) == len(messages)
        assert sizes[-1] + spare <= 1_000
    assert sizes[1] < sizes[0]


def test_what_is_expected_beside_is_counted_and_not_given() -> None:
    system = "Answer briefly. 简短回答。" * 20
    tools = [{"name": "look_up", "description": "Looks up. " * 20, "input_schema": {}}]
    memory = CtxplugMemory.from_defaults(token_limit=1_000, model="gpt-4o", recall=False)
    memory.expect(system, tools)
    counter = memory.memory.counter
    beside = counter.count(Message("system", system)) + count_tools(counter, tools)
    assert beside > 200
    most = 0
    for n in range(30):
        memory.put_messages([user(f"{n} " + "word " * 20), assistant("ok")])
        got = memory.get()
        window = memory.memory.context(system=system, tools=tools)
        assert texts(got) == [message.text for message in window.messages[1:]]
        most = max(most, window.tokens)
    assert 800 < most <= 1_000
    memory.expect()
    assert texts(memory.get()) == [message.text for message in memory.memory.context().messages]


def test_before_a_user_has_said_anything_what_fits_is_given() -> None:
    memory = CtxplugMemory.from_defaults(token_limit=100, model="gpt-4o")
    memory.put_messages([ChatMessage("简短。", role="system"), assistant("您好！有什么可以帮您？")])
    assert texts(memory.get()) == texts(memory.get("Hi")) == ["简短。", "您好！有什么可以帮您？"]
    memory.put_messages([*exchange("c1", "word " * 90), assistant("word " * 60)])
    assert texts(memory.get()) == ["简短。", "word " * 60]
    memory.put(ChatMessage("word " * 90, role="system"))
    with pytest.raises(BudgetError, match="The system messages"):
        memory.get()


# -- recall --------------------------------------------------------------------------------


@pytest.fixture
def remembering(memory: CtxplugMemory) -> CtxplugMemory:
    memory.memory.remember("Anna is allergic to peanuts.")
    memory.memory.remember("安娜住在里斯本。")
    return memory


def recalls(memory: CtxplugMemory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store is searched for from now on."""
    asked: list[str] = []
    backend = beneath(memory.memory.backend)

    def counting(name: str) -> Callable[..., Any]:
        plain = getattr(backend, name)

        def counted(*args: Any, **options: Any) -> Any:
            asked.append(name)
            return plain(*args, **options)

        return counted

    for name in ("search", "glance", "occurrences"):
        monkeypatch.setattr(backend, name, counting(name))
    return asked


@pytest.mark.parametrize(
    ("asked", "found"),
    [("Which allergies does Anna have?", "allergic to peanuts"), ("安娜住在哪里？", "住在里斯本")],
)
def test_what_is_recalled_stands_as_data_in_the_user_s_turn(
    remembering: CtxplugMemory, asked: str, found: str
) -> None:
    remembering.put_messages([user("hello"), assistant("hi"), user(asked)])
    turn = remembering.get()[-1]
    (text,) = turn.blocks  # one text, or agents write their state into the block alone
    question, _, block = text.text.partition("\n\n")
    assert (turn.role, question) == ("user", asked)
    assert block.startswith(BLOCK) and found in block
    assert texts(remembering.get_all())[-1] == asked, "nobody said the block"


def test_it_is_recalled_once_a_turn_however_often_it_is_read(
    remembering: CtxplugMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recalls(remembering, monkeypatch)
    remembering.put(user("Which allergies does Anna have?"))
    first = remembering.get()  # as agents read: mostly without an input, once with it
    searches = len(asked)
    assert searches
    assert remembering.get("Which allergies does Anna have?") == first
    assert asyncio.run(remembering.aget(input=user("Which allergies does Anna have?"))) == first
    remembering.put_messages(exchange("c1"))
    assert remembering.get(input="Which allergies does Anna have?")[:1] == first
    assert len(asked) == searches
    remembering.put_messages([assistant("Peanuts."), user("Where does she live?")])
    remembering.get()
    assert len(asked) > searches


def test_a_turn_for_which_nothing_is_found_is_looked_up_once(
    memory: CtxplugMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recalls(memory, monkeypatch)
    memory.put(user("zzz qqq"))
    memory.get()
    searches = len(asked)
    assert memory.get() == [user("zzz qqq")] and len(asked) == searches


def test_an_engine_that_reads_first_has_it_at_the_end_and_it_is_not_stored(
    remembering: CtxplugMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recalls(remembering, monkeypatch)
    for history in ([], [user("hello"), assistant("hi")]):
        remembering.set(history)
        for _ in range(2):  # context engines read, answer, and only then put
            *before, last = remembering.get(input="Which allergies does Anna have?")
            assert before == history
            assert last.role == "user" and last.content.startswith(BLOCK)  # type: ignore[union-attr]
            assert "peanuts" in str(last)
        searches = len(asked)
        last.blocks[0].text = "changed"
        again = remembering.get(input="Which allergies does Anna have?")
        assert "peanuts" in str(again[-1]) and len(asked) == searches
        assert remembering.get_all() == history
    remembering.put_messages([user("Which allergies does Anna have?"), assistant("Peanuts.")])
    assert BLOCK not in str(texts(remembering.get()))


def test_the_message_that_is_to_come_has_its_room() -> None:
    memory = CtxplugMemory.from_defaults(token_limit=1_000, model="gpt-4o")
    for n in range(30):
        memory.put_messages([user(f"{n} " + "word " * 20), assistant("ok")])
    coming = "question " * 300
    got = memory.get(input=coming)
    count = memory.memory.counter.count
    sent = [Message(m.role.value, m.content or "") for m in [*got, user(coming)]]
    assert sum(map(count, sent)) + memory.memory.counter.request_tokens <= 1_000
    with pytest.raises(BudgetError):
        memory.get(input="question " * 1_200)


def test_recall_can_be_left_off(remembering: CtxplugMemory) -> None:
    plain = CtxplugMemory(remembering.memory, recall=False)
    plain.put(user("Which allergies does Anna have?"))
    assert plain.get() == plain.get_all() == plain.get("Which allergies does Anna have?")
    plain.put(assistant("None."))
    assert plain.get("Which allergies does Anna have?") == plain.get_all()


# -- what it costs -------------------------------------------------------------------------


class Counting:
    """A tokenizer that is one token a character, and counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, text: str) -> list[str]:
        self.calls.append(text)
        return list(text)


def test_tokens_are_counted_once_for_each_message() -> None:
    tokenizer = Counting()
    memory = CtxplugMemory.from_defaults(
        token_limit=20_000, tokenizer_fn=tokenizer, policy=ContextPolicy(high=1.0), recall=False
    )
    memory.get()
    tokenizer.calls.clear()
    for n in range(200):
        memory.put(user(f"问题 {n}") if n % 2 == 0 else assistant(f"answer {n}"))
        for _ in range(3):
            assert len(memory.get()) == n + 1
    assert len(tokenizer.calls) == 200
    assert memory.memory.context().tokens == memory.memory.counter.request_tokens + sum(
        4 + len(text) for text in tokenizer.calls
    )


@pytest.mark.parametrize("target", ["memory:", "file"])
def test_put_and_get_read_as_little_of_a_long_log_as_of_a_short_one(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "memory:" if target == "memory:" else tmp_path / "a.db"
    read: list[int] = []

    def costs(stored: int) -> int:
        with CtxplugMemory(
            place, namespace="acme", session=str(stored), budget=4_000, recall=False
        ) as memory:
            memory.put_messages(
                [user(f"{n} 问题") if n % 2 == 0 else assistant("word " * 8) for n in range(stored)]
            )
            memory.get()
            backend = beneath(memory.memory.backend)
            plain = backend.read

            def counted(*args: Any, **options: Any) -> Any:
                found = plain(*args, **options)
                read.append(1 + len(found))
                return found

            with monkeypatch.context() as patch:
                patch.setattr(backend, "read", counted)
                read.clear()
                for n in range(10):
                    memory.put(user(f"{n} more"))
                    memory.get()
            return sum(read)

    short, long = costs(40), costs(3_000)
    assert 0 < long <= short + 5 < 10 * 12


def test_a_message_is_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctxplug_llamaindex.turns as turns

    memory = CtxplugMemory.from_defaults(token_limit=20_000, recall=False)
    converted: list[Message] = []

    def counted(messages: Any) -> Any:
        found = list(messages)
        converted.extend(found)
        return plain(found)

    plain = turns.from_messages
    monkeypatch.setattr(turns, "from_messages", counted)
    for n in range(30):
        memory.put(user(f"a {n}"))
        memory.get()
    assert len(converted) == 30


def test_any_text_can_be_counted() -> None:
    def strict(text: str) -> list[int]:  # as tiktoken's own `encode`
        if "<|endoftext|>" in text:
            raise ValueError("Encountered text corresponding to disallowed special token")
        return list(text.encode())

    memory = CtxplugMemory.from_defaults(token_limit=1_000, tokenizer_fn=strict)
    said = "<|endoftext|> 里 <|im_start|>"
    memory.put_messages([user(said), assistant("\ud800 half")])
    assert len(memory.get()) == 2
    tokens = memory.memory.context().tokens - memory.memory.counter.request_tokens
    assert 2 * 4 + len(said.encode()) + 6 <= tokens <= 2 * 4 + len(said.encode()) + 12
    assert memory.tokenizer_fn is strict
    assert len(CtxplugMemory.from_defaults(model="gpt-4o").tokenizer_fn("里斯本 Lisbon")) > 2


def test_two_tokenizers_of_one_name_are_two_counters() -> None:
    names = {
        CtxplugMemory.from_defaults(tokenizer_fn=fn).memory.counter.name
        for fn in (lambda text: text.split(), lambda text: list(text), lambda text: list(text))
    }
    assert len(names) == 2


# -- how it is opened ----------------------------------------------------------------------


def test_the_keywords_of_llamaindex_s_own_memories() -> None:
    llm = MockLLM()
    history = [user("a"), assistant("b")]
    memory = CtxplugMemory.from_defaults(chat_history=history, llm=llm)
    assert memory.get_all() == history
    assert memory.memory.budget == int(0.75 * llm.metadata.context_window)
    assert CtxplugMemory.from_defaults(llm=llm, token_limit=500).memory.budget == 500
    assert CtxplugMemory.from_defaults(session_id="s").memory.scope.session == "s"
    own = CtxplugMemory.from_defaults()
    assert own.memory.scope.session != CtxplugMemory.from_defaults().memory.scope.session


def test_an_engine_s_empty_history_does_not_end_a_session(tmp_path: Path) -> None:
    place = {"namespace": "acme", "session": "s"}
    with CtxplugMemory.from_defaults(tmp_path / "a.db", **place) as memory:
        memory.put(user("你好"))
    with CtxplugMemory.from_defaults(tmp_path / "a.db", chat_history=[], **place) as memory:
        assert texts(memory.get_all()) == ["你好"]


@pytest.mark.parametrize("opened", OPENED)
def test_a_store_of_many_needs_to_know_whose_memory_it_is(
    opened: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match="say whose this is with namespace="):
        opened(tmp_path / "a.db")
    assert opened("memory:").memory.scope.namespace == ("default",), "nobody else has it"


def test_a_memory_that_is_open_takes_no_settings() -> None:
    with pytest.raises(InvalidValueError, match="is open already, so budget cannot be set here"):
        CtxplugMemory(AgentMemory.open(namespace="acme"), budget=100)


def test_beside_a_memory_that_is_open() -> None:
    base = AgentMemory.open(namespace="acme", session="s", budget=3_000)
    same = CtxplugMemory.from_defaults(base)
    assert same.memory is base
    other = CtxplugMemory.from_defaults(base, session_id="t", token_limit=500)
    assert (other.memory.scope.session, other.memory.budget) == ("t", 500)
    smaller = CtxplugMemory.from_defaults(base, token_limit=400)
    assert (smaller.memory.scope.session, smaller.memory.budget) == ("s", 400)
    beside = same.beside(session="u", namespace="acme/bo", budget=700)
    assert beside.memory.scope.namespace == ("acme", "bo")
    same.put(user("a"))
    assert texts(smaller.get_all()) == ["a"] and not other.get_all() and not beside.get_all()
    same.close()
    assert texts(same.get_all()) == ["a"], "it was given, so it stays open"


def test_what_was_opened_here_is_closed_here(tmp_path: Path) -> None:
    memory = CtxplugMemory(tmp_path / "a.db", namespace="acme")
    asyncio.run(memory.aclose())
    with pytest.raises(Exception, match="was closed"):
        memory.get()


# -- as JSON -------------------------------------------------------------------------------

READ = """
import json, sys
from ctxplug_llamaindex import (
    CtxplugAsyncChatStore,
    CtxplugChatStore,
    CtxplugMemory,
    CtxplugMemoryBlock,
    CtxplugRetriever,
    CtxplugToolSpec,
)
memory = CtxplugMemory.from_dict(json.loads(sys.argv[1]))
memory.put(memory.get()[0])
facts = memory.memory
print(json.dumps([len(memory.get_all()), facts.budget, facts.policy.high, facts.scope.agent,
                  facts.counter.name, memory.to_dict() | {"live": ""}]))
"""


def test_it_is_found_again_in_another_process(tmp_path: Path) -> None:
    memory = CtxplugMemory(
        tmp_path / "里.db",
        namespace=("acme", "安娜"),
        session="trip",
        agent="planner",
        budget=3_000,
        model="gpt-4o",
        policy=ContextPolicy(high=0.8, keep_tools=("f",)),
        counter="estimate:cl100k",
        recall=False,
    )
    memory.put_messages([user("你好"), assistant("hello")])
    data = memory.to_dict()
    assert data["recall"] is False
    assert data["class_name"] == "CtxplugMemory" and "你好" not in json.dumps(data)
    assert json.loads(json.dumps(data)) == data == memory.model_dump() == memory.dict()
    count, budget, high, agent, counter, again = json.loads(run_python(READ, json.dumps(data)))
    assert (count, budget, high, agent, counter) == (3, 3_000, 0.8, "planner", "estimate:cl100k")
    assert again == data | {"live": ""}
    assert texts(memory.get_all()) == ["你好", "hello", "你好"]


def test_a_workflow_s_context_holds_it_as_json(tmp_path: Path) -> None:
    memory = CtxplugMemory(tmp_path / "a.db", namespace="acme", session="s")
    memory.put(user("你好"))
    text = JsonSerializer().serialize({"memory": memory})
    found = JsonSerializer().deserialize(text)["memory"]
    assert type(found) is CtxplugMemory and found.get_all() == [user("你好")]
    assert "你好" not in text


def test_a_found_memory_does_not_end_with_the_one_it_was(tmp_path: Path) -> None:
    memory = CtxplugMemory(tmp_path / "a.db", namespace="acme", session="s")
    memory.put(user("你好"))
    found = CtxplugMemory.from_dict(memory.to_dict())
    third = pickle.loads(pickle.dumps(found))
    memory.close()
    found.put(assistant("hello"))
    found.close()
    assert texts(third.get_all()) == ["你好", "hello"]


def test_a_store_in_memory_is_found_in_its_own_process_while_it_is_in_use() -> None:
    memory = CtxplugMemory.from_defaults(session_id="s", token_limit=900)
    memory.put(user("你好"))
    data = json.loads(json.dumps(memory.to_dict()))
    found = CtxplugMemory.from_dict(data)
    found.close()
    found = CtxplugMemory.from_dict(data)
    assert texts(found.get_all()) == ["你好"] and found.memory.budget == 900
    beside = found.beside(session="t")
    del memory, found
    assert texts(CtxplugMemory.from_dict(data).get_all()) == ["你好"], "one beside it is in use"
    assert CtxplugMemory.from_dict(beside.to_dict()).memory.scope.session == "t"
    del beside
    gc.collect()
    for gone in (data, {**data, "live": "of another process"}):
        with pytest.raises(CannotOpenError, match="only its own process has"):
            CtxplugMemory.from_dict(gone)


def test_a_store_in_memory_that_was_closed_is_not_found() -> None:
    memory = CtxplugMemory.from_defaults()
    data = memory.to_dict()
    memory.close()
    with pytest.raises(CannotOpenError, match="only its own process has"):
        CtxplugMemory.from_dict(data)


def test_a_tokenizer_is_kept_in_the_process_and_missed_in_another(tmp_path: Path) -> None:
    memory = CtxplugMemory(tmp_path / "a.db", namespace="acme", tokenizer_fn=Counting())
    data = memory.to_dict()
    assert data["lost"] == ["counter"]
    found = CtxplugMemory.from_dict(data)
    assert found.memory.counter is memory.memory.counter
    elsewhere = {**data, "live": "of another process"}
    with pytest.warns(UserWarning, match="opened with counter that JSON cannot hold"):
        CtxplugMemory.from_dict(elsewhere)
    given = CtxplugMemory.from_dict(elsewhere, tokenizer_fn=Counting())
    assert given.memory.counter.name == memory.memory.counter.name


def test_a_memory_on_a_backend_of_one_s_own_is_found_by_its_path_or_in_the_process(
    tmp_path: Path,
) -> None:
    on_path = CtxplugMemory(SqliteBackend(tmp_path / "a.db"), namespace="acme")
    assert on_path.to_dict()["target"] == str(tmp_path / "a.db")
    memory = CtxplugMemory(InMemoryBackend(), namespace="acme", session="s")
    memory.put(user("a"))
    assert memory.to_dict()["target"] is None
    assert texts(CtxplugMemory.from_dict(memory.to_dict()).get_all()) == ["a"]


class _Hiding:
    @hookimpl
    def redact(self, text: str) -> str:
        return text.replace("4711", "****")


def test_what_a_plugin_hides_is_in_no_window_and_no_copy(tmp_path: Path) -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(_Hiding(), "hiding")
    memory = CtxplugMemory(tmp_path / "a.db", namespace="acme", plugins=plugins)
    call = ToolCallBlock(tool_call_id="c1", tool_name="f", tool_kwargs={"pin": "4711"})
    memory.put_messages([user("pin 4711"), ChatMessage(role="assistant", blocks=[call])])
    assert "4711" not in repr(memory.get()) + repr(memory.get_all())
