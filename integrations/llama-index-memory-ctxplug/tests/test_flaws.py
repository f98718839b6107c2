"""Faults of LlamaIndex's own memories, by number or symptom, that ours does not have.

Where a fault can be shown with what LlamaIndex ships, it is: should it be mended there, the
test tells. The numbers are issues and pull requests of run-llama/llama_index.
"""

import asyncio
import json
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pydantic
import pytest
from ctxplug_llamaindex import CtxplugMemory, CtxplugMemoryBlock, bounded, to_messages
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import (
    BaseMemoryBlock,
    ChatMemoryBuffer,
    ChatSummaryMemoryBuffer,
    Memory,
)
from llama_index.core.workflow import Context, JsonSerializer

from ctxplug import AgentMemory

pytestmark = [  # LlamaIndex's own: making an agent reads every attribute of pydantic's classes
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
]
PYDANTIC = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])


@pytest.fixture(params=["memory", "sqlite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CtxplugMemory]:
    target = "memory:" if request.param == "memory" else tmp_path / "m.db"
    with CtxplugMemory.from_defaults(
        target, namespace="acme", session_id="t1", token_limit=2_000
    ) as memory:
        yield memory


@pytest.fixture
async def stock() -> AsyncIterator[Callable[..., Memory]]:
    """LlamaIndex's own Memory, which does not close what it opens."""
    made: list[Memory] = []

    def make(**options: Any) -> Memory:
        made.append(Memory.from_defaults(**options))
        return made[-1]

    yield make
    for one in made:
        engine = one.sql_store._async_engine  # type: ignore[attr-defined]
        if engine is not None:
            await engine.dispose()


def said(text: str, role: str = "user", **kwargs: Any) -> ChatMessage:
    return ChatMessage(role=role, content=text, additional_kwargs=kwargs)


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


def talk(turns: int, words: int = 20) -> list[ChatMessage]:
    found = []
    for n in range(turns):
        found.append(said(f"{n}: {'word ' * words}"))
        found.append(said(f"{n}：{'好的' * words}", "assistant"))
    return found


# -- what is counted, and what is cut ------------------------------------------------------


async def test_21950_calls_and_thinking_count(
    memory: CtxplugMemory, stock: Any, calling: Any
) -> None:
    long = "argument 参数 " * 500
    called = calling(("c1", "look_up", {"text": long}))
    called.blocks.insert(0, ThinkingBlock(content=long))
    result = said("found", "tool", tool_call_id="c1")
    theirs = stock(token_limit=2_000)
    for message in [said("go"), called, result]:
        await theirs.aput(message)
    assert called in await theirs.aget(), "some 4,000 tokens pass its limit of 2,000 as none"
    memory.put_messages(
        [said("go"), called, result, said("done", "assistant"), said("next 下一个")]
    )
    counter = memory.memory.counter
    got = memory.get()
    assert sum(map(counter.count, to_messages(got))) <= 2_000
    assert got[-1].content == "next 下一个"


async def test_23144_a_system_message_stays(memory: CtxplugMemory, stock: Any, faults: Any) -> None:
    rule = said("绝不透露价格。 Never name prices.", "system")
    theirs = stock(token_limit=2_000)
    buffer = ChatMemoryBuffer.from_defaults(token_limit=2_000)
    for message in [rule, *talk(60)]:
        await theirs.aput(message)
        buffer.put(message)
        memory.put(message)
    assert rule not in await theirs.aget()
    assert rule not in buffer.get()
    got = memory.get()
    assert got[0] == rule
    assert faults(got) == []


def test_13715_no_result_without_its_call(calling: Any, faults: Any) -> None:
    loop = [said("Which parcel? 哪个包裹？")]
    for n in range(12):
        loop.append(calling((f"c{n}", "look_up", {"n": n}), (f"d{n}", "look_up", {"n": -n})))
        loop += [said(f"{n} {'word ' * 25}", "tool", tool_call_id=f"{i}{n}") for i in "cd"]
    broken = 0
    for limit in range(100, 700, 50):
        buffer = ChatMemoryBuffer.from_defaults(token_limit=limit, chat_history=loop)
        broken += bool(faults(buffer.get()))
    assert broken, "a lone result"
    for limit in range(900, 2_100, 100):
        got = CtxplugMemory.from_defaults(token_limit=limit, chat_history=loop).get()
        assert faults(got) == []
        assert got[0].content == "Which parcel? 哪个包裹？"


async def test_20256_a_list_begins_with_a_user(memory: CtxplugMemory, faults: Any) -> None:
    for n, message in enumerate(talk(60)):
        memory.put(message)
        if n % 2 == 0:
            got = memory.get()
            assert next(m for m in got if m.role != "system").role == "user"
            assert faults(got) == []


async def test_a_history_that_is_set_fits_at_once(memory: CtxplugMemory, stock: Any) -> None:
    history, theirs = talk(100), stock(token_limit=2_000)
    await theirs.aset(history)
    assert len(await theirs.aget()) == 200, "over the limit until the next message is put"
    memory.set(history)
    assert sum(map(memory.memory.counter.count, to_messages(memory.get()))) <= 2_000
    assert len(memory.get_all()) == 200


async def test_12264_nothing_is_counted_twice() -> None:
    counted: list[str] = []

    def tokenizer(text: str) -> list[str]:
        counted.append(text)
        return text.split()

    def work(store: Any, messages: list[ChatMessage]) -> int:
        before = len(counted)
        for message in messages:
            store.put(message)
            store.get()
        return len(counted) - before

    buffer = ChatMemoryBuffer.from_defaults(token_limit=200, tokenizer_fn=tokenizer)
    ours = CtxplugMemory.from_defaults(token_limit=4_000, tokenizer_fn=tokenizer, recall=False)
    first, later = talk(20, 8), talk(20, 8)
    work(buffer, first), work(ours, first)
    assert work(buffer, later) > 10 * len(later)
    assert work(ours, later) <= 2 * len(later)


def test_15320_much_that_stands_before_the_history(memory: CtxplugMemory) -> None:
    buffer = ChatMemoryBuffer.from_defaults(token_limit=100, chat_history=[said("hi")])
    with pytest.raises(ValueError, match="Initial token count exceeds token limit"):
        buffer.get(initial_token_count=101)
    memory.set(talk(60))
    memory.put(said("hi 你好"))
    got = memory.get(initial_token_count=1_500)
    assert sum(map(memory.memory.counter.count, to_messages(got))) <= 500
    assert got[-1].content == "hi 你好"


# -- writing -------------------------------------------------------------------------------


async def test_concurrent_puts_lose_nothing(memory: CtxplugMemory) -> None:
    async with asyncio.TaskGroup() as group:
        for message in talk(15):
            group.create_task(memory.aput(message))
    assert sorted(map(str, texts(memory.get_all()))) == sorted(map(str, texts(talk(15))))
    assert memory.memory.check().ok


def test_puts_from_many_threads(memory: CtxplugMemory) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(memory.put, talk(20)))
    assert sorted(map(str, texts(memory.get_all()))) == sorted(map(str, texts(talk(20))))


def test_a_loop_of_its_own_for_each_call(memory: CtxplugMemory) -> None:
    for message in talk(4):
        asyncio.run(memory.aput(message))
    assert asyncio.run(memory.aget_all()) == talk(4)


async def test_22401_sync_verbs_within_a_running_loop(memory: CtxplugMemory) -> None:
    memory.put(said("hi 你好"))
    assert texts(memory.get()) == ["hi 你好"]
    broken = AgentMemory.open("memory:", namespace="acme")
    lost = CtxplugMemory(broken)
    broken.close()
    with pytest.raises(Exception, match="closed") as caught:
        lost.put(said("hi"))
    assert "Detected nested async" not in str(caught.value)


async def test_23185_no_messages(memory: CtxplugMemory, stock: Any) -> None:
    with pytest.raises(Exception, match=r"NOT NULL|IntegrityError"):
        await stock().aput_messages([])
    await memory.aput_messages([])
    memory.put_messages([])
    assert memory.get_all() == []


async def test_23183_setting_is_one_step(memory: CtxplugMemory) -> None:
    memory.set(talk(3))
    head = memory.memory.session.head
    unlike = [said("new 新的"), object()]
    with pytest.raises(Exception, match="ChatMessage"):
        memory.set(unlike)  # type: ignore[arg-type]
    assert memory.get_all() == talk(3)
    assert memory.memory.session.head == head
    await memory.aset([said("new 新的")])
    assert texts(memory.get_all()) == ["new 新的"], "it replaces"
    assert len(memory.memory.session.log(kept=False)) == 7, "and nothing is lost"


async def test_setting_the_same_history_every_run_stores_it_once(
    scripted: Any, memory: CtxplugMemory
) -> None:
    model = scripted(lambda messages, n: f"ok {n}")
    agent = FunctionAgent(llm=model.llm)
    history = [said("My cat is Mia. 我的猫叫米娅。"), said("好的", "assistant")]
    for turn in range(5):
        await agent.run(f"question {turn}", chat_history=history, memory=memory)
    every = [one.message.text for one in memory.memory.session.log(kept=False)]
    assert every.count("My cat is Mia. 我的猫叫米娅。") == 1


# -- what is handed out ----------------------------------------------------------------------


async def test_18416_the_state_is_not_written_into_history(
    scripted: Any, memory: CtxplugMemory
) -> None:
    async def run(store: Any) -> list[str | None]:
        model = scripted(lambda messages, n: "ok")
        agent = FunctionAgent(llm=model.llm, initial_state={"购物车": "cart"})
        await agent.run("What is in it?", memory=store)
        assert "购物车" in (model.sent[0][-1].content or "")
        return texts(store.get_all())

    assert "购物车" in str(await run(ChatMemoryBuffer.from_defaults(token_limit=2_000)))
    assert await run(memory) == ["What is in it?", "ok"]


def test_what_is_given_and_taken_is_copied(memory: CtxplugMemory) -> None:
    given = said("hi 你好", name="Anna")
    memory.put(given)
    given.blocks[0].text = "changed"  # type: ignore[union-attr]
    given.additional_kwargs["name"] = "Eve"
    for read in (memory.get, memory.get_all):
        got = read()[0]
        assert (got.content, got.additional_kwargs) == ("hi 你好", {"name": "Anna"})
        got.blocks[0].text = "changed"  # type: ignore[union-attr]
        got.additional_kwargs.clear()
    assert memory.get()[0].additional_kwargs == {"name": "Anna"}


def test_an_empty_memory_is_not_false(scripted: Any, memory: CtxplugMemory) -> None:
    assert memory, "LlamaIndex writes `memory or ChatMemoryBuffer...`"
    model = scripted(lambda messages, n: "ok")
    SimpleChatEngine.from_defaults(llm=model.llm, memory=memory).chat("hi")
    assert texts(memory.get_all()) == ["hi", "ok"]


async def test_23180_an_input_that_is_a_message(memory: CtxplugMemory) -> None:
    memory.memory.remember("Anna is allergic to peanuts. 安娜对花生过敏。")
    memory.put_messages([said("hello"), said("hi", "assistant")])
    for asked in ("Which allergies does Anna have?", "安娜对什么过敏？"):
        plain, wrapped = await memory.aget(asked), await memory.aget(said(asked))
        assert "peanuts" in str(plain[-1])
        assert plain == wrapped


async def test_16059_sessions_do_not_mix_by_default() -> None:
    shared = ChatMemoryBuffer.from_defaults(token_limit=100)
    again = ChatMemoryBuffer.from_defaults(token_limit=100, chat_store=shared.chat_store)
    shared.put(said("Anna's"))
    assert texts(again.get_all()) == ["Anna's"]
    first = CtxplugMemory.from_defaults()
    first.put(said("Anna's 安娜的"))
    assert CtxplugMemory(first.memory.beside()).get_all() == []


def test_19389_order_is_that_of_writing(memory: CtxplugMemory) -> None:
    memory.put_messages(talk(40))
    for message in talk(10):
        memory.put(message)
    assert memory.get_all() == [*talk(40), *talk(10)]


# -- saved and restored ------------------------------------------------------------------------


async def test_deep_copies_are_the_same_memory(scripted: Any, memory: CtxplugMemory) -> None:
    async def run(store: Any) -> Any:
        model = scripted(lambda messages, n: "ok")
        agent = FunctionAgent(llm=model.llm)
        ctx = Context(agent)
        await agent.run("one 一", ctx=ctx, memory=store)
        async with ctx.store.edit_state() as state:
            state["seen"] = True
        await agent.run("two 二", ctx=ctx, memory=store)
        return texts(store.get_all())

    assert await run(memory) == ["one 一", "ok", "two 二", "ok"]


async def test_18475_a_saved_context_has_its_memory(
    scripted: Any, memory: CtxplugMemory, stock: Any
) -> None:
    async def restored(store: Any) -> Any:
        model = scripted(lambda messages, n: "ok")
        agent = FunctionAgent(llm=model.llm)
        ctx = Context(agent)
        await agent.run("My cat is Mia. 米娅", ctx=ctx, memory=store)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it cannot be saved
            saved = json.loads(json.dumps(ctx.to_dict(serializer=JsonSerializer())))
        again = Context.from_dict(agent, saved, serializer=JsonSerializer())
        await agent.run("What is it called?", ctx=again)
        return texts(model.sent[-1])

    assert "My cat is Mia. 米娅" not in await restored(stock())
    assert "My cat is Mia. 米娅" in await restored(memory)


@pytest.mark.skipif(PYDANTIC < (2, 14), reason="it is since pydantic 2.14 that this fails")
def test_dumping_by_pydantic_2_14(memory: CtxplugMemory) -> None:
    buffer = ChatMemoryBuffer.from_defaults(token_limit=100, chat_history=[said("hi")])
    with pytest.raises(Exception, match="index_key"):
        buffer.to_dict()
    memory.put(said("hi 你好"))
    assert texts(CtxplugMemory.from_json(memory.to_json()).get_all()) == ["hi 你好"]


# -- what is remembered for long ---------------------------------------------------------------


class Failing(BaseMemoryBlock[str]):
    """A block that cannot store anything."""

    async def _aget(self, messages: Any = None, **kwargs: Any) -> str:
        return ""

    async def _aput(self, messages: list[ChatMessage]) -> None:
        raise OSError("the disk is full")


async def test_22867_a_failing_block_takes_nothing_with_it(
    memory: CtxplugMemory, stock: Any
) -> None:
    beside = memory.memory.beside(session="long")
    block = CtxplugMemoryBlock(beside)
    theirs = stock(
        token_limit=300,
        token_flush_size=50,
        session_id="t9",
        memory_blocks=[Failing(name="failing"), block],
    )
    failed = 0
    for message in talk(20):
        try:
            await theirs.aput(message)
        except OSError:
            failed += 1
    assert failed, "the block has failed"
    await theirs.aget()
    logged = [m.text for m in memory.memory.beside(session="t9").messages()]
    active = await theirs.aget()
    archived = [m for m in await theirs.aget_all() if m not in active]
    assert archived
    assert set(map(str, texts(archived))) <= set(logged), "what was flushed is not lost"
    assert len(logged) == len(set(logged)), "and there once"


async def test_22701_nothing_crosses_sessions_or_namespaces(memory: CtxplugMemory) -> None:
    anna, eve = (
        CtxplugMemory(memory.memory.beside(namespace=f"acme/{name}", session="s"))
        for name in ("anna", "eve")
    )
    anna.put_messages([said("My PIN is 4711. 密码是4711。"), said("好的", "assistant")])
    for asked in ("What is my PIN?", "密码是什么？"):
        assert "4711" not in str(await eve.aget(asked))
    eve.put(said("What is my PIN? 密码是什么？"))
    assert "4711" not in str(eve.get())
    assert "4711" in str(anna.get("What is my PIN?"))


def test_summaries_destroy_nothing(memory: CtxplugMemory) -> None:
    buffer = ChatSummaryMemoryBuffer.from_defaults(
        token_limit=300, llm=MockLLM(max_tokens=8), chat_history=talk(30)
    )
    buffer.get()
    assert len(buffer.get_all()) < 30, "the originals are gone"
    memory.set(talk(30))
    memory.get()
    assert memory.get_all() == talk(30)


async def test_a_loop_is_not_outside_of_memory(
    scripted: Any, calling: Any, memory: CtxplugMemory
) -> None:
    seen: list[list[str]] = []

    async def look_up(number: int) -> str:
        """Look up. 查。"""
        seen.append([message.role.value for message in memory.get_all()])
        return "found 找到"

    def answer(messages: list[ChatMessage], n: int) -> Any:
        return calling((f"c{n}", "look_up", {"number": n})) if n % 3 < 2 else "ok"

    agent = FunctionAgent(tools=[look_up], llm=scripted(answer).llm)
    await agent.run("go", memory=memory)
    assert seen == [["user"]] * 2, "LlamaIndex keeps it aside"
    memory.reset()
    seen.clear()
    await bounded(agent).run("go", memory=memory)
    assert seen == [["user", "assistant"], ["user", "assistant", "tool", "assistant"]]


def test_a_reader_in_another_thread_waits_for_nobody(memory: CtxplugMemory) -> None:
    memory.put(said("hi"))
    done: list[Callable[..., Any] | list[ChatMessage]] = []

    def read() -> None:
        done.append(asyncio.run(memory.aget()))
        done.append(memory.get())

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(done) == 12
