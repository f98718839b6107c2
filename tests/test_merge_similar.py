from __future__ import annotations

import pytest

from ctxplug.compression import CompressionTools, Unit
from ctxplug.compression.merge_similar import MergeSimilar
from ctxplug.errors import InvalidValueError
from ctxplug.messages import Logged, Message, ToolCallPart
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
TOOLS = CompressionTools(COUNTER, lambda u: f"trip@{u.versions[0]}-{u.versions[-1]}")
LONG = (
    "Please book the night train from Lisbon to Madrid for two adults. We need a window seat."
    " The budget is 250 euros. Breakfast should be included, and we travel with a small dog."
)
STORY = (
    f"{LONG} Our names are Ann Berg and Bo Chen; the dog, Rex, weighs 9 kilograms."
    " The hotel in Madrid is near the Prado museum, and check-in there begins at 3 pm sharp."
)
CHINESE = (
    "请帮我预订五月十五日从里斯本到马德里的夜车。我们需要靠窗的座位。预算是两百五十欧元，要含早餐。"
)


def units(*said: tuple[str, str]) -> list[Unit]:
    messages = [Message(role, text, created_at=0, id=str(i)) for i, (role, text) in enumerate(said)]
    return [Unit((Logged(i, m, COUNTER.count(m)),)) for i, m in enumerate(messages, 1)]


def texts(after: tuple[Unit, ...]) -> list[str]:
    return [unit.items[0].message.text for unit in after]


@pytest.mark.parametrize(
    ("first", "new"), [(LONG, "Also add a bike."), (CHINESE, "另外再加一辆自行车。")]
)
def test_a_request_said_twice_is_kept_once_with_what_was_new(first: str, new: str) -> None:
    before = units(("user", first), ("user", f"{first} {new}"), ("assistant", "Fine, 好的。"))
    after = MergeSimilar().compress(before, 0, TOOLS)
    assert len(after) == 2
    assert after[1] is before[2]
    assert texts(after)[0] == "\n".join((first, new, "[merged from trip@1-2]"))
    assert after[0].role == "user"


def test_what_the_other_repeats_is_merged_into_lines_that_say_who() -> None:
    before = units(("user", STORY), ("assistant", f"{STORY} I found one for 199 euros."))
    (one,) = MergeSimilar().compress(before, 0, TOOLS)
    text = one.items[0].message.text
    assert text.count("Prado museum") == 1
    assert "\n assistant: I found one for 199 euros.\n" in text
    assert one.role == "user"


def test_a_repetition_after_one_answer_is_still_a_neighbour() -> None:
    before = units(("user", STORY), ("assistant", "Which day?"), ("user", STORY))
    (one,) = MergeSimilar().compress(before, 0, TOOLS)
    assert one.sources == (1, 2, 3)
    assert "\n assistant: Which day?\n" in one.items[0].message.text


@pytest.mark.parametrize(
    "change",
    [
        ("from Lisbon to Madrid", "from Madrid to Lisbon"),
        ("250 euros", "350 euros"),
        ("We need a window", "We don't need a window"),
    ],
)
def test_a_sentence_that_differs_in_what_matters_stays(change: tuple[str, str]) -> None:
    before = units(("user", LONG), ("user", LONG.replace(*change)))
    (one,) = MergeSimilar().compress(before, 0, TOOLS)
    text = one.items[0].message.text
    assert change[0] in text
    assert change[1] in text


def test_a_chinese_negation_stays() -> None:
    before = units(("user", CHINESE), ("user", CHINESE.replace("我们需要", "我们不需要")))
    (one,) = MergeSimilar().compress(before, 0, TOOLS)
    assert "我们需要" in one.items[0].message.text
    assert "我们不需要" in one.items[0].message.text


def test_what_is_not_alike_or_has_calls_stays_and_the_target_ends_the_work() -> None:
    call = Message("assistant", (ToolCallPart("c", "f"),), created_at=0, id="c")
    calls = Unit((Logged(2, call, COUNTER.count(call)),))
    a, b = units(("user", LONG), ("user", LONG))
    b = Unit((Logged(3, b.items[0].message, b.tokens),))
    assert MergeSimilar().compress([a, calls, b], 0, TOOLS) == (a, calls, b)
    other = units(("user", LONG), ("user", "Tell me about the weather in Oslo and Bergen."))
    assert MergeSimilar().compress(other, 0, TOOLS) == tuple(other)
    four = units(*[("user", LONG)] * 2, ("user", "Short."), *[("user", CHINESE)] * 2)
    enough = sum(u.tokens for u in four) - 5
    assert len(MergeSimilar().compress(four, enough, TOOLS)) == 4


def test_an_overlap_out_of_range_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="overlap"):
        MergeSimilar(overlap=0)
