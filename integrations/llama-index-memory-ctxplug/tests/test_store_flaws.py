"""Faults of LlamaIndex's own chat stores, by number or symptom, that ours does not have.

Where a fault can be shown with what LlamaIndex ships, it is: should it be mended there, the
test tells. The numbers are issues and pull requests of run-llama/llama_index.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
from ctxplug_llamaindex.async_chat_store import CtxplugAsyncChatStore
from ctxplug_llamaindex.chat_store import CtxplugChatStore
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.storage.chat_store import SimpleChatStore
from llama_index.core.storage.chat_store.base_db import MessageStatus
from llama_index.core.storage.chat_store.loading import RECOGNIZED_CHAT_STORES, load_chat_store
from pydantic_core import PydanticSerializationError

from ctxplug import AgentMemory
from ctxplug.access.guarding import beneath
from ctxplug.errors import StorageError

PYDANTIC = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])


@pytest.fixture(params=["memory", "sqlite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentMemory]:
    target = "memory:" if request.param == "memory" else tmp_path / "s.db"
    with AgentMemory.open(target, namespace="acme/ada") as memory:
        yield memory


@pytest.fixture
def store(memory: AgentMemory) -> CtxplugChatStore:
    return CtxplugChatStore(memory)


@pytest.fixture
def queue(memory: AgentMemory) -> CtxplugAsyncChatStore:
    return CtxplugAsyncChatStore(memory)


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(role=role, content=text)


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


async def test_23185_adding_no_messages_is_no_error(
    store: CtxplugChatStore, queue: CtxplugAsyncChatStore
) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("aiosqlite")
    from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore

    stock = SQLAlchemyChatStore("t")
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        await stock.add_messages("k", [])
    engine, _ = stock._async_engine, await stock.get_messages("k")
    assert engine is not None
    await engine.dispose()
    await queue.add_messages("k", [])
    await store.aadd_messages("k", [])
    store.add_messages("k", [])
    assert await queue.get_keys() == [] == store.get_keys()


async def test_23183_set_messages_replaces_in_one_write_or_not_at_all(
    store: CtxplugChatStore,
    queue: CtxplugAsyncChatStore,
    memory: AgentMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.set_messages("k", [said("1"), said("二")])
    backend = beneath(memory.backend)
    write = backend.write
    writes: list[tuple[Any, ...]] = []

    def failing(*ops: Any) -> list[int]:
        writes.append(ops)
        raise StorageError("The disk is full.")

    monkeypatch.setattr(backend, "write", failing)
    for attempt in (
        lambda: store.set_messages("k", [said("new"), said("新")]),
        lambda: asyncio.run(store.aset_messages("k", [said("new")])),
        lambda: asyncio.run(queue.set_messages("k", [said("new")])),
    ):
        with pytest.raises(StorageError):
            await asyncio.to_thread(attempt)
    assert len(writes) == 3  # each tried one write with all in it
    monkeypatch.setattr(backend, "write", write)
    assert texts(store.get_messages("k")) == ["1", "二"]
    assert texts(await queue.get_messages("k")) == ["1", "二"]


async def test_set_messages_never_shows_half_of_itself(store: CtxplugChatStore) -> None:
    def replace(letter: str) -> None:
        for _ in range(15):
            store.set_messages("k", [said(f"{letter}{i}") for i in range(4)])

    replace("一")
    seen = []
    writers = [asyncio.create_task(asyncio.to_thread(replace, letter)) for letter in "ab"]
    while not all(writer.done() for writer in writers):
        seen.append(texts(await store.aget_messages("k")))
    await asyncio.gather(*writers)
    assert seen and all(len(found) == 4 for found in seen)
    assert all(len({str(text)[0] for text in found}) == 1 for found in seen)


async def test_set_messages_of_one_status_leaves_the_other(queue: CtxplugAsyncChatStore) -> None:
    """The stock store deletes what is archived, too."""
    await queue.add_messages("k", [said("旧"), said("2")])
    await queue.archive_oldest_messages("k", 1)
    await queue.set_messages("k", [said("new")])
    assert texts(await queue.get_messages("k", MessageStatus.ARCHIVED)) == ["旧"]


async def test_delete_message_takes_a_place_not_the_id_of_a_row(
    queue: CtxplugAsyncChatStore,
) -> None:
    await queue.add_messages("other", [said("0"), said("0")])
    await queue.add_messages("k", [said("a"), said("乙"), said("c")])
    deleted = await queue.delete_message("k", 1)
    assert deleted is not None and deleted.content == "乙"
    assert texts(await queue.get_messages("k")) == ["a", "c"]
    assert await queue.delete_message("k", 2) is None


def test_22963_deleting_a_message_keeps_the_order(store: CtxplugChatStore) -> None:
    """The store for Redis reverses what is left."""
    store.set_messages("k", [said(text) for text in "一二三四"])
    store.delete_message("k", 1)
    assert texts(store.get_messages("k")) == ["一", "三", "四"]
    store.add_message("k", said("五"))
    assert texts(store.get_messages("k")) == ["一", "三", "四", "五"]


def test_places_that_are_not_there_give_none(store: CtxplugChatStore) -> None:
    stock = SimpleChatStore()
    stock.set_messages("k", [])
    with pytest.raises(IndexError):
        stock.delete_last_message("k")
    with pytest.raises(IndexError):
        stock.delete_message("k", -3)
    store.set_messages("k", [])
    assert store.delete_last_message("k") is None
    for idx in (-3, -1, 0, 5):
        assert store.delete_message("k", idx) is None
    assert store.delete_message("no", 0) is None and store.delete_last_message("no") is None
    assert store.delete_messages("no") is None and store.delete_messages("k") == []


def test_no_list_or_message_is_shared(store: CtxplugChatStore) -> None:
    stock = SimpleChatStore()
    for one, changes in ((stock, True), (store, False)):
        given = [said("原文")]
        one.set_messages("k", given)
        given.append(said("appended"))
        one.get_messages("k").append(said("appended"))
        one.get_messages("k")[0].content = "state prompt"
        assert (texts(one.get_messages("k")) != ["原文"]) == changes


def test_18416_a_state_prompt_written_into_what_was_got_stays_out(store: CtxplugChatStore) -> None:
    buffer = ChatMemoryBuffer.from_defaults(chat_store=store, token_limit=500)
    buffer.put(said("现在几点?"))
    for _ in range(3):
        last = buffer.get()[-1]
        last.blocks[0].text = f"Current state: ...\n{last.content}"  # type: ignore[union-attr]
    assert texts(buffer.get()) == ["现在几点?"]


def test_any_store_that_is_registered_is_loaded(store: CtxplugChatStore) -> None:
    """A buffer's from_dict raises ValueError for all but SimpleChatStore."""
    assert RECOGNIZED_CHAT_STORES["CtxplugChatStore"] is CtxplugChatStore
    with pytest.raises(ValueError, match="Invalid ChatStore name"):
        load_chat_store({"class_name": "OtherChatStore"})
    again = load_chat_store(store.to_dict())
    assert isinstance(again, CtxplugChatStore)
    again.close()


def test_a_store_that_holds_messages_can_be_dumped(store: CtxplugChatStore) -> None:
    """With pydantic 2.14 the dump of a SimpleChatStore raises PydanticSerializationError."""
    if PYDANTIC >= (2, 14):
        stock = SimpleChatStore()
        stock.add_message("k", said("x"))
        with pytest.raises(PydanticSerializationError):
            stock.model_dump()
    store.add_message("k", said("你好"))
    buffer = ChatMemoryBuffer.from_defaults(chat_store=store, token_limit=100)
    assert json.loads(store.model_dump_json()) == store.model_dump() == store.to_dict()
    assert json.loads(buffer.to_string())["chat_store"]["class_name"] == "CtxplugChatStore"


def test_an_empty_store_is_not_replaced_for_being_empty(store: CtxplugChatStore) -> None:
    """Callers write `chat_store or SimpleChatStore()`."""
    assert (store or None) is store
    assert ChatMemoryBuffer.from_defaults(chat_store=store).chat_store is store


async def test_many_that_open_a_new_store_at_once_get_one(tmp_path: Path) -> None:
    """The stock store makes its tables and its engine twice, and loses one of them."""
    stores = [CtxplugAsyncChatStore(tmp_path / "s.db", namespace="a") for _ in range(4)]
    await asyncio.gather(
        *(store.add_message("k", said(f"{i}-{n}")) for i, store in enumerate(stores) for n in "一2")
    )
    assert [await store.count_messages("k") for store in stores] == [8] * 4
    for store in stores:
        await store.aclose()


def test_19389_order_is_that_of_writing_not_of_a_clock(
    store: CtxplugChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)
    monkeypatch.setattr("time.time_ns", lambda: 0)
    for i in range(30):
        store.add_message("k", said(str(i)))
        store.add_message(f"键{i}", said("x"))
    assert texts(store.get_messages("k")) == [str(i) for i in range(30)]
    assert store.get_keys() == ["k", *(f"键{i}" for i in range(30))]


def test_16059_users_with_the_same_key_are_apart(memory: AgentMemory) -> None:
    """`chat_history` is everybody's default key; the namespace keeps users apart."""
    for user in ("ada", "小明"):
        beside = memory.beside(namespace=("acme", user))
        buffer = ChatMemoryBuffer.from_defaults(chat_store=CtxplugChatStore(beside))
        buffer.put(said(f"I am {user}"))
        assert texts(buffer.get()) == [f"I am {user}"]


def test_13715_tool_messages_are_stored_with_their_calls(store: CtxplugChatStore) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"q": "里"}'}}
    history = [
        said("你好"),
        ChatMessage(
            role=MessageRole.ASSISTANT, content=None, additional_kwargs={"tool_calls": [call]}
        ),
        ChatMessage(
            role=MessageRole.TOOL,
            content="晴",
            additional_kwargs={"tool_call_id": "c1", "name": "f"},
        ),
    ]
    store.set_messages("k", history)
    assert store.get_messages("k") == history
    assert CtxplugChatStore(store.memory).get_messages("k") == history
