"""CtxplugChatMessageHistory and its factories, under RunnableWithMessageHistory."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core._api import LangChainDeprecationWarning
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_ctxplug.chat_message_histories import (
    CtxplugChatMessageHistory,
    ctxplug_history,
    ctxplug_user_history,
)

from ctxplug import AgentMemory
from ctxplug.errors import InvalidMessageError, InvalidNamespaceError, StorageFullError
from ctxplug.storage import Op
from ctxplug.storage.in_memory import InMemoryBackend


def with_history(runnable: Any, histories: Any, **options: Any) -> RunnableWithMessageHistory:
    """RunnableWithMessageHistory says that it is deprecated; no other warning may pass."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            message=".*RunnableWithMessageHistory",
            category=LangChainDeprecationWarning,
        )
        return RunnableWithMessageHistory(runnable, histories, **options)


def model(*answers: str) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter([AIMessage(answer) for answer in answers]))


def said(messages: list[BaseMessage]) -> list[str]:
    return [str(message.content) for message in messages]


class Full(InMemoryBackend):
    """A disk that is full while `full`."""

    full = False

    def write(self, *ops: Op) -> list[int]:
        if self.full:
            raise StorageFullError("No space is left on the disk.")
        return super().write(*ops)


@pytest.fixture(params=["memory:", "sqlite"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CtxplugChatMessageHistory]:
    if request.param == "memory:":
        history = CtxplugChatMessageHistory()
    else:
        history = CtxplugChatMessageHistory(tmp_path / "h.db", namespace="acme", session="trip")
    yield history
    history.close()


# -- the raw log -----------------------------------------------------------------------------


def test_messages_are_the_raw_log_in_full(history: CtxplugChatMessageHistory) -> None:
    call: Any = {"name": "look", "args": {"city": "里斯本"}, "id": "c1", "type": "tool_call"}
    usage: Any = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    given = [
        SystemMessage("Be brief."),
        HumanMessage("我住在里斯本", name="alice", id="h1"),
        AIMessage([{"type": "text", "text": "looking"}], tool_calls=[call]),
        ToolMessage("sunny " * 3_000, tool_call_id="c1", artifact={"n": 1}),
        AIMessage("Sunny.", usage_metadata=usage),
    ]
    assert history.messages == []
    history.add_messages(given[:2])
    assert history.messages == given[:2]
    history.add_messages(given[2:])
    assert history.messages == given and isinstance(history.messages, list)
    history.messages.append(HumanMessage("not stored"))
    history.messages[0].content = "changed"
    assert history.messages == given
    history.add_user_message("and now?")
    history.add_ai_message("now too")
    assert said(history.messages)[5:] == ["and now?", "now too"]


def test_plain_memory_and_histories_share_one_session(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    with AgentMemory.open(path, namespace="acme", session="trip") as memory:
        memory.add("user", "written by plain ctxplug")
        history = CtxplugChatMessageHistory(path, namespace="acme", session="trip")
        history.add_ai_message("written by LangChain")
        assert said(history.messages) == ["written by plain ctxplug", "written by LangChain"]
        assert [m.text for m in memory.messages()] == said(history.messages)
        own = CtxplugChatMessageHistory(memory)
        memory.add("user", "and more")
        assert said(own.messages) == said(history.messages)
        memory.erase()
        assert own.messages == [] and history.messages == []
        memory.add("user", "a new beginning")
        assert said(history.messages) == ["a new beginning"]
        memory.erase()
        memory.add("user", "as long as before")  # and nobody looked in between
        assert said(history.messages) == ["as long as before"]
        own.close()
        assert memory.messages()
        history.close()


async def test_async_twins(history: CtxplugChatMessageHistory) -> None:
    await history.aadd_messages([HumanMessage("q"), AIMessage("a")])
    assert said(await history.aget_messages()) == ["q", "a"]
    assert said(await history.awindow_messages()) == ["q", "a"]
    assert (await history.awindow(2_000)).tokens > 0
    await history.aclear()
    assert await history.aget_messages() == []


def test_clear_hides_what_was_said_and_rewrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "h.db"
    history = CtxplugChatMessageHistory(path, namespace="acme", session="trip")
    other = CtxplugChatMessageHistory(path, namespace="acme", session="trip")
    for number in range(3):
        history.add_messages([HumanMessage(f"question {number}"), AIMessage("answer")])
        assert said(other.messages)[0] == f"question {number}"
        history.clear()
        history.clear()  # nothing to clear: no generation more
        assert history.messages == [] == other.messages and history.window_messages() == []
    other.add_user_message("third")
    assert said(history.messages) == ["third"] == said(history.window_messages())
    history.close(), other.close()
    again = CtxplugChatMessageHistory(path, namespace="acme", session="trip")
    assert said(again.messages) == ["third"]
    again.close()
    with AgentMemory.open(path, namespace="acme", session="trip") as memory:
        assert [m.text for m in memory.messages()] == ["question 0", "answer"]
        assert memory.check().ok
        memory.erase()
        assert memory.backend.namespaces() == []


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([None, "clear", "hi", "你好"])), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_two_handles_of_one_conversation_see_the_same(steps: list[tuple[int, str | None]]) -> None:
    with AgentMemory.open("memory:", namespace="acme", session="trip") as memory:
        handles = [CtxplugChatMessageHistory(memory), CtxplugChatMessageHistory(memory)]
        expected: list[str] = []
        for which, step in steps:
            if step == "clear":
                handles[which].clear()
                expected = []
            elif step:
                handles[which].add_messages([HumanMessage(step), AIMessage("yes")])
                expected += [step, "yes"]
            assert said(handles[which].messages) == expected
        assert said(handles[0].messages) == expected == said(handles[1].messages)


def test_a_session_with_a_name_as_long_as_allowed_can_be_cleared(tmp_path: Path) -> None:
    histories = ctxplug_history(tmp_path / "h.db", namespace="acme")
    for name in ("x" * 128, "长" * 300, "a/b\n", "%g2"):
        histories(name).add_user_message(f"before {name[:3]}")
        histories(name).clear()
        histories(name).add_user_message(f"after {name[:3]}")
    for name in ("x" * 128, "长" * 300, "a/b\n", "%g2"):
        assert said(histories(name).messages) == [f"after {name[:3]}"]
    histories.close()


def test_the_window_has_its_own_name_and_fits(history: CtxplugChatMessageHistory) -> None:
    for number in range(60):
        history.add_messages(
            [HumanMessage(f"第{number}个问题 " + "about the trip " * 20), AIMessage("answer " * 20)]
        )
    window = history.window(1_500)
    assert window.tokens <= 1_500
    seen = history.window_messages(1_500)
    assert 0 < len(seen) < 60 and said(seen)[-1] == said(history.messages)[-1]
    assert len(history.messages) == 120


# -- under the runnable ------------------------------------------------------------------------


@pytest.mark.parametrize("with_key", [False, True])
async def test_turns_sync_async_and_streamed(tmp_path: Path, with_key: bool) -> None:
    seen: list[list[str]] = []

    def note(value: Any) -> Any:
        seen.append(said(value if isinstance(value, list) else value.to_messages()))
        return value

    answers = model("one", "two", "three words here", "four words here")
    config: Any = {"configurable": {"session_id": "s"}}
    histories = ctxplug_history(tmp_path / "h.db", namespace="acme")
    if with_key:
        prompt = ChatPromptTemplate.from_messages(
            [("system", "Be brief."), MessagesPlaceholder("past"), ("human", "{question}")]
        )
        chain = with_history(
            prompt | RunnableLambda(note) | answers,
            histories,
            input_messages_key="question",
            history_messages_key="past",
        )
        turns: list[Any] = [{"question": f"q{n}"} for n in range(4)]
    else:
        chain = with_history(RunnableLambda(note) | answers, histories)
        turns = [[HumanMessage(f"q{n}")] for n in range(4)]
    chain.invoke(turns[0], config)
    await chain.ainvoke(turns[1], config)
    assert len(list(chain.stream(turns[2], config))) > 1
    assert len([chunk async for chunk in chain.astream(turns[3], config)]) > 1
    expected = ["q0", "one", "q1", "two", "q2", "three words here", "q3", "four words here"]
    assert said(histories("s").messages) == expected
    assert seen[-1] == [*(["Be brief."] if with_key else []), *expected[:7]]
    histories.close()


def test_invocations_of_one_session_at_once_lose_no_message() -> None:
    """Another turn that is written in between must not make a runnable cut its own input."""
    histories = ctxplug_history("memory:", namespace="acme")
    config: Any = {"configurable": {"session_id": "s"}}

    def meanwhile(messages: Any) -> AIMessage:
        if messages[-1].content == "outer":
            inner.invoke([HumanMessage("inner")], config)
        return AIMessage(f"to {messages[-1].content}")

    inner = with_history(RunnableLambda(meanwhile), histories)
    inner.invoke([HumanMessage("outer")], config)
    assert said(histories("s").messages) == ["inner", "to inner", "outer", "to outer"]
    histories.close()


@pytest.mark.parametrize("spec", ["memory:", "file"])
def test_users_are_apart_in_fifty_threads(tmp_path: Path, spec: str) -> None:
    target = f"sqlite:///{tmp_path}/h.db?synchronous=normal" if spec == "file" else spec
    histories = ctxplug_user_history(target, namespace="acme")
    chain = with_history(
        RunnableLambda(lambda messages: AIMessage(f"heard {messages[-1].content}")),
        histories,
        history_factory_config=list(histories.config),
    )

    def talk(user: int) -> None:
        config: Any = {"configurable": {"user_id": f"u/{user}", "session_id": "会话"}}
        for turn in range(4):
            chain.invoke([HumanMessage(f"{user}-{turn}")], config)

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(talk, range(50)))
    for user in range(50):
        wanted = [f"{head}{user}-{turn}" for turn in range(4) for head in ("", "heard ")]
        assert said(histories(f"u/{user}", "会话").messages) == wanted
    assert histories("u", "会话").messages == []
    histories.close()


def test_ids_that_are_missing_or_empty_are_refused() -> None:
    histories = ctxplug_user_history("memory:", namespace="acme")
    chain = with_history(model("x"), histories, history_factory_config=list(histories.config))
    with pytest.raises(ValueError, match="Missing keys"):
        chain.invoke([HumanMessage("q")], {"configurable": {"session_id": "s"}})
    for user in ("", None, 5):
        with pytest.raises(ValueError, match="A name is text"):
            histories(user, "s")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="namespace"):
        ctxplug_history("somewhere.db")
    with pytest.raises(InvalidNamespaceError):
        CtxplugChatMessageHistory("memory:", namespace="")
    histories.close()


def test_a_factory_over_a_memory_keeps_its_settings() -> None:
    with AgentMemory.open(
        "memory:", namespace="acme", budget=900, agent="planner", capture="auto"
    ) as memory:
        histories = ctxplug_history(memory)
        history = histories("s")
        history.add_user_message("hi")
        history.clear()
        history.add_user_message("My name is Ann and I live in Lisbon.")
        assert any(one.record.kind != "message" for one in memory.recall("Lisbon"))  # captured
        assert history.memory.budget == 900 and history.memory.scope.agent == "planner"
        assert history.memory.session.id in [info.id for info in memory.sessions()]
        histories.close()
        assert memory.messages() == []


# -- write errors ------------------------------------------------------------------------------


def test_a_write_that_fails_is_raised_at_the_next_access_and_tried_again() -> None:
    """The runnable only logs what its listener raises; stock histories lose the turn."""
    backend = Full()
    histories = ctxplug_history(backend, namespace="acme")
    chain = with_history(model("one", "two", "three"), histories)
    config: Any = {"configurable": {"session_id": "s"}}
    chain.invoke([HumanMessage("q1")], config)
    backend.full = True
    assert chain.invoke([HumanMessage("q2")], config).content == "two"
    history = histories("s")
    assert isinstance(history.last_error, StorageFullError)
    assert said(history.unsaved) == ["q2", "two"]
    with pytest.raises(StorageFullError) as raised:
        chain.invoke([HumanMessage("q3")], config)
    assert "2 messages of the session 's' are not saved" in raised.value.__notes__[0]
    for access in (lambda: history.messages, history.window, history.window_messages):
        with pytest.raises(StorageFullError):
            access()
    backend.full = False
    assert said(history.messages) == ["q1", "one", "q2", "two"]
    assert history.last_error is None and history.unsaved == []
    chain.invoke([HumanMessage("q3")], config)
    assert said(histories("s").messages)[4:] == ["q3", "three"]


def test_what_failed_keeps_its_place_before_what_follows() -> None:
    backend = Full()
    history = CtxplugChatMessageHistory(backend, namespace="acme")
    backend.full = True
    for number in range(3):
        with pytest.raises(StorageFullError):
            history.add_user_message(str(number))
    backend.full = False
    history.add_user_message("3")
    assert said(history.messages) == ["0", "1", "2", "3"]


def test_what_can_never_be_stored_is_given_up_by_the_user_alone() -> None:
    history = CtxplugChatMessageHistory()
    with pytest.raises(InvalidMessageError):
        history.add_messages([HumanMessage("kept back"), RemoveMessage(id="x")])
    with pytest.raises(InvalidMessageError):
        _ = history.messages
    dropped = history.drop_unsaved()
    assert said(dropped[:1]) == ["kept back"]
    assert history.messages == [] and history.last_error is None
    history.add_messages(dropped[:1])
    assert said(history.messages) == ["kept back"]


def test_a_factory_forgets_no_conversation_with_something_unsaved() -> None:
    backend = Full()
    histories = ctxplug_history(backend, namespace="acme")
    kept = histories("kept")
    backend.full = True
    with pytest.raises(StorageFullError):
        kept.add_user_message("hold this")
    backend.full = False
    for number in range(300):
        histories(str(number))
    assert said(histories("kept").messages) == ["hold this"]


async def test_histories_on_several_loops() -> None:
    histories = ctxplug_history("memory:", namespace="acme")

    def on_a_loop(number: int) -> list[str]:
        async def turns() -> list[str]:
            await histories(str(number)).aadd_messages([HumanMessage(f"hi {number}")])
            return said(await histories(str(number)).aget_messages())

        return asyncio.run(turns())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(on_a_loop, range(8))) == [[f"hi {n}"] for n in range(8)]
    histories.close()
