"""CtxplugAsyncChatStore: statuses, one log with the others, and LlamaIndex's `Memory` over it."""

from __future__ import annotations

import asyncio
import copy
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ctxplug_llamaindex.async_chat_store import CtxplugAsyncChatStore
from ctxplug_llamaindex.chat_store import CtxplugChatStore
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import Memory
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from ctxplug import AgentMemory, Message
from ctxplug.errors import InvalidValueError
from ctxplug.messages import ToolResultPart

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED

takes_stores = pytest.mark.skipif(
    "chat_store" not in inspect.signature(Memory.from_defaults).parameters,
    reason="this llama-index-core has no Memory.from_defaults(chat_store=)",
)


@pytest.fixture(params=["memory", "sqlite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentMemory]:
    target = "memory:" if request.param == "memory" else tmp_path / "s.db"
    with AgentMemory.open(target, namespace="acme/ada") as memory:
        yield memory


@pytest.fixture
def store(memory: AgentMemory) -> CtxplugAsyncChatStore:
    return CtxplugAsyncChatStore(memory)


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(role=role, content=text)


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


# -- statuses ------------------------------------------------------------------------------


async def test_archiving_takes_from_the_queue_and_keeps_in_order(
    store: CtxplugAsyncChatStore,
) -> None:
    await store.add_messages("k", [said(text) for text in "一二三四"])
    assert texts(await store.archive_oldest_messages("k", 2)) == ["一", "二"]
    await store.add_message("k", said("旧"), ARCHIVED)
    await store.add_message("k", said("五"))
    assert texts(await store.get_messages("k")) == ["三", "四", "五"]
    assert texts(await store.get_messages("k", ARCHIVED)) == ["一", "二", "旧"]
    assert texts(await store.get_messages("k", None)) == ["一", "二", "三", "四", "旧", "五"]
    assert [await store.count_messages("k", s) for s in (ACTIVE, ARCHIVED, None)] == [3, 3, 6]
    assert texts(await store.get_messages("k", None, limit=2, offset=3)) == ["四", "旧"]
    assert texts(await store.get_messages("k", offset=2)) == ["五"]
    assert await store.get_messages("k", limit=0) == []


async def test_setting_and_deleting_touch_their_status_alone(store: CtxplugAsyncChatStore) -> None:
    await store.add_messages("k", [said("old"), said("二"), said("3")])
    await store.archive_oldest_messages("k", 1)
    await store.set_messages("k", [said("new")])
    assert texts(await store.get_messages("k", None)) == ["old", "new"]
    await store.set_messages("k", [said("older"), said("旧")], ARCHIVED)
    assert texts(await store.get_messages("k", ARCHIVED)) == ["older", "旧"]
    assert texts(await store.get_messages("k")) == ["new"]
    await store.delete_messages("k", ARCHIVED)
    assert texts(await store.get_messages("k", None)) == ["new"]
    await store.delete_messages("k")
    assert await store.get_messages("k", None) == [] and await store.get_keys() == []


async def test_the_oldest_of_the_queue_are_deleted(store: CtxplugAsyncChatStore) -> None:
    await store.add_messages("k", [said(text) for text in "abcd"])
    await store.archive_oldest_messages("k", 1)
    assert texts(await store.delete_oldest_messages("k", 2)) == ["b", "c"]
    assert texts(await store.get_messages("k", None)) == ["a", "d"]
    assert texts(await store.delete_oldest_messages("k", 9)) == ["d"]
    for verb in (store.delete_oldest_messages, store.archive_oldest_messages):
        assert await verb("k", 3) == [] and await verb("k", -1) == [] and await verb("no", 1) == []


async def test_a_wrong_status_or_page_is_named(store: CtxplugAsyncChatStore) -> None:
    await store.add_message("k", said("1"), "archived")  # type: ignore[arg-type]
    assert await store.count_messages("k", ARCHIVED) == 1
    with pytest.raises(InvalidValueError, match="'active' or 'archived', not 'gone'"):
        await store.add_message("k", said("1"), "gone")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"limit counts messages.*not -1"):
        await store.get_messages("k", limit=-1)


# -- one log -------------------------------------------------------------------------------


async def test_archived_messages_are_in_view_of_everybody_else(
    store: CtxplugAsyncChatStore, memory: AgentMemory
) -> None:
    await store.add_messages("k", [said("The violin is in the attic"), said("好", "assistant")])
    await store.archive_oldest_messages("k", 1)
    plain, other = memory.beside(session="k"), CtxplugChatStore(memory)
    assert [message.text for message in plain.messages()] == ["The violin is in the attic", "好"]
    assert memory.recall("violin")
    other.add_message("k", said("first"), 0)
    other.add_message("k", said("last"))
    assert texts(await store.get_messages("k", ARCHIVED)) == ["The violin is in the attic"]
    assert texts(await store.get_messages("k")) == ["first", "好", "last"]
    other.delete_message("k", 1)
    assert await store.get_messages("k", ARCHIVED) == []
    other.delete_messages("k")
    assert await store.get_messages("k", None) == [] and await store.get_keys() == []


async def test_results_that_are_one_message_in_the_log_are_archived_one_by_one(
    store: CtxplugAsyncChatStore, memory: AgentMemory
) -> None:
    plain = memory.beside(session="k")
    plain.add("user", "天气?")
    results = [ToolResultPart(id, f"晴 {id}") for id in "abc"]
    plain.add(Message("tool", results))
    assert texts(await store.get_messages("k")) == ["天气?", "晴 a", "晴 b", "晴 c"]
    assert texts(await store.archive_oldest_messages("k", 2)) == ["天气?", "晴 a"]
    assert texts(await store.get_messages("k")) == ["晴 b", "晴 c"]
    assert texts(await store.get_messages("k", ARCHIVED)) == ["天气?", "晴 a"]
    assert len(plain.messages()) == 4


async def test_what_others_noted_with_an_edit_stays(
    store: CtxplugAsyncChatStore, memory: AgentMemory
) -> None:
    await store.add_messages("k", [said("1"), said("二")])
    session = memory.beside(session="k").session
    session.keep([1, 2], note={"theirs": "注"})
    await store.archive_oldest_messages("k", 1)
    assert session.note["theirs"] == "注"
    session.keep([one.version for one in session.log()], note=session.note)
    assert texts(await store.get_messages("k", ARCHIVED)) == ["1"]


async def test_a_store_opened_later_knows_the_statuses(tmp_path: Path) -> None:
    async with CtxplugAsyncChatStore(tmp_path / "s.db", namespace="a") as store:
        await store.add_messages("键", [said("1"), said("二"), said("3")])
        await store.archive_oldest_messages("键", 2)
        kept = store.model_dump()
    async with CtxplugAsyncChatStore.model_validate(kept) as store:
        assert texts(await store.get_messages("键")) == ["3"]
        assert texts(await store.get_messages("键", ARCHIVED)) == ["1", "二"]
        assert await store.get_keys() == ["键"]


async def test_edits_at_once_lose_nothing(
    store: CtxplugAsyncChatStore, memory: AgentMemory
) -> None:
    other = CtxplugAsyncChatStore(memory)
    await store.add_messages("k", [said(f"old {i}") for i in range(20)])
    taken = await asyncio.gather(
        *(one.archive_oldest_messages("k", 2) for one in (store, other) * 3),
        *(one.delete_oldest_messages("k", 1) for one in (store, other) * 2),
        *(one.add_message("k", said(f"新 {i}")) for i, one in enumerate((store, other) * 5)),
    )
    gone = [message.content for messages in taken if messages for message in messages]
    assert len(set(gone)) == 16  # nobody took what another had taken
    left = texts(await store.get_messages("k"))
    assert sorted(map(str, [*gone, *left])) == sorted(
        [*(f"old {i}" for i in range(20)), *(f"新 {i}" for i in range(10))]
    )
    assert await store.count_messages("k", ARCHIVED) == 12


def test_it_works_on_a_new_loop_each_time(store: CtxplugAsyncChatStore) -> None:
    for number in range(3):
        asyncio.run(store.add_message("k", said(str(number))))
    assert texts(asyncio.run(store.get_messages("k"))) == ["0", "1", "2"]
    assert isinstance(store, AsyncDBChatStore) and bool(store)
    assert copy.deepcopy(store) is store


# -- LlamaIndex's Memory ---------------------------------------------------------------------


def small(store: CtxplugAsyncChatStore, **options: Any) -> Memory:
    return Memory.from_defaults(
        session_id="talk",
        chat_store=store,
        token_limit=120,
        token_flush_size=30,
        tokenizer_fn=lambda text: text.split(),
        **options,
    )


@takes_stores
async def test_memory_flushes_into_the_archive_and_plain_memory_has_it_all(
    store: CtxplugAsyncChatStore, memory: AgentMemory
) -> None:
    talk = small(store)
    for turn in range(15):
        await talk.aput(said(f"Question {turn}: " + "how far is it " * 3))
        await talk.aput_messages([said(f"回答 {turn} : " + "四十 公里 " * 3, "assistant")])
    queue, everything = await talk.aget(), await talk.aget_all(status=None)
    archived = await talk.aget_all(status=ARCHIVED)
    assert len(everything) == 30 and archived + queue == everything and 0 < len(queue) < 30
    assert queue[0].role == "user" and queue[-1].content == everything[-1].content
    assert len(memory.beside(session="talk").messages()) == 30
    again = small(CtxplugAsyncChatStore(memory))
    assert await again.aget() == queue


@takes_stores
async def test_memory_s_own_verbs_go_through(store: CtxplugAsyncChatStore) -> None:
    talk = small(store, chat_history=[said("Hello"), said("你好", "assistant")])
    assert texts(await talk.aget()) == ["Hello", "你好"]
    await talk.aput_messages([])
    await talk.aset([said("anew")])
    assert texts(await talk.aget_all()) == ["anew"]
    await talk.areset()
    assert await talk.aget_all(status=None) == []


@takes_stores
def test_memory_s_sync_verbs_work_from_threads(store: CtxplugAsyncChatStore) -> None:
    talk = small(store)
    failed: list[BaseException] = []

    def put(name: int) -> None:
        try:
            for i in range(5):
                talk.put(said(f"{name} {i}"))
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=put, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failed and not any(thread.is_alive() for thread in threads)
    found = talk.get_all(status=None)
    assert sorted(map(str, texts(found))) == sorted(f"{n} {i}" for n in range(8) for i in range(5))


@takes_stores
def test_a_copied_memory_is_on_the_same_store(store: CtxplugAsyncChatStore) -> None:
    talk = small(store)
    twin = copy.deepcopy(talk)
    twin.put(said("你好"))
    assert texts(talk.get()) == ["你好"]
