"""The fakes of ctxplug.testing: each passes its suite, and does what a test needs of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ctxplug import AgentMemory, Message
from ctxplug.compression import Summarizer
from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import InvalidValueError, UsageLimitError
from ctxplug.hookspecs import hookimpl
from ctxplug.isolation import Guard
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.testing import EmbedderSuite, FakeClock, FakeEmbedder, FakeSummarizer, SummarizerSuite
from ctxplug.testing.suite import from_threads
from ctxplug.tokens.ledger import UsageLedger
from ctxplug.tokens.limits import UsageLimits

ALICE = Scope(("acme", "alice"), "trip")


class TestFakeSummarizer(SummarizerSuite):
    @pytest.fixture
    def summarizer(self) -> Summarizer:
        return FakeSummarizer()


class TestFakeEmbedder(EmbedderSuite):
    @pytest.fixture
    def embedder(self) -> Any:
        pytest.importorskip("numpy")
        return FakeEmbedder()


# -- the clock ---------------------------------------------------------------------


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = FakeClock("2026-05-01T09:00+08:00")
    assert clock() == clock() == clock.now == datetime(2026, 5, 1, 1, tzinfo=UTC)
    before = clock.seconds()
    assert clock.advance(30) == clock.now
    clock.advance(timedelta(minutes=1))
    clock.advance(days=1, hours=2)
    assert clock.seconds() - before == 30 + 60 + 26 * 3600
    assert clock.advance(-1) < clock.advance(1)
    assert clock.set(0) == datetime(1970, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidValueError, match="not a time"):
        FakeClock("soon")


def test_a_clock_with_a_step_never_says_the_same_twice() -> None:
    clock = FakeClock(step=0.5)
    times = [
        time for times in from_threads(lambda _: [clock() for _ in range(50)]) for time in times
    ]
    assert len(set(times)) == len(times) == 400
    assert clock.now == max(times) + timedelta(seconds=0.5)


def test_a_day_of_usage_goes_by_without_waiting() -> None:
    clock = FakeClock("2026-05-01T23:59:00+00:00")
    limits = UsageLimits(daily_tokens=1_000)
    ledger = UsageLedger(InMemoryBackend(), ALICE, limits=limits, clock=clock)
    ledger.record({"input_tokens": 900, "output_tokens": 50}, model="gpt-4o")
    with pytest.raises(UsageLimitError):
        ledger.check(100)
    clock.advance(minutes=2)
    ledger.check(100)


def test_the_pause_of_a_guard_ends_without_waiting() -> None:
    answers: list[Any] = [ValueError("no")] * 5 + ["text"]

    class Fails:
        @hookimpl
        def redact(self, text: str) -> str:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

    plugins, clock = Plugins(load_entry_points=False, environ={}), FakeClock()
    plugins.register(Fails(), "fails")
    guard = Guard(plugins.implementations("redact")[0], clock=clock.seconds)
    for _ in range(5):
        with pytest.raises(Exception, match="raised ValueError"):
            guard(text="x", scope=ALICE)
    with pytest.raises(Exception, match="paused for 30 s"):
        guard(text="x", scope=ALICE)
    clock.advance(31)
    assert guard(text="x", scope=ALICE) == "text"


def test_messages_and_memories_have_the_times_that_it_says() -> None:
    clock = FakeClock("2026-05-01", step=60)
    with AgentMemory.open("memory:", namespace=ALICE.namespace) as memory:
        for text in ("I moved to Lisbon.", "我搬到了里斯本。"):
            memory.add("user", text, created_at=clock())
        record = memory.remember("Lives in Lisbon", valid_from=clock())
        minutes = [message.created_at.minute for message in memory.messages()]
        assert [*minutes, record.valid_from and record.valid_from.minute] == [0, 1, 2]


# -- the summarizer ----------------------------------------------------------------


def talk() -> Sequence[Message]:
    said = ["Book the flight. It is cheap.", "已订好。订单号是 QX-771。", "Thanks!"]
    return [Message("user", text) for text in said]


def test_a_summary_is_the_first_sentences_and_it_is_told_what_was_asked() -> None:
    fake = FakeSummarizer()
    assert fake.summarize(talk(), 100) == "Book the flight.\n已订好。\nThanks!"
    assert fake.summarize(talk(), 6) == "Book the flight."
    assert [(len(messages), target) for messages, target in fake.asked] == [(3, 100), (3, 6)]


def test_its_answer_can_be_given_computed_or_an_error() -> None:
    assert FakeSummarizer("没什么。").summarize(talk(), 9) == "没什么。"
    assert FakeSummarizer("").summarize(talk(), 9) == ""
    said = FakeSummarizer(lambda messages, target: f"{len(messages)} in {target}")
    assert said.summarize(talk(), 9) == "3 in 9"
    with pytest.raises(TimeoutError, match="too slow"):
        FakeSummarizer(TimeoutError("too slow")).summarize(talk(), 9)


@pytest.mark.parametrize("answer", ["They ordered boxes. 订了箱子。", OSError("down")], ids=str)
def test_a_window_is_made_with_it(answer: Any) -> None:
    fake = FakeSummarizer(answer)
    policy = ContextPolicy(strategies=("summarize",), summarizer=fake)
    with AgentMemory.open(namespace="acme/alice", budget=1_500, policy=policy) as memory:
        for i in range(30):
            memory.add("user", f"Item {i}: please order {i + 3} boxes of size {i * 7}. " * 4)
            memory.add("assistant", f"Ordered, number B-{i}. 已下单。 " * 4)
        window = memory.context()
    text = "\n".join(message.text for message in window.messages)
    assert fake.asked
    assert ("订了箱子" in text) == isinstance(answer, str)
    assert ("extractive" in str(window.report)) != isinstance(answer, str)


# -- the embedder ------------------------------------------------------------------


def test_texts_with_words_in_common_are_near_in_english_and_in_chinese() -> None:
    pytest.importorskip("numpy")
    fake = FakeEmbedder()
    texts = ["She prefers window seats.", "a seat at the window", "The invoice is due in May."]
    chinese = ["女儿对花生过敏", "她女儿过敏吗", "五月十五日付款"]
    for first, near, far in (texts, chinese):
        a, b, c = fake.embed([first, near, far])
        assert a @ b > 0.3 > abs(a @ c)
    assert fake.asked == [tuple(texts), tuple(chinese)]


def test_two_embedders_of_one_name_agree_and_the_dimension_is_in_it() -> None:
    pytest.importorskip("numpy")
    assert (FakeEmbedder().embed(["里斯本"]) == FakeEmbedder().embed(["里斯本"])).all()
    assert FakeEmbedder(32).embed(["Lisbon"]).shape == (1, 32)
    assert FakeEmbedder(32).name != FakeEmbedder(64).name


def test_recall_finds_by_it_and_goes_on_without_it() -> None:
    pytest.importorskip("numpy")
    fake = FakeEmbedder()
    with AgentMemory.open("memory:", namespace="acme/alice", embedder=fake) as memory:
        memory.remember("Prefers window seats")
        memory.remember("女儿对花生过敏")
        assert memory.recall("花生")[0].record.content == "女儿对花生过敏"
        fake.fails = OSError("no service")
        assert memory.recall("seats")[0].record.content == "Prefers window seats"
