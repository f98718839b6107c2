"""Importance scorers one by one, and the conformance suite on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from ctxplug import MemoryRecord, Message, hookimpl
from ctxplug.errors import InvalidValueError, UnknownComponentError
from ctxplug.hookspecs import Register
from ctxplug.messages import ToolCallPart, ToolResultPart
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.scoring import History, ImportanceScorer, score_all
from ctxplug.scoring.access import Access
from ctxplug.scoring.content import Content
from ctxplug.scoring.feedback import Feedback
from ctxplug.scoring.kind import Kind
from ctxplug.scoring.recency import Recency, recency
from ctxplug.scoring.reference import Reference
from ctxplug.scoring.role import Role
from ctxplug.testing.scorer_suite import ImportanceScorerSuite

NOW = datetime(2024, 6, 1, tzinfo=UTC)
EMPTY = History()


def record(content: str = "x", **fields: Any) -> MemoryRecord:
    values = {"id": "r", "kind": "fact", "created_at": NOW, **fields}
    return MemoryRecord(namespace=("acme",), content=content, **values)


# -- the law, for each built-in ----------------------------------------------------


@pytest.mark.parametrize(
    "scorer",
    [
        *(Recency(), recency("50"), recency("12h"), Role(), Content(), Access(), Kind()),
        *(Reference(), Feedback()),
    ],
    ids=lambda scorer: scorer.name,
)
class TestBuiltIns(ImportanceScorerSuite):
    @pytest.fixture
    def scorer(self) -> ImportanceScorer:  # the parameter takes its place
        raise AssertionError


class TestTheSuiteItself:
    @pytest.mark.parametrize("answer", [1.5, -0.1, float("nan"), None, True, "0.5"])
    def test_an_answer_out_of_range_fails_it(self, answer: Any) -> None:
        with pytest.raises(AssertionError):
            ImportanceScorerSuite().test_an_item_outside_the_history_is_scored(_Says(answer))

    def test_a_scorer_that_changes_its_input_fails_it(self) -> None:
        check = _once(ImportanceScorerSuite.test_nothing_that_is_passed_in_is_changed)
        with pytest.raises(AssertionError):
            check(_Scribbles(), messages=[Message("user", "x")], record=record())

    def test_a_scorer_that_counts_its_calls_fails_it(self) -> None:
        check = _once(
            ImportanceScorerSuite.test_messages_score_from_zero_to_one_and_always_the_same
        )
        with pytest.raises(AssertionError):
            check(_Counts(), messages=[Message("user", "x")], now=NOW)


def _once(test: Any) -> Any:
    """Return the suite's test as a function of one example, without Hypothesis around it."""
    return partial(test.hypothesis.inner_test, ImportanceScorerSuite())


@dataclass
class _Says:
    answer: Any
    name: str = "says"

    def score(self, item: Any, now: datetime, history: History) -> Any:
        return self.answer


class _Scribbles:
    name = "scribbles"

    def score(self, item: Any, now: datetime, history: History) -> float:
        item.metadata["seen"] = True
        return 0.5


class _Counts:
    name = "counts"

    def __init__(self) -> None:
        self.calls = 0

    def score(self, item: Any, now: datetime, history: History) -> float:
        self.calls += 1
        return 1 / self.calls


# -- by name -----------------------------------------------------------------------

TARGETS = {
    "recency": "ctxplug.scoring.recency:recency",
    "role": "ctxplug.scoring.role:Role",
    "content": "ctxplug.scoring.content:Content",
    "access": "ctxplug.scoring.access:Access",
    "kind": "ctxplug.scoring.kind:Kind",
    "reference": "ctxplug.scoring.reference:Reference",
    "feedback": "ctxplug.scoring.feedback:Feedback",
}


class Offers:
    @hookimpl
    def register_importance_scorers(self, register: Register) -> None:
        for name, target in TARGETS.items():
            register(f"test.{name}", target)


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_is_a_factory_that_the_registry_can_call(name: str) -> None:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Offers(), "offers")
    registry = Registry(plugins)
    assert registry.resolve("importance scorer", f"test.{name}").name == name
    if name != "recency":
        with pytest.raises(UnknownComponentError, match="argument"):
            registry.resolve("importance scorer", f"test.{name}:7")
    else:
        assert registry.resolve("importance scorer", "test.recency:7d").name == "recency:7d"


# -- recency -----------------------------------------------------------------------


def test_the_newest_message_counts_one_and_half_a_half_life_before() -> None:
    messages = [Message("user", str(i)) for i in range(41)]
    scores = score_all(messages, Recency(), now=NOW)
    assert [scores[40], scores[20], scores[0]] == [1.0, 0.5, 0.25]
    assert scores == sorted(scores)


def test_outside_a_history_recency_goes_by_time() -> None:
    week = timedelta(days=7)
    old = record(created_at=NOW - 2 * week)
    assert Recency().score(old, NOW, EMPTY) == 0.25
    assert Recency().score(old.evolve(last_accessed=NOW - week), NOW, EMPTY) == 0.5
    assert Recency().score(record(created_at=NOW + week), NOW, EMPTY) == 1.0


def test_a_half_life_may_be_given_in_messages_or_in_time() -> None:
    messages = [Message("user", str(i), created_at=NOW - timedelta(hours=6)) for i in range(11)]
    assert score_all(messages, recency("10"), now=NOW)[0] == 0.5
    assert score_all(messages, recency("6h"), now=NOW) == [0.5] * 11


@pytest.mark.parametrize("argument", ["0", "-3", "soon", "7 days", "1e9", "٣"])
def test_a_half_life_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(UnknownComponentError, match="half-life"):
        recency(argument)


def test_a_record_made_from_messages_stands_where_the_last_of_them_stood() -> None:
    messages = [Message("user", "a", id="m0"), Message("user", "b", id="m1")]
    made = record(sources=("m0",), created_at=NOW - timedelta(days=700))
    assert Recency(messages=1).score(made, NOW, History(messages)) == 0.5


# -- role --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "less"),
    [
        (Message("system", "Be brief."), Message("user", "Let's go with the aisle seat.")),
        (Message("user", "The seat is fine."), Message("assistant", "The seat is fine.")),
        (Message("assistant", "It is booked now."), Message("tool", "It is booked now.")),
        (Message("user", "Let's go with the aisle seat."), Message("user", "The aisle seat.")),
        (Message("user", "就选靠过道的座位。"), Message("user", "靠过道的座位。")),
        (Message("assistant", "我们决定改签到周五。"), Message("assistant", "改签到周五。")),
        (Message("assistant", "Which date suits you?"), Message("assistant", "Your date is set.")),
        (Message("assistant", "您想哪天出发？"), Message("assistant", "您周五出发。")),
        (Message("user", "能帮我改签吗"), Message("user", "帮我改签")),
        (Message("tool", "Error: payment was declined"), Message("tool", "payment accepted")),
        (Message("tool", "错误：支付被拒绝"), Message("tool", "支付成功")),
    ],
    ids=lambda m: ascii(m.text),
)
def test_speakers_decisions_questions_and_errors_weigh(more: Message, less: Message) -> None:
    assert Role().score(more, NOW, EMPTY) > Role().score(less, NOW, EMPTY)


def test_a_result_that_is_flagged_as_an_error_weighs_more_whatever_it_says() -> None:
    fine, failed = (
        Message("tool", [ToolResultPart("c", (), is_error=error)]) for error in (False, True)
    )
    assert Role().score(failed, NOW, EMPTY) > Role().score(fine, NOW, EMPTY)


def test_a_memory_weighs_as_who_it_came_from() -> None:
    origins = ("user", "document", "assistant", "tool:search")
    scores = [Role().score(record(origin=o), NOW, EMPTY) for o in origins]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4


# -- content -----------------------------------------------------------------------

PAIRS = {
    "number": ("The bill is $1,250.00 now.", "The bill is rather high now."),
    "name": ("I met Maria Silva there.", "I met an old friend there."),
    "date": ("We fly on 15 May.", "We fly some day soon."),
    "promise": ("I'll call the office back.", "The office was called back."),
    "code": ("It is `load_plan()` again.", "It is the loading one again."),
    "negation": ("Do not book the window.", "Do please book the window."),
    "数字": ("一共花了1250元。", "一共花了不少钱。"),
    "大写数字": ("我们一共三个人。", "我们一共好些人。"),
    "名字": ("昨晚见到王芳经理。", "昨晚见到老同学。"),
    "日期": ("我们五月十五日出发。", "我们很快就出发。"),
    "承诺": ("我会回电话给办公室。", "有人回电话给办公室。"),
    "否定": ("别订靠窗座位。", "请订靠窗座位。"),
}


@pytest.mark.parametrize("sign", PAIRS)
def test_what_cannot_be_guessed_raises_the_score(sign: str) -> None:
    more, less = (Content().score(Message("user", text), NOW, EMPTY) for text in PAIRS[sign])
    assert more > less + 0.05


@pytest.mark.parametrize(
    "text", ["OK", "Thanks!", "Sure, sounds good.", "好的", "谢谢！", "嗯嗯，明白"]
)
def test_small_talk_scores_near_nothing(text: str) -> None:
    assert Content().score(Message("user", text), NOW, EMPTY) < 0.1


@pytest.mark.parametrize(
    "text",
    [
        "I'll send invoice 4711 to Maria Silva by Friday, 15 May.",
        "我会在5月15日把发票4711寄给王芳经理，金额1250元。",
    ],
)
def test_a_sentence_full_of_facts_scores_above_a_half(text: str) -> None:
    assert Content().score(Message("user", text), NOW, EMPTY) > 0.5
    assert Content().score(record(text), NOW, EMPTY) > 0.5


def test_more_words_of_the_same_sort_count_a_little_more() -> None:
    scores = [
        Content().score(Message("user", "so it goes on " * n), NOW, EMPTY) for n in (1, 9, 90)
    ]
    assert scores == sorted(scores) and scores[-1] < 0.3


def test_the_arguments_of_a_call_are_content_too() -> None:
    call = Message("assistant", [ToolCallPart("c", "pay", {"amount": 1250, "to": "王芳经理"})])
    assert Content().score(call, NOW, EMPTY) > Content().score(Message("assistant"), NOW, EMPTY)


# -- access ------------------------------------------------------------------------


def test_recalls_count_with_diminishing_worth() -> None:
    scores = [Access().score(record(access_count=n), NOW, EMPTY) for n in (0, 1, 3, 27)]
    assert scores == [0.0, 0.25, 0.5, 0.9]


def test_recalls_of_a_message_come_from_the_history() -> None:
    message = Message("user", "里斯本", id="m7")
    assert Access().score(message, NOW, History(accesses={"m7": 3})) == 0.5
    assert Access().score(message, NOW, History(accesses={"m8": 3})) == 0.0


# -- kind --------------------------------------------------------------------------


def test_kinds_stand_in_their_order_and_messages_are_neutral() -> None:
    kinds = ("schema", "config", "preference", "fact", "event", "log")
    scores = [Kind().score(record(kind=kind), NOW, EMPTY) for kind in kinds]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)
    assert Kind().score(Message("user", "x"), NOW, EMPTY) == 0.5
    assert Kind().score(record(kind="message"), NOW, EMPTY) == 0.5
    assert Kind().score(record(kind="unheard-of"), NOW, EMPTY) == 0.5


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        ("模式", "schema"),
        ("配置", "config"),
        ("偏好", "preference"),
        ("事实", "fact"),
        ("事件", "event"),
    ],
)
def test_kinds_weigh_the_same_in_chinese(chinese: str, english: str) -> None:
    weights = {Kind().score(record(kind=kind), NOW, EMPTY) for kind in (chinese, english)}
    assert len(weights) == 1


# -- reference ---------------------------------------------------------------------


def conversation(*texts: str) -> list[Message]:
    roles = ("user", "assistant")
    return [Message(roles[i % 2], text, id=f"m{i}") for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("introduces", "uses"),
    [
        ("My booking is HAT-123.", "I found HAT-123 in the system."),
        ("The order came to 48213.", "A refund of 48,213 is due."),
        ("I live near Lisbon now.", "There are flights from Lisbon at noon."),
        ("Ask mia_li_3668 about it.", "mia_li_3668 has answered."),
        ("我上周搬到里斯本了。", "里斯本今天天气不错。"),
        ("请联系王芳。", "已联系王芳。"),
        ("订单号是 A48213。", "A48213 已发货。"),
    ],
)
def test_the_message_that_introduced_a_used_value_is_needed(introduces: str, uses: str) -> None:
    messages = conversation("Hello there, good morning.", introduces, uses)
    hello, first, later = score_all(messages, Reference(), now=NOW)
    assert first > 0.2
    assert hello == later == 0.0


def test_only_the_first_mention_counts() -> None:
    messages = conversation("It is HAT-123.", "So HAT-123, right?", "Yes, HAT-123.")
    assert [score > 0 for score in score_all(messages, Reference(), now=NOW)] == [
        True,
        False,
        False,
    ]


def test_a_value_that_a_call_takes_counts_most() -> None:
    def first(later: Message) -> float:
        result = Message("tool", [ToolResultPart("c0", '{"reservation_id": "ZFA04Y"}')])
        return score_all([result, later], Reference(), now=NOW)[0]

    called = first(Message("assistant", [ToolCallPart("c1", "get", {"id": "ZFA04Y"})]))
    said = first(Message("assistant", "Your reservation is ZFA04Y."))
    repeated = first(Message("tool", [ToolResultPart("c2", "found ZFA04Y")]))
    assert called == 0.5
    assert called > said > repeated > 0.0


def test_the_field_names_of_results_and_the_keys_of_calls_are_no_values() -> None:
    result = Message("tool", [ToolResultPart("c0", '{"reservation_id": null}')])
    call = Message("assistant", [ToolCallPart("c1", "get", {"reservation_id": True})])
    assert score_all([result, call], Reference(), now=NOW) == [0.0, 0.0]


def test_a_value_that_is_everywhere_tells_nothing() -> None:
    messages = conversation(*["Welcome to Contoso."] * 30)
    assert score_all(messages, Reference(), now=NOW) == [0.0] * 30


def test_an_id_that_is_in_every_message_is_needed_all_the_same() -> None:
    scores = score_all(conversation(*["About ZFA04Y, 订单 ZFA04Y."] * 9), Reference(), now=NOW)
    assert scores[0] > 0.2 and not any(scores[1:])


def test_the_more_is_used_the_more_a_message_is_needed() -> None:
    values = [f"ID-{n:04}" for n in range(6)]
    scores = [
        score_all(conversation(" ".join(values), " ".join(values[:n])), Reference(), now=NOW)[0]
        for n in range(7)
    ]
    assert scores == sorted(scores) and scores[0] == 0.0 and scores[-1] > 0.8


def test_the_index_is_made_once_for_a_history() -> None:
    reads = []

    class Watched(Message):
        @property
        def text(self) -> str:
            reads.append(self.id)
            return super().text

    messages = [Watched("user", f"HAT-{i:04}", id=f"m{i}") for i in range(50)]
    score_all(messages, Reference(), now=NOW, history=History(messages))
    assert len(reads) == 50


# -- feedback ----------------------------------------------------------------------


def test_ratings_are_averaged_and_none_is_neutral() -> None:
    history = History(ratings={"good": [1.0], "bad": [-1.0, -1.0], "mixed": [1.0, 0.0], "": []})
    scores = [
        Feedback().score(Message("user", "好", id=id), NOW, history)
        for id in ("good", "bad", "mixed", "unrated")
    ]
    assert scores == [1.0, 0.0, 0.75, 0.5]


@pytest.mark.parametrize("rating", [1.01, -2.0, float("nan")])
def test_a_rating_out_of_range_is_an_error(rating: float) -> None:
    with pytest.raises(InvalidValueError, match="rating"):
        Feedback().score(Message("user", id="m"), NOW, History(ratings={"m": [rating]}))
