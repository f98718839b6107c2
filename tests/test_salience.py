from __future__ import annotations

import pytest

from ctxplug.compression.salience import key, reading, sentences
from ctxplug.compression.selection import Candidate, Chosen, Form, fitted, ranked
from ctxplug.compression.telegraphic import telegraphic


def value(text: str) -> float:
    return sum(reading(text).words.values()) * reading(text).factor


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("I moved to Lisbon last week.", "Wow, that sounds great!"),
        ("The invoice 4711 is due on Friday.", "The thing is due at some point."),
        ("I never eat peanuts.", "How are you doing?"),
        ("我上周搬到了里斯本。", "哇，太棒了！"),
        ("航班定在五月十五日下午三点。", "好的，没问题！"),
        ("我决定取消订单。", "你好，谢谢！"),
    ],
)
def test_facts_say_more_than_talk(more: str, less: str) -> None:
    assert value(more) > 2 * value(less)


def test_a_rare_word_is_worth_more_than_one_in_every_message() -> None:
    texts = ["The report mentions hedgehogs.", *["The report is long."] * 20]
    first = sentences(texts)[0].values
    assert first[key("hedgehogs")] > 2 * first[key("report")]


def test_forms_of_a_word_have_one_key() -> None:
    assert key("planning") == key("planned") == key("plann")
    assert key("caroline's") == key("caroline")


def test_clauses_of_a_chinese_sentence_are_valued_apart() -> None:
    text = "今天天气很好，我们去了长城，明天去故宫。"
    assert [s.text for s in sentences([text], clauses=True)] == [
        *("今天天气很好，", "我们去了长城，", "明天去故宫。")
    ]
    assert [s.text for s in sentences([text])] == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I have to go to Porto by Friday.", "have to go to Porto by Friday"),
        ("I don't want to cancel the order.", "don't want cancel order"),
        ("Hey! It's so good that she was not there before May.", "good she not before May"),
        ("Did you fly from Lisbon to Rome?", "Did you fly from Lisbon to Rome?"),
        ("Vitamin A is sold in the US at 5 am.", "Vitamin A sold US 5 am"),
        ("See https://a.b/c?d=e, or call f(x).", "See https://a.b/c?d=e or call f(x)"),
        ("我今天去了里斯本的酒吧，真的很开心啊！", "今天去里斯本酒吧 开心"),
        ("我不想取消我的订单了。", "不想取消我订单"),
        ("为了目的地，除了他我都了解吗？", "为了目的地 除了他我都了解？"),
        ("Haha, wow!", ""),
        ("你好！谢谢！", ""),
    ],
)
def test_telegraphic_text_keeps_what_changes_meaning(text: str, expected: str) -> None:
    assert telegraphic(text) == expected


def test_terse_text_also_leaves_out_what_every_conversation_has() -> None:
    text = "I really think the amazing concert in Oslo was great."
    assert telegraphic(text, terse=True) == "concert Oslo"
    assert telegraphic(text) == "think amazing concert Oslo great"


def form(text: str, **values: float) -> Form:
    return Form(text, len(text.split()), values)


def test_every_word_is_said_once_before_one_is_said_twice() -> None:
    candidates = [
        Candidate(0, (form("a b", a=1.0, b=1.0),)),
        Candidate(1, (form("a b", a=1.0, b=1.0),)),
        Candidate(2, (form("c d", c=0.8, d=0.8),)),
    ]
    assert [i for i, _ in ranked(candidates, 0)] == [0, 2, 1]


def test_the_next_sentence_of_an_open_line_is_cheaper() -> None:
    candidates = [
        Candidate(0, (form("a", a=9.0),)),
        Candidate(1, (form("b", b=1.1),)),
        Candidate(0, (form("c", c=1.0),)),
    ]
    assert [i for i, _ in ranked(candidates, 3)] == [0, 2, 1]


def test_the_longest_choice_that_fits_is_found_though_the_costs_mislead() -> None:
    candidates = [Candidate(i, (form(f"w{i}", **{f"w{i}": 50.0 - i}),)) for i in range(50)]
    steps = ranked(candidates, 1)
    for true_cost in (1, 2, 7, 30):

        def measure(choice: Chosen, cost: int = true_cost) -> int:
            return cost * len(choice)

        chosen = fitted(steps, candidates, 1, 60, measure)
        assert chosen is not None
        assert 60 // true_cost * 0.9 <= min(len(chosen), 50) or len(chosen) == 50
        assert true_cost * len(chosen) <= 60
    assert fitted(steps, candidates, 1, 60, lambda c: 61) is None
