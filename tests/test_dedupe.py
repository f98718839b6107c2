"""The strategy "dedupe"."""

from __future__ import annotations

import json

import pytest

from ctxplug.compression import CompressionStrategy, Unit, total
from ctxplug.compression.dedupe import Dedupe
from ctxplug.messages import Message, TextPart, ThinkingPart
from ctxplug.testing.histories import START
from ctxplug.testing.strategy_suite import (
    CompressionStrategySuite,
    called,
    tools_for_tests,
    units_of,
)

ENGLISH = "\n".join(
    f"Rule {i}: whoever travels with item {i * 37} pays {i * 11} euros at gate {i}."
    for i in range(30)
)
CHINESE = "".join(
    f"第{i}条：携带第{i * 37}号物品的旅客须在{i}号登机口支付{i * 11}元。" for i in range(30)
)
ORDER = {
    "id": "W-1",
    "items": [{"sku": f"S-{i}", "price": i * 10} for i in range(9)],
    "state": "open",
}


class TestDedupe(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return Dedupe()


def _compressed(*texts: str, target: int = 0) -> tuple[Unit, ...]:
    units = units_of([m for i, text in enumerate(texts) for m in called(text, start=i)])
    return Dedupe().compress(units, target, tools_for_tests())


def _texts(units: tuple[Unit, ...]) -> list[str]:
    return [unit.items[1].message.text for unit in units]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, json.dumps(ORDER)])
def test_of_equal_results_the_older_points_to_the_latest(text: str) -> None:
    units = _compressed(text, "something else altogether", text, text)
    assert _texts(units) == [
        "[same as trip@7-8, original: trip@1-2]",
        "something else altogether",
        "[same as trip@7-8, original: trip@5-6]",
        text,
    ]


@pytest.mark.parametrize(
    ("older", "later", "kept"),
    [
        (ENGLISH, ENGLISH.replace("item 37 pays 11", "item 37 pays 12"), "pays 11 euros"),
        (CHINESE, CHINESE.replace("支付11元", "支付12元"), "支付11元"),
    ],
    ids=["English", "Chinese"],
)
def test_a_near_copy_keeps_the_lines_that_differ(older: str, later: str, kept: str) -> None:
    first, second = _texts(_compressed(older, later))
    assert first.startswith("[as trip@3-4 but for what follows, original: trip@1-2]\n")
    assert kept in first and len(first) < 0.2 * len(older)
    assert second == later


def test_a_superseded_object_keeps_the_leaves_that_differ() -> None:
    later = {**ORDER, "state": "cancelled", "refund": 40}
    first, second = _texts(_compressed(json.dumps(ORDER), json.dumps(later)))
    assert first == (
        "[as trip@3-4 but for what follows, original: trip@1-2]\nstate: open\nwithout refund"
    )
    assert second == json.dumps(later)


@pytest.mark.parametrize(
    "later", [ENGLISH[: len(ENGLISH) // 2], json.dumps({"id": "W-2"}), "[]", ENGLISH.upper()[::-1]]
)
def test_texts_that_differ_are_left(later: str) -> None:
    assert _texts(_compressed(ENGLISH, later)) == [ENGLISH, later]


def test_a_list_that_moved_on_by_one_is_no_copy() -> None:
    rows = [{"sku": f"S-{i}", "price": i * 10} for i in range(12)]
    texts = [json.dumps(rows[:10]), json.dumps(rows[1:11])]
    assert _texts(_compressed(*texts)) == texts


def test_short_texts_are_left() -> None:
    assert _texts(_compressed("ok", "ok", "好的", "好的")) == ["ok", "ok", "好的", "好的"]


def test_two_equal_results_of_one_call_are_left() -> None:
    units = units_of(called(ENGLISH, ENGLISH))
    assert Dedupe().compress(units, 0, tools_for_tests()) == units


def test_of_long_messages_the_older_points_to_the_later() -> None:
    signed = Message("assistant", TextPart(ENGLISH, {"gemini": {"thought_signature": "x"}}))
    thinking = Message("assistant", (ThinkingPart("hm", "sig"), TextPart(ENGLISH)))
    messages = [Message("user", CHINESE, created_at=START), signed, thinking]
    messages += [Message("user", CHINESE), Message("assistant", ENGLISH)]
    units = Dedupe().compress(units_of(messages), 0, tools_for_tests())
    assert [unit.items[0].message.text for unit in units] == [
        "[same as trip@4, original: trip@1]",
        ENGLISH,
        "[same as trip@5, original: trip@3]",
        CHINESE,
        ENGLISH,
    ]
    assert [type(part) for part in units[2].items[0].message.content] == [TextPart]


def test_no_more_gives_way_than_the_target_asks_for() -> None:
    units = units_of([m for i in range(4) for m in called(ENGLISH, start=i)])
    after = Dedupe().compress(units, total(units) - 1, tools_for_tests())
    assert [unit.form for unit in after] == ["dedupe", "verbatim", "verbatim", "verbatim"]


def test_a_pointer_never_leads_to_a_pointer() -> None:
    texts = [ENGLISH.replace("at gate 9", f"at gate {n}") for n in (9, 100, 200, 300)]
    shown = _texts(_compressed(*texts))
    assert all(text.startswith("[as trip@7-8 ") for text in shown[:3])
    assert shown[3] == texts[3]
