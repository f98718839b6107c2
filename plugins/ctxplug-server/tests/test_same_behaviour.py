"""A remote memory does what a local one does: messages, windows and memories."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ctxplug import Message
from ctxplug.context.sections import Section
from ctxplug.errors import (
    BudgetError,
    ClosedError,
    EmptyContextError,
    InvalidMessageError,
    InvalidNamespaceError,
    InvalidValueError,
    NotFoundError,
    UnknownComponentError,
)
from ctxplug.messages import (
    ImagePart,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.recall.weights import RecallWeights

Open = Callable[..., Any]
TEXTS = [
    "",
    "plain",
    "我上周搬到了里斯本,住在阿尔法玛。",
    "👩‍👩‍👧‍👦 e\u0301 \u202eright to left\u202c \u2028 \ufeff",
    "nul \x00, tab \t, bell \x07",
    "a lone surrogate \ud83d and another \udc00",
    "a pair that is none \ud83d\ude00",
    '"quotes" \\ and </script><b>',
]
TOOLS = [{"name": "book", "description": "Books.", "input_schema": {"type": "object"}}]


def filled(memory: Any, turns: int = 30) -> None:
    """Say so much that a small window has to be compacted."""
    said = []
    for turn in range(turns):
        call = ToolCallPart(f"call_{turn}", "look", {"turn": turn})
        said += [
            Message("user", f"Question {turn} about flight LX{turn} 第{turn}个问题。" * 3),
            Message("assistant", [TextPart("I look."), call]),
            Message(
                "tool", ToolResultPart(call.id, f"Row {turn}: 第{turn}行, EUR {turn}.50. " * 9)
            ),
            Message("assistant", f"Answer {turn}: EUR {turn}.50, gate {turn % 9}."),
        ]
    memory.extend([*said, Message("user", "And now?")])


# -- messages ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_code_point_by_code_point(memory: Any, text: str) -> None:
    added = memory.add("user", text, metadata={text or "empty": text})
    assert added.text == text
    [read] = memory.messages()
    assert read == added
    assert read.metadata == {text or "empty": text}


def test_a_message_keeps_all_that_it_was_given(memory: Any) -> None:
    given = Message(
        "assistant",
        [
            ThinkingPart("hm", signature="c2ln"),
            TextPart("Here.", extra={"anthropic": {"citations": [1]}}),
            ImagePart(data=b"hi", media_type="image/png"),
            OpaquePart("openai", {"type": "audio", "deep": [1, {"a": None}]}),
            ToolCallPart("c1", "look", {"日期": "明天", "n": 2**63 - 1}),
        ],
        name="planner",
        created_at="2026-05-01T10:30:00+08:00",
        metadata={"big": -(2**63), "half": 0.5, "none": None, "list": [1, [True]]},
        priority="high",
        pinned=True,
    )
    result = Message("tool", ToolResultPart("c1", "done", is_error=True, name="look"))
    assert memory.extend([given, result]) == [given, result]
    assert memory.messages() == [given, result]
    assert memory.messages(1) == [result]
    assert memory.messages(0) == []


def test_add_says_what_is_wrong(memory: Any) -> None:
    with pytest.raises(InvalidMessageError, match="Message alone"):
        memory.add(Message("user", "a"), "b")
    with pytest.raises(InvalidMessageError, match="takes Messages, not dict"):
        memory.extend([{"role": "user", "content": "a"}])
    with pytest.raises(InvalidMessageError):
        memory.add("robot", "a")
    with pytest.raises(InvalidValueError) as caught:
        memory.add("user", "a", metadata={"trip": [1, {2}]})
    assert caught.value.path == "metadata.trip[1]"
    assert memory.messages() == []


def test_several_are_stored_together_or_not_at_all(memory: Any) -> None:
    with pytest.raises(InvalidMessageError):
        memory.extend([Message("user", "a"), "b"])
    assert memory.messages() == []
    assert memory.extend([]) == []
    assert memory.session.head == 0


def test_a_session_is_read_by_whoever_opens_it_next(open_memory: Open) -> None:
    open_memory(session="trip").add("user", "one")
    again = open_memory(session="trip")
    again.add("assistant", "two")
    assert [m.text for m in open_memory(session="trip").messages()] == ["one", "two"]
    assert open_memory(session="other").messages() == []
    assert open_memory(session="trip", namespace="acme/nobody").messages() == []


@pytest.mark.parametrize("name", ["..", ".", "a b", "50%", "é/x".replace("/", "?"), "#", "会话;1"])
def test_a_session_may_have_any_name(open_memory: Open, name: str) -> None:
    memory = open_memory(session=name)
    memory.add("user", "hello")
    assert memory.session.id == name
    assert open_memory(session=name).messages()[0].text == "hello"
    assert name in {info.id for info in memory.sessions()}


# -- windows -----------------------------------------------------------------------------


def test_both_make_the_same_window(both: tuple[Any, Any]) -> None:
    here, there = both
    filled(here)
    here.remember("The user likes window seats 靠窗的座位")
    system = Message("system", "Be brief.")
    asked: Any = {"query": "window seats", "system": system, "tools": TOOLS}
    assert here.context(**asked).report.compaction
    first, second = here.context(**asked), there.context(**asked)
    assert second.report.compactions == 1
    assert second.to_openai() == first.to_openai()
    assert second.to_anthropic() == first.to_anthropic()
    assert second.to_anthropic(cache=False) == first.to_anthropic(cache=False)
    assert second.tokens == first.tokens
    assert second.report.to_dict() == first.report.to_dict()
    assert second.report.fates == first.report.fates
    assert second.report.recalled == first.report.recalled
    assert str(second.report) == str(first.report)


def test_what_was_sent_stays_the_same_bytes(open_memory: Open) -> None:
    memory = open_memory(session="trip", budget=600)
    filled(memory)
    before = memory.context().to_anthropic(cache=False)
    memory.add("assistant", "So.")
    memory.add("user", "Then?")
    after = memory.context().to_anthropic(cache=False)
    assert after["messages"][: len(before["messages"]) - 1] == before["messages"][:-1]


def test_a_compressed_part_leads_to_its_original(open_memory: Open) -> None:
    memory = open_memory(session="trip", budget=600)
    filled(memory)
    window = memory.context()
    versions = [version for fate in window.report.compressed for version in fate.versions]
    assert 3 in versions
    assert memory.original("@3")[0].content[0].text.startswith("Row 0: 第0行")
    assert len(memory.original("@1-4")) == 4
    assert memory.expand("@3").startswith("[tool] Row 0")
    assert memory.expand("@3", 7).startswith("Row 0")
    for wrong in ("@99999", "nonsense", "other@1"):
        with pytest.raises(NotFoundError):
            memory.original(wrong)


def test_a_window_that_cannot_be(memory: Any) -> None:
    with pytest.raises(EmptyContextError):
        memory.context()
    memory.add("user", "很长的问题 " * 400)
    with pytest.raises(BudgetError) as caught:
        memory.context(budget=100)
    assert caught.value.budget == 100
    assert caught.value.needed > 100
    for wrong in (0, -1, True, 1.5, "many"):
        with pytest.raises(InvalidValueError, match="above zero") as invalid:
            memory.context(budget=wrong)
        assert invalid.value.path == "budget"


def test_budgets_and_what_is_reserved(open_memory: Open) -> None:
    memory = open_memory(session="trip", budget=700)
    memory.add("user", "hello")
    assert memory.context().report.budget == 700
    assert memory.context(budget=300).report.budget == 300
    assert memory.context(reserved=50).report.tokens["reserved"] == 50
    with pytest.raises(BudgetError):
        memory.context(budget=60, reserved=58)


def test_sections_say_their_words(memory: Any) -> None:
    memory.sections.add("rules", "Answer in Portuguese 用葡萄牙语回答。")
    memory.sections.add("asked", lambda m, q: [f"about {q}", f"{len(m.messages())} said"])
    asked: list[str | None] = []
    memory.sections.add("once", lambda m, q: asked.append(q) or "kept", cacheable=True)
    memory.add("user", "Where to?")
    window = memory.context()
    assert "用葡萄牙语回答" in window.messages[0].text
    assert "kept" in window.messages[0].text
    assert "about Where to?" in window.messages[-1].text
    assert "1 said" in window.messages[-1].text
    memory.context()
    assert asked == [None]
    memory.sections.refresh("once")
    memory.context()
    assert asked == [None, None]


def test_a_section_that_fails_is_left_out_and_named(memory: Any) -> None:
    def fails(memory: Any, query: str) -> str:
        raise RuntimeError("no")

    memory.sections.add("broken", fails)
    memory.sections.add("silent", lambda m, q: "")
    memory.add("user", "hello")
    told = {fate.name: (fate.fate, fate.why) for fate in memory.context().report.sections}
    assert told["broken"] == ("left out", "it raised RuntimeError")
    assert told["silent"][1] == "it says nothing"


def test_sections_of_one_call(memory: Any) -> None:
    memory.sections.add("rules", "Be brief.")
    memory.add("user", "hello")
    own = memory.context(sections=[Section("only", "Be long.")])
    assert [fate.name for fate in own.report.sections] == ["only"]
    assert [f.name for f in memory.context(sections=["rules"]).report.sections] == ["rules"]
    assert memory.context(sections=[]).report.sections == ()
    with pytest.raises(NotFoundError, match="no section 'nope'"):
        memory.context(sections=["nope"])


def test_a_section_may_ask_for_a_window_itself(memory: Any) -> None:
    memory.sections.add("inner", lambda m, q: f"{len(m.context().report.sections)} inside")
    memory.add("user", "hello")
    assert "0 inside" in memory.context().messages[-1].text


# -- memories ----------------------------------------------------------------------------


def test_a_memory_is_kept_with_all_that_it_was_given(memory: Any) -> None:
    record = memory.remember(
        "Prefers window seats 喜欢靠窗的座位",
        kind="preference",
        importance=0.9,
        tags=["travel", "旅行"],
        metadata={"from": "form", "n": [1, None]},
        ttl=timedelta(days=400),
        origin="tool:form",
        valid_from="2026-01-01",
    )
    assert record.kind == "preference"
    assert record.tags == ("travel", "旅行")
    assert {**record.metadata, "from": "form", "n": [1, None]} == record.metadata
    assert record.session == "trip"
    assert record.trust == "tool"
    assert record.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert record.expires_at is not None
    assert memory.memories() == [record]


def test_recall_finds_by_what_is_asked(memory: Any) -> None:
    memory.remember("Prefers window seats", kind="preference", tags="travel")
    memory.remember("喜欢靠窗的座位", kind="fact", metadata={"lang": "zh"})
    memory.add("user", "My window is broken", metadata={"room": 7})
    found = memory.recall("window")
    assert {one.record.kind for one in found} == {"preference", "message"}
    assert [one.record.content for one in memory.recall("靠窗")] == ["喜欢靠窗的座位"]
    [said] = memory.recall("window", kinds="message")
    assert said.record.metadata["session"] == "trip"
    assert said.record.metadata["room"] == 7
    assert said.score == pytest.approx(sum(said.why.values()))
    assert [o.record.kind for o in memory.recall("window", tags=["travel"])] == ["preference"]
    assert len(memory.recall("window", k=1)) == 1
    assert memory.recall("靠窗", metadata={"lang": "en"}) == []
    assert memory.recall("window", until="2020-01-01") == []
    assert memory.recall("window", since=datetime(2020, 1, 1), agent="nobody") == []
    weighted = memory.recall("window", weights=RecallWeights(recency=0))
    assert all("recency" not in one.why or not one.why["recency"] for one in weighted)


def test_what_is_superseded_holds_no_longer(memory: Any) -> None:
    old = memory.remember("Lives in Porto", valid_from="2026-01-01")
    new = memory.remember("Lives in Lisbon", supersedes=old.id, valid_from="2026-06-01")
    assert [r.id for r in memory.memories()] == [new.id]
    assert {r.id for r in memory.memories(include_superseded=True)} == {old.id, new.id}
    assert [r.id for r in memory.memories(valid_at="2026-03-01")] == [old.id]
    with pytest.raises(NotFoundError):
        memory.remember("a", supersedes="nothing")


def test_a_memory_is_changed_promoted_and_forgotten(memory: Any) -> None:
    record = memory.remember("Lives in Porto", kind="note", importance=0.1, ttl=60)
    changed = memory.update(record.id, content="Lives in Lisbon", tags=["home"], ttl=float("inf"))
    assert (changed.content, changed.tags, changed.expires_at) == (
        "Lives in Lisbon",
        ("home",),
        None,
    )
    assert memory.promote(record.id, "long").tier == "long"
    with pytest.raises(InvalidValueError, match="tier"):
        memory.promote(record.id, "short")
    with pytest.raises(InvalidValueError) as invalid:
        memory.update(record.id, importance=7)
    assert invalid.value.path == "importance"
    memory.forget(record.id)
    for gone in (memory.forget, memory.promote, lambda id: memory.update(id, kind="x")):
        with pytest.raises(NotFoundError, match="no memory"):
            gone(record.id)


def test_memories_are_listed_in_pages(memory: Any) -> None:
    for number in range(5):
        memory.remember(f"fact number {number} of {uuid.uuid4()}")
    pages = [memory.memories(limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [r.id for page in pages for r in page] == [r.id for r in memory.memories()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"importance": 2},
        {"importance": "high"},
        {"kind": ""},
        {"kind": "message"},
        {"metadata": {"a": {1, 2}}},
        {"valid_from": "never"},
        {"ttl": -5},
    ],
)
def test_what_cannot_be_remembered(memory: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError):
        memory.remember("content", **wrong)
    assert memory.memories() == []


# -- opening and closing -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"namespace": ""}, InvalidNamespaceError),
        ({"namespace": "a//b"}, InvalidNamespaceError),
        ({"namespace": "ctxplug:audit/x"}, InvalidNamespaceError),
        ({"session": ""}, InvalidNamespaceError),
        ({"session": "a/b"}, InvalidNamespaceError),
        ({"agent": "a/b"}, InvalidNamespaceError),
        ({"budget": 0}, InvalidValueError),
        ({"policy": "generous"}, UnknownComponentError),
    ],
)
def test_what_cannot_be_opened(open_memory: Open, options: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        open_memory(**options)


def test_a_memory_beside_another_shares_what_is_not_said(open_memory: Open) -> None:
    memory = open_memory(session="trip", agent="planner", budget=900, policy="aggressive")
    memory.sections.add("rules", "Be brief.")
    beside = memory.beside(session="other")
    assert (beside.scope.agent, beside.budget, beside.policy.name) == ("planner", 900, "aggressive")
    beside.add("user", "hi")
    assert [f.name for f in beside.context().report.sections] == ["rules"]
    assert memory.messages() == []
    below = memory.beside(namespace=(*memory.scope.namespace, "team"), policy="conservative")
    assert below.recall("hi") == []


def test_what_was_closed_is_closed(memory: Any) -> None:
    session, tools, trace = memory.session, memory.tools, memory.trace
    memory.close()
    memory.close()
    for verb in (
        memory.messages,
        lambda: memory.add("user", "a"),
        lambda: memory.context(),
        lambda: memory.recall("a"),
        lambda: memory.remember("a"),
        lambda: memory.beside(),
        memory.stats,
        session.info,
        tools.names,
        trace.steps,
    ):
        with pytest.raises(ClosedError):
            verb()


def test_a_context_manager_closes(open_memory: Open) -> None:
    with open_memory(session="trip") as memory:
        memory.add("user", "a")
    with pytest.raises(ClosedError):
        memory.messages()

    async def use() -> Any:
        async with open_memory(session="trip") as memory:
            await memory.aadd("assistant", "b")
        return memory

    with pytest.raises(ClosedError):
        asyncio.run(use()).messages()


# -- threads and tasks -------------------------------------------------------------------


def test_threads_lose_nothing(memory: Any) -> None:
    def add(name: int) -> None:
        for number in range(10):
            memory.add("user", f"{name}:{number}")
            if number % 5 == 0:
                memory.recall(f"{name}")

    threads = [threading.Thread(target=add, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [message.text for message in memory.messages()]
    assert len(said) == 60
    for name in range(6):
        mine = [text for text in said if text.startswith(f"{name}:")]
        assert mine == [f"{name}:{number}" for number in range(10)]


def test_every_a_twin_does_what_its_verb_does(memory: Any) -> None:
    async def use() -> None:
        await memory.aextend([Message("user", "one"), Message("assistant", "two")])
        added = await memory.aadd("user", "three 三")
        assert await memory.amessages(1) == [added]
        assert (await memory.aoriginal("@1"))[0].text == "one"
        assert await memory.aexpand("@1") == "[user] one"
        memory.sections.add("said", lambda m, q: f"{len(m.messages())} messages")
        window = await memory.acontext("three", system="Be brief.")
        assert window.messages[-1].text.startswith("three 三") or "三" in window.messages[-1].text
        assert "3 messages" in window.messages[-1].text
        record = await memory.aremember("Likes tea 喜欢茶")
        assert (await memory.arecall("tea"))[0].record.id == record.id
        assert (await memory.aupdate(record.id, tags=["drink"])).tags == ("drink",)
        assert (await memory.apromote(record.id)).tier == "long"
        assert [r.id for r in await memory.amemories()] == [record.id]
        await memory.aforget(record.id)
        assert (await memory.astats()).messages == 3
        assert (await memory.acheck()).ok
        assert [info.id for info in await memory.asessions()] == ["trip"]
        assert (
            await memory.arecord_usage({"input_tokens": 5, "output_tokens": 1})
        ).usage.total == 6
        assert not (await memory.amaintain(dry_run=True)).changes
        assert (await memory.aerase()).entries
        await memory.aclose()

    asyncio.run(use())


def test_tasks_at_once(memory: Any) -> None:
    async def use() -> list[Any]:
        await asyncio.gather(*(memory.aadd("user", str(number)) for number in range(25)))
        return await asyncio.gather(*(memory.amessages() for _ in range(5)))

    for said in asyncio.run(use()):
        assert sorted(int(message.text) for message in said) == list(range(25))


def test_one_event_loop_after_another(memory: Any) -> None:
    for number in range(3):
        asyncio.run(memory.aadd("user", str(number)))
    memory.add("user", "3")
    assert [message.text for message in memory.messages()] == ["0", "1", "2", "3"]


def test_a_cancelled_task_leaves_no_half_of_a_write(memory: Any) -> None:
    async def use() -> None:
        for delay in (0, 0.001, 0.003, 0.01):
            messages = [Message("user", f"{delay}:{i}") for i in range(20)]
            task = asyncio.create_task(memory.aextend(messages))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await memory.aadd("user", "end")

    asyncio.run(use())
    said = [message.text for message in memory.messages()]
    assert "end" in said
    for delay in (0, 0.001, 0.003, 0.01):
        assert sum(text.startswith(f"{delay}:") for text in said) in (0, 20)


def test_a_query_is_text(memory: Any) -> None:
    memory.add("user", "Hello 你好")
    for ask in (memory.context, memory.recall):
        with pytest.raises(InvalidValueError, match="A query is text, not 5") as caught:
            ask(5)
        assert caught.value.path == "query"
