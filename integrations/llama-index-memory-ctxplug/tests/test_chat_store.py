"""CtxplugChatStore: one log with AgentMemory, copies, edits that lose nothing, dumps."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ctxplug_llamaindex.chat_store import CtxplugChatStore
from llama_index.core.llms import ChatMessage, TextBlock
from llama_index.core.memory import ChatMemoryBuffer, ChatSummaryMemoryBuffer
from llama_index.core.storage.chat_store import BaseChatStore
from llama_index.core.storage.chat_store.loading import load_chat_store

from ctxplug import AgentMemory, Message
from ctxplug.errors import CannotOpenError, ClosedError, InvalidValueError
from ctxplug.messages import ToolCallPart, ToolResultPart
from ctxplug.storage import Append, Entry, Stream
from ctxplug.storage.kept import KEPT


@pytest.fixture(params=["memory", "sqlite"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AgentMemory]:
    target = "memory:" if request.param == "memory" else tmp_path / "s.db"
    with AgentMemory.open(target, namespace="acme/ada") as memory:
        yield memory


@pytest.fixture
def store(memory: AgentMemory) -> CtxplugChatStore:
    return CtxplugChatStore(memory)


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(role=role, content=text)


def texts(messages: list[ChatMessage] | None) -> list[str | None]:
    return [message.content for message in messages or []]


# -- opening -------------------------------------------------------------------------------


def test_it_opens_what_a_memory_opens(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with CtxplugChatStore(path, namespace="acme") as store:
        store.add_message("k", said("你好"))
    with CtxplugChatStore(f"sqlite:///{path}", namespace="acme") as store:
        assert texts(store.get_messages("k")) == ["你好"]
    with CtxplugChatStore(path, namespace="other") as store:
        assert store.get_keys() == [] and store.get_messages("k") == []


def test_closing_lets_go_of_what_it_opened_only(memory: AgentMemory, tmp_path: Path) -> None:
    with CtxplugChatStore(memory) as store:
        store.add_message("k", said("1"))
    assert texts(store.get_messages("k")) == ["1"]
    store = CtxplugChatStore(tmp_path / "other.db", namespace="a")
    store.add_message("k", said("1"))
    store.close()
    with pytest.raises(ClosedError):
        store.add_message("k", said("2"))


async def test_it_is_an_async_context_manager(tmp_path: Path) -> None:
    async with CtxplugChatStore(tmp_path / "s.db", namespace="a") as store:
        await store.async_add_message("k", said("1"))
    with pytest.raises(ClosedError):
        await store.async_add_message("k", said("2"))


def test_it_is_a_chat_store_that_is_true_when_empty(store: CtxplugChatStore) -> None:
    assert isinstance(store, BaseChatStore) and bool(store)
    assert not hasattr(store, "__len__")


def test_a_key_is_text(store: CtxplugChatStore) -> None:
    with pytest.raises(InvalidValueError, match="is text, not 7"):
        store.add_message(7, said("x"))  # type: ignore[arg-type]


# -- one log -------------------------------------------------------------------------------


def test_a_key_is_a_session_of_agent_memory(store: CtxplugChatStore, memory: AgentMemory) -> None:
    store.set_messages("trip", [said("Hello"), said("你好", "assistant")])
    plain = memory.beside(session="trip")
    plain.add("user", "I moved to Lisbon.")
    assert texts(store.get_messages("trip")) == ["Hello", "你好", "I moved to Lisbon."]
    store.delete_message("trip", 0)
    assert [message.text for message in plain.messages()] == ["你好", "I moved to Lisbon."]
    assert plain.context().messages[-1].text == "I moved to Lisbon."
    plain.session.keep(())
    assert store.get_messages("trip") == [] and store.get_keys() == []


def test_a_session_that_a_memory_began_is_a_key(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    memory.add("user", "first")
    memory.beside(session="100%").add("user", "二")
    assert store.get_keys() == [memory.scope.session, "100%"]
    assert texts(store.get_messages("100%")) == ["二"]


def test_what_is_deleted_leaves_recall_and_not_the_log(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    store.set_messages("k", [said("The violin is in the attic"), said("小提琴在阁楼里")])
    assert memory.recall("violin") and memory.recall("小提琴")
    store.delete_messages("k")
    assert not memory.recall("violin") and not memory.recall("小提琴")
    log = memory.beside(session="k").session.log(kept=False)
    assert [one.message.text for one in log] == ["The violin is in the attic", "小提琴在阁楼里"]
    memory.erase()
    assert memory.beside(session="k").session.log(kept=False) == []


def test_after_an_erasure_nothing_is_remembered(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    for key in ("a", "b", "x" * 300):
        store.set_messages(key, [said("1"), said("2")])
    store.delete_messages("a")
    store.add_message("a", said("3"))
    assert store.get_keys() == ["b", "x" * 300, "a"]
    memory.erase()
    assert store.get_keys() == [] and store.get_messages("b") == []
    store.add_message("x" * 300, said("4"))
    store.add_message("a", said("5"))
    assert store.get_keys() == ["x" * 300, "a"]
    assert texts(store.get_messages("a")) == ["5"]


def test_keys_stand_in_order_of_insertion(store: CtxplugChatStore, memory: AgentMemory) -> None:
    for key in ("a", "乙", "c"):
        store.add_message(key, said("1"))
    for key in ("乙", "a"):
        store.delete_messages(key)
    store.set_messages("a", [])
    store.add_message("d", said("1"))
    store.add_message("乙", said("2"))
    store.set_messages("e", [said("1")])
    store.add_message("c", said("2"))
    for one in (store, CtxplugChatStore(memory)):
        assert one.get_keys() == ["c", "a", "d", "乙", "e"]


def test_an_edit_that_brings_messages_back_is_seen(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    """`keep` only takes away; an entry of a return to an earlier state would not."""
    store.add_messages("k", [said("1"), said("二"), said("3")])
    store.delete_message("k", 1)
    assert texts(store.get_messages("k")) == ["1", "3"]
    memory.backend.write(
        Append(
            stream=Stream(memory.scope.namespace, "k"),
            kind=KEPT,
            body={"runs": [[1, 2]]},
            created_at=datetime.now(UTC),
            pinned=True,
        )
    )
    assert texts(store.get_messages("k")) == ["1", "二"]


def test_long_and_strange_keys_are_known_to_another_store(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    keys = ["", "用" * 200, "ctxplug:usage", "a/b", "\ud800" * 50, " ", "é"]
    for key in keys:
        store.add_message(key, said(key.encode("utf-8", "replace").decode()))
    other = CtxplugChatStore(memory)
    assert other.get_keys() == keys
    assert [len(other.get_messages(key)) for key in keys] == [1] * len(keys)


def several(*ids: str) -> list[Message]:
    """A call of each id, and one message with all results, as other frameworks log it."""
    calls = [ToolCallPart(id, "look_up", {"q": "里斯本"}) for id in ids]
    results = [ToolResultPart(id, f"晴 {id}") for id in ids]
    return [Message("assistant", calls), Message("tool", results)]


def test_results_that_are_one_message_in_the_log_are_several_here(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    plain = memory.beside(session="k")
    plain.add("user", "天气?")
    plain.extend(several("a", "b", "c"))
    plain.add("assistant", "Sunny.")
    found = store.get_messages("k")
    assert texts(found) == ["天气?", None, "晴 a", "晴 b", "晴 c", "Sunny."]
    assert [m.additional_kwargs.get("tool_call_id") for m in found[2:5]] == ["a", "b", "c"]
    deleted = store.delete_message("k", 3)
    assert deleted == found.pop(3)
    assert store.get_messages("k") == CtxplugChatStore(memory).get_messages("k") == found
    assert [r.call_id for m in plain.messages() for r in m.tool_results] == ["a", "c"]
    store.add_message("k", said("late"), 3)
    assert texts(store.get_messages("k"))[2:5] == ["晴 a", "late", "晴 c"]
    assert store.delete_messages("k") is not None and store.get_keys() == []


# -- reading costs what is new --------------------------------------------------------------


def test_only_what_is_new_is_read(
    store: CtxplugChatStore, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_messages("k", [said(f"第 {i} 条") for i in range(500)])
    store.get_messages("k")
    entries = 0
    read = memory.backend.read

    def counted(*args: object, **options: object) -> object:
        nonlocal entries
        found = read(*args, **options)  # type: ignore[arg-type]
        entries += len(found)
        return found

    monkeypatch.setattr(memory.backend, "read", counted)
    store.get_messages("k")
    assert entries <= 1
    store.add_message("k", said("new"))
    assert len(store.get_messages("k")) == 501
    store.delete_last_message("k")
    store.delete_message("k", 3)
    assert len(store.get_messages("k")) == 499
    assert entries < 40


@pytest.mark.parametrize("at", range(4))
def test_what_is_written_while_a_log_is_read_first_is_seen_once(
    store: CtxplugChatStore, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    store.set_messages("k", [said("1"), said("二"), said("3")])
    store.delete_message("k", 0)
    late = memory.beside(session="k")
    read, reads = memory.backend.read, 0

    def interrupted(stream: Stream, **options: Any) -> list[Entry]:
        nonlocal reads
        found = read(stream, **options)
        reads += stream.session == "k"
        if reads == at + 1:
            monkeypatch.setattr(memory.backend, "read", read)
            late.add("user", "四")
            late.session.keep([one.version for one in late.session.log()][1:])
            late.add("user", "5")
        return found

    monkeypatch.setattr(memory.backend, "read", interrupted)
    fresh = CtxplugChatStore(memory)
    fresh.get_messages("k")
    monkeypatch.setattr(memory.backend, "read", read)
    assert texts(fresh.get_messages("k")) == [message.text for message in late.messages()]


def test_setting_a_history_again_stores_what_is_new(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    """Agents set the caller's history at every run; nothing may be stored or recalled twice."""
    history = [said("The violin is in the attic"), said("好", "assistant")]
    for turn in range(5):
        history += [said(f"question {turn}"), said(f"回答 {turn}", "assistant")]
        store.set_messages("k", history)
        store.set_messages("k", history)
    assert store.get_messages("k") == history
    plain = memory.beside(session="k")
    assert len(plain.session.log(kept=False)) == len(history)
    assert len(memory.recall("violin", kinds="message")) == len(
        {found.record.content for found in memory.recall("violin", kinds="message")}
    )
    store.set_messages("k", [*history[4:], said("后来")])
    assert len(plain.session.log(kept=False)) == len(history) + 1


def test_conversations_are_let_go_and_found_again(
    store: CtxplugChatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctxplug_llamaindex.directory.OPEN", 2)
    for round in range(2):
        for key in "abcd":
            store.add_message(key, said(f"{key}{round}"))
    assert [texts(store.get_messages(key)) for key in "abcd"] == [
        [f"{k}0", f"{k}1"] for k in "abcd"
    ]


# -- threads, processes, loops -----------------------------------------------------------------


def test_writers_at_once_lose_nothing(store: CtxplugChatStore, memory: AgentMemory) -> None:
    other = CtxplugChatStore(memory)
    other.set_messages("k", [said("start") for _ in range(12)])

    def write(one: CtxplugChatStore, name: str) -> None:
        for i in range(12):
            one.add_message("k", said(f"{name}{i}"))

    def delete(one: CtxplugChatStore) -> None:
        for _ in range(6):
            assert texts([one.delete_message("k", 0)]) == ["start"]  # type: ignore[list-item]

    threads = [
        threading.Thread(target=write, args=(one, name))
        for one, name in ((store, "甲"), (store, "b"), (other, "c"))
    ]
    threads += [threading.Thread(target=delete, args=(one,)) for one in (store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = texts(store.get_messages("k"))
    assert sorted(map(str, found)) == sorted(f"{n}{i}" for n in "甲bc" for i in range(12))
    for name in "甲bc":
        assert [t for t in found if t and t[0] == name] == [f"{name}{i}" for i in range(12)]


def test_another_process_sees_and_edits_the_same(tmp_path: Path) -> None:
    code = """
import sys
from ctxplug_llamaindex.chat_store import CtxplugChatStore
from llama_index.core.llms import ChatMessage
with CtxplugChatStore(sys.argv[1], namespace="a") as store:
    assert store.delete_message("k", 0).content == "一"
    store.add_message("k", ChatMessage(content="三"), 0)
    store.delete_messages("gone")
"""
    with CtxplugChatStore(tmp_path / "s.db", namespace="a") as store:
        store.set_messages("gone", [said("0")])
        store.set_messages("k", [said("一"), said("二")])
        assert len(store.get_messages("k")) == 2
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.db")], check=True)
        assert texts(store.get_messages("k")) == ["三", "二"]
        assert store.get_keys() == ["k"]


def test_it_works_from_any_loop_and_any_thread(store: CtxplugChatStore) -> None:
    async def turn(number: int) -> None:
        await store.async_add_message("k", said(f"第 {number}"))
        store.add_message("k", said(f"sync {number}"))
        assert len(await store.aget_messages("k")) >= 2

    for number in range(3):
        asyncio.run(turn(number))
    threads = [threading.Thread(target=lambda n=n: asyncio.run(turn(n))) for n in range(3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.get_messages("k")) == 12


async def test_many_coroutines_write_at_once(store: CtxplugChatStore) -> None:
    await asyncio.gather(*(store.async_add_message("k", said(str(i))) for i in range(40)))
    deleted = await asyncio.gather(*(store.adelete_last_message("k") for _ in range(20)))
    left = await store.aget_messages("k")
    assert sorted(texts([*deleted, *left]), key=int) == [str(i) for i in range(40)]  # type: ignore


# -- in LlamaIndex's memories ---------------------------------------------------------------


def test_a_buffer_is_restored_with_its_store(tmp_path: Path) -> None:
    with CtxplugChatStore(tmp_path / "s.db", namespace="acme/ada") as store:
        buffer = ChatMemoryBuffer.from_defaults(
            chat_store=store, chat_store_key="用户", token_limit=500
        )
        buffer.put(said("我搬到里斯本了"))
        buffer.put(said("Noted.", "assistant"))
        kept = json.dumps(buffer.to_dict())
        assert "里斯本" not in kept and "Noted" not in kept
        again = ChatMemoryBuffer.from_dict(json.loads(kept))
        assert texts(again.get()) == ["我搬到里斯本了", "Noted."]
        again.put(said("And?"))
        assert len(buffer.get()) == 3
        again.chat_store.close()  # type: ignore[attr-defined]
        assert texts(ChatMemoryBuffer.from_string(buffer.to_string()).get())[-1] == "And?"
        gc.collect()


def test_a_new_process_restores_a_buffer(tmp_path: Path) -> None:
    with CtxplugChatStore(tmp_path / "s.db", namespace="a") as store:
        buffer = ChatMemoryBuffer.from_defaults(chat_store=store, token_limit=500)
        buffer.put(said("你好"))
        kept = json.dumps(buffer.to_dict())
    code = """
import json, sys
import ctxplug_llamaindex.chat_store
from llama_index.core.memory import ChatMemoryBuffer
print(ascii([m.content for m in ChatMemoryBuffer.from_dict(json.loads(sys.argv[1])).get()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, kept], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == ascii(["你好"])


def test_it_loads_from_what_it_dumps(store: CtxplugChatStore) -> None:
    store.add_message("k", said("你好"))
    for data in (store.to_dict(), json.loads(store.to_json()), store.model_dump(mode="json")):
        assert json.loads(json.dumps(data)) == data
        assert data["class_name"] == "CtxplugChatStore"
        with load_chat_store(dict(data)) as again:  # type: ignore[attr-defined]
            assert texts(again.get_messages("k")) == ["你好"]


def test_what_is_restored_does_not_close_what_it_shares(store: CtxplugChatStore) -> None:
    with CtxplugChatStore.from_dict(store.to_dict()) as again:
        again.add_message("k", said("你好"))
    store.add_message("k", said("still open"))
    assert texts(store.get_messages("k")) == ["你好", "still open"]


def test_a_memory_of_another_process_is_not_there() -> None:
    code = "from ctxplug_llamaindex import CtxplugChatStore as S; print(S().to_json())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    with pytest.raises(CannotOpenError, match="only its own process has"):
        CtxplugChatStore.from_json(done.stdout)


def test_without_a_place_it_is_in_memory() -> None:
    with CtxplugChatStore() as store, CtxplugChatStore() as other:
        store.add_message("k", said("你好"))
        assert other.get_keys() == []


def test_copies_of_it_are_itself(store: CtxplugChatStore) -> None:
    buffer = ChatMemoryBuffer.from_defaults(chat_store=store, token_limit=100)
    assert copy.deepcopy(buffer).chat_store is store
    assert copy.copy(store) is store and copy.deepcopy({"s": store})["s"] is store
    assert store.model_copy(deep=True) is store


def test_a_summary_buffer_goes_on_over_it(store: CtxplugChatStore, memory: AgentMemory) -> None:
    from llama_index.core.llms import MockLLM

    buffer = ChatSummaryMemoryBuffer.from_defaults(
        llm=MockLLM(max_tokens=5),
        chat_store=store,
        token_limit=40,
        tokenizer_fn=lambda text: text.split(),
    )
    for turn in range(12):
        buffer.put(said(f"Question {turn}: how far is it to the next town from here?"))
        buffer.put(said(f"Answer {turn}: it is about forty kilometres, 四十公里", "assistant"))
        found = buffer.get()
        assert found[-1].content == f"Answer {turn}: it is about forty kilometres, 四十公里"
    log = memory.beside(session="chat_history").session.log(kept=False)
    questions = {one.message.text for one in log if one.message.text.startswith("Question")}
    assert len(questions) == 12  # all are in the log, though the buffer let go of most


def test_a_message_that_is_set_in_another_place_keeps_its_time(
    store: CtxplugChatStore, memory: AgentMemory
) -> None:
    store.set_messages("k", [said("first"), said("好", "assistant"), said("last")])
    plain = memory.beside(session="k")
    before = {one.text: one.created_at for one in plain.messages()}
    store.set_messages("k", [said("summary", "system"), said("好", "assistant"), said("last")])
    store.add_message("k", said("between"), 2)
    after = {one.text: one.created_at for one in plain.messages()}
    assert list(after) == ["summary", "好", "between", "last"]
    assert (after["好"], after["last"]) == (before["好"], before["last"])


# -- copies --------------------------------------------------------------------------------


def test_neither_what_was_given_nor_what_is_got_changes_what_is_stored(
    store: CtxplugChatStore,
) -> None:
    given = ChatMessage(
        role="user", blocks=[TextBlock(text="原文")], additional_kwargs={"a": {"b": [1]}}
    )
    messages = [given]
    store.set_messages("k", messages)
    wanted = copy.deepcopy(given)
    messages.append(said("no"))
    given.blocks[0].text = "changed"  # type: ignore[union-attr]
    given.additional_kwargs["a"]["b"].append(2)
    for _ in range(2):
        found = store.get_messages("k")
        assert found == [wanted]
        found[0].blocks.append(TextBlock(text="state prompt"))
        found[0].blocks[0].text = "changed"  # type: ignore[union-attr]
        found[0].additional_kwargs["a"]["b"].append(3)
        found.clear()
    deleted = store.delete_last_message("k")
    assert deleted == wanted
