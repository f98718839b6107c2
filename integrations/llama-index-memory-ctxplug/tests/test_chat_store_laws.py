"""The chat stores against a dict, for any operations, on every backend and through each twin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from ctxplug_llamaindex.async_chat_store import CtxplugAsyncChatStore
from ctxplug_llamaindex.chat_store import CtxplugChatStore
from ctxplug_llamaindex.keys import to_key, to_session
from hypothesis import example, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms import types
from llama_index.core.llms import ChatMessage, TextBlock
from llama_index.core.storage.chat_store.base_db import MessageStatus

from ctxplug import AgentMemory
from ctxplug.scope import to_session as legal_session

BACKENDS = ["memory", "sqlite"]
ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED

KEYS = st.sampled_from(["k", "用户", "a/b"]) | st.sampled_from(
    ["k", "用户", "chat_history", "", "a/b", "a%2Fb", "x" * 300, "ctxplug:k"]
)
TEXTS = st.builds(
    lambda role, text, extra: ChatMessage(role=role, content=text, additional_kwargs=extra),
    st.sampled_from(["user", "assistant", "system"]),
    st.sampled_from(["yes", "no", "好的", "不", ""]),
    st.sampled_from([{}, {}, {"n": 1}, {"标": ["值"]}]),
)
CALL: dict[str, Any] = {
    "tool_call_id": "c1",
    "tool_name": "look_up",
    "tool_kwargs": {"q": "里斯本"},
}
CALLS = (  # a core that is older has no block for them
    [types.ToolCallBlock(**CALL)] if hasattr(types, "ToolCallBlock") else []
)
MESSAGES = TEXTS | st.just(
    ChatMessage(role="assistant", blocks=[TextBlock(text="我查一下"), *CALLS])
)
LISTS = st.lists(MESSAGES, max_size=5)
PLACES = st.integers(-6, 6)

Step = tuple[str, tuple[Any, ...]]


def step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), st.tuples(KEYS, *arguments))


STEPS = st.one_of(
    step("set_messages", LISTS),
    step("add_message", MESSAGES),
    step("add_message", MESSAGES),
    step("add_message", MESSAGES, PLACES),
    step("add_messages", LISTS),
    step("delete_messages"),
    step("delete_message", PLACES),
    step("delete_last_message"),
    st.tuples(st.just("reopen"), st.just(())),
    st.tuples(st.sampled_from(["extend", "shorten"]), st.tuples(KEYS, LISTS)),
)


class Dict:
    """What a chat store is, in the plainest words."""

    def __init__(self) -> None:
        self.store: dict[str, list[ChatMessage]] = {}

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        self.store[key] = list(messages)

    def get_messages(self, key: str) -> list[ChatMessage]:
        return list(self.store.get(key, []))

    def get_keys(self) -> list[str]:
        return list(self.store)

    def add_message(self, key: str, message: ChatMessage, idx: int | None = None) -> None:
        messages = self.store.setdefault(key, [])
        messages.insert(len(messages) if idx is None else idx, message)

    def add_messages(self, key: str, messages: list[ChatMessage]) -> None:
        if messages:
            self.store.setdefault(key, []).extend(messages)

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        return self.store.pop(key, None)

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        messages = self.store.get(key, [])
        return messages.pop(idx) if -len(messages) <= idx < len(messages) else None

    def delete_last_message(self, key: str) -> ChatMessage | None:
        return self.delete_message(key, -1)


def twin(name: str) -> str:
    return {"add_message": "async_add_message"}.get(name, f"a{name}")


@contextmanager
def targets(kind: str) -> Iterator[Callable[[], Any]]:
    """Give what opens the same place again and again."""
    with TemporaryDirectory() as folder, AgentMemory.open("memory:", namespace="a") as memory:
        path = f"sqlite:///{folder}/s.db?synchronous=normal"
        yield lambda: memory if kind == "memory" else AgentMemory.open(path, namespace="a")


@pytest.mark.parametrize("way", ["sync", pytest.param("async", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", BACKENDS)
def test_any_operations_give_what_a_dict_gives(kind: str, way: str) -> None:
    def call(store: CtxplugChatStore, name: str, *arguments: Any) -> Any:
        if way == "sync":
            return getattr(store, name)(*arguments)
        return asyncio.run(getattr(store, twin(name))(*arguments))

    @settings(max_examples=120 if kind == "memory" else 40, deadline=None)
    @given(st.lists(STEPS, max_size=14))
    @example([("add_message", ("k", ChatMessage(content="1"))), ("delete_messages", ("k",))])
    def law(steps: list[Step]) -> None:
        with targets(kind) as opened:
            memory = opened()
            store, model = CtxplugChatStore(memory), Dict()
            for name, arguments in steps:
                if name == "reopen":
                    memory = opened()
                    store = CtxplugChatStore(memory)
                    continue
                if name in ("extend", "shorten"):  # as memories do that set what they were given
                    key, new = arguments
                    old = model.get_messages(key)
                    name = "set_messages"
                    arguments = (key, old + new if name == "extend" else old[len(new) :] + new)
                assert call(store, name, *arguments) == getattr(model, name)(*arguments)
                assert call(store, "get_keys") == model.get_keys()
                key = arguments[0]
                assert call(store, "get_messages", key) == model.get_messages(key)
            for key in model.get_keys():
                plain = memory.beside(session=to_session(key))
                assert len(plain.messages()) == len(model.get_messages(key))
            assert memory.check().ok

    law()


# -- with statuses -------------------------------------------------------------------------

STATUS = st.sampled_from([ACTIVE, ARCHIVED])
ANY_STATUS = st.sampled_from([ACTIVE, ARCHIVED, None])
COUNTS = st.integers(0, 4)
ASYNC_STEPS = st.one_of(
    step("add_message", MESSAGES, STATUS),
    step("add_message", MESSAGES),
    step("add_messages", LISTS, STATUS),
    step("set_messages", LISTS, STATUS),
    step("set_messages", LISTS),
    step("delete_message", PLACES),
    step("delete_messages", ANY_STATUS),
    step("delete_oldest_messages", COUNTS),
    step("archive_oldest_messages", COUNTS),
    step("archive_oldest_messages", COUNTS),
    st.tuples(st.just("reopen"), st.just(())),
)


class Rows:
    """What a store of messages with statuses is: rows by key, in order of writing."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[ChatMessage, MessageStatus]]] = {}

    def get_messages(
        self,
        key: str,
        status: MessageStatus | None = ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        found = [m for m, s in self.rows.get(key, []) if status in (None, s)]
        return found[offset or 0 :][:limit]

    def count_messages(self, key: str, status: MessageStatus | None = ACTIVE) -> int:
        return len(self.get_messages(key, status))

    def get_keys(self) -> list[str]:
        return list(self.rows)

    def add_message(self, key: str, message: ChatMessage, status: MessageStatus = ACTIVE) -> None:
        self.add_messages(key, [message], status)

    def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = ACTIVE
    ) -> None:
        self._put(key, self.rows.get(key, []) + [(m, status) for m in messages])

    def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = ACTIVE
    ) -> None:
        others = [row for row in self.rows.get(key, []) if row[1] != status]
        self._put(key, others + [(m, status) for m in messages])

    def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        self._put(key, [r for r in self.rows.get(key, []) if status not in (None, r[1])])

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        active = [place for place, row in enumerate(self.rows.get(key, [])) if row[1] == ACTIVE]
        if not -len(active) <= idx < len(active):
            return None
        rows = list(self.rows[key])
        deleted = rows.pop(active[idx])
        self._put(key, rows)
        return deleted[0]

    def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        return [m for m in (self.delete_message(key, 0) for _ in range(n)) if m is not None]

    def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        rows = self.rows.get(key, [])
        places = [place for place, row in enumerate(rows) if row[1] == ACTIVE][:n]
        for place in places:
            rows[place] = (rows[place][0], ARCHIVED)
        return [rows[place][0] for place in places]

    def _put(self, key: str, rows: list[tuple[ChatMessage, MessageStatus]]) -> None:
        self.rows[key] = rows
        if not rows:
            del self.rows[key]


def dumped(messages: list[ChatMessage]) -> list[str]:
    return sorted(message.model_dump_json() for message in messages)


@pytest.mark.parametrize("kind", BACKENDS)
def test_any_operations_with_statuses_give_what_rows_give(kind: str) -> None:
    async def check(steps: list[Step], limit: int | None, offset: int | None) -> None:
        with targets(kind) as opened:
            store, model = CtxplugAsyncChatStore(opened()), Rows()
            for name, arguments in steps:
                if name == "reopen":
                    store = CtxplugAsyncChatStore(opened())
                    continue
                done = await getattr(store, name)(*arguments)
                assert done == getattr(model, name)(*arguments)
                assert sorted(await store.get_keys()) == sorted(model.get_keys())
                key = arguments[0]
                for status in (ACTIVE, ARCHIVED, None):
                    wanted = model.get_messages(key, status)
                    found = await store.get_messages(key, status)
                    if status is None:  # what is set again stands where it stood
                        found, wanted = dumped(found), dumped(wanted)
                    assert found == wanted
                    assert await store.count_messages(key, status) == len(wanted)
                    page = await store.get_messages(key, status, limit=limit, offset=offset)
                    all_of_it = await store.get_messages(key, status)
                    assert page == all_of_it[offset or 0 :][:limit]

    @settings(max_examples=120 if kind == "memory" else 40, deadline=None)
    @given(st.lists(ASYNC_STEPS, max_size=14), st.none() | st.integers(0, 4), st.none() | COUNTS)
    def law(steps: list[Step], limit: int | None, offset: int | None) -> None:
        asyncio.run(check(steps, limit, offset))

    law()


# -- keys ----------------------------------------------------------------------------------

ANY_KEY = st.text(max_size=40) | st.text("ab%2Fé/~:x", max_size=140) | st.text("%0123456789abcdef~")


@settings(max_examples=300, deadline=None)
@given(ANY_KEY, ANY_KEY)
@example("a/b", "a%2Fb")
@example("", "%")
@example("ctxplug:k", "ctxplug%3Ak")
@example("\ud800", "%ED%A0%80")
def test_any_text_is_a_key_and_no_two_are_one_session(one: str, other: str) -> None:
    session = to_session(one)
    assert legal_session(session) == session
    assert (to_session(other) == session) == (one == other)
    assert to_key(session) in (one, None)
    assert to_key(session) is not None or len(one) > 10


@settings(max_examples=300, deadline=None)
@given(ANY_KEY)
@example("100%")
@example("a%20b")
def test_any_session_is_a_key_that_leads_back_to_it(session: str) -> None:
    try:
        legal_session(session)
    except ValueError:
        return
    key = to_key(session)
    assert key is None or to_session(key) == session
