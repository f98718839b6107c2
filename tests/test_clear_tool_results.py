"""The strategy "clear-tool-results"."""

from __future__ import annotations

import json

import pytest

from ctxplug.compression import CompressionStrategy, total
from ctxplug.compression.clear_tool_results import ClearToolResults, reduce, stub, without
from ctxplug.compression.facts import facts
from ctxplug.compression.json_values import parse
from ctxplug.compression.shape_tool_results import ShapeToolResults
from ctxplug.messages import ImagePart, OpaquePart, TextPart, ToolResultPart
from ctxplug.testing.strategy_suite import (
    CompressionStrategySuite,
    called,
    tools_for_tests,
    units_of,
)
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
PROSE = (
    "We are glad to tell you that Ms. Ann Lee paid $1,250.00 for invoice 4711 on 2024-05-15 and"
    " wrote to ann.lee@example.org about it; the file is /srv/bills/may.pdf, see"
    " https://example.org/b?i=4711 and ticket OPS-2213."
)
CHINESE = (
    "王芳经理非常高兴地告诉我们，她已经在2024年5月3日支付了发票 4711 的 1,250.00 元，"
    "并且会在五月十五日入住上海市的酒店，订单编号为ORD-2213，书名是《三体》。"
)
ORDER: dict[str, object] = {
    "order_id": "W-2213",
    "customer": {"姓名": "王芳", "email": "fang@example.cn", "phone": None, "vip": False},
    "items": [{"sku": f"S-{i}0{i}", "price": 19.5 + i, "state": "shipped"} for i in range(6)],
    "comment": "It was left with a neighbour who was kind enough to sign for it, see OPS-77.",
    "created": "2024-05-15T08:28:51",
    "retries": 0,
}


class TestClearToolResults(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return ClearToolResults()


def test_a_stub_keeps_every_short_leaf_and_the_facts_of_prose() -> None:
    text = stub(json.dumps(ORDER), {"order_id": "W-2213"}, 1_000, COUNTER)
    for kept in (
        "王芳",
        "fang@example.cn",
        "2024-05-15T08:28:51",
        "OPS-77",
        "shipped",
        "S-505",
        "24.5",
    ):
        assert kept in text
    assert "neighbour" not in text and "phone" not in text and "retries" not in text
    assert "W-2213" not in text, "the call itself says it"
    assert text.count("sku") == 1
    assert COUNTER.count_text(text) < 0.6 * COUNTER.count_text(json.dumps(ORDER))


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        (
            PROSE,
            [
                *("Ann Lee", "$1,250.00", "4711", "2024-05-15", "ann.lee@example.org"),
                *("OPS-2213", "/srv/bills/may.pdf", "https://example.org/b?i=4711"),
            ],
            ["glad", "about"],
        ),
        (
            CHINESE,
            [
                "王芳经理",
                "2024年5月3日",
                "4711",
                "1,250.00 元",
                "五月十五日",
                "ORD-2213",
                "《三体》",
            ],
            ["非常高兴"],
        ),
        ("Status: shipped\nError: disk full on node-7\nand so on " * 3, ["Status: shipped"], []),
        ("状态：已发货\n运单号：SF1029384756", ["状态：已发货", "SF1029384756"], []),
    ],
    ids=["English", "Chinese", "lines", "Chinese lines"],
)
def test_facts_of_prose_are_kept(text: str, kept: list[str], gone: list[str]) -> None:
    found = facts(text)
    assert [fact for fact in kept if fact not in found] == []
    assert [word for word in gone if word in found] == []


@pytest.mark.parametrize("number", ["1,000", "1000", "-1,234.56", "€9.99", "15%", "3.5"])
def test_numbers_stay_as_they_are_written(number: str) -> None:
    assert number in facts(f"it came to {number} in the end, which was fine with everyone there")
    assert number in stub(json.dumps([{"sum": number}] * 3), {}, 1_000, COUNTER)


def test_cut_off_json_and_python_literals_are_cleared_as_values() -> None:
    whole = json.dumps(ORDER, ensure_ascii=False)
    for text in (whole[:400], "Result:\n" + str(ORDER)):
        assert "fang@example.cn" in stub(text, {}, 1_000, COUNTER)
        assert text.count("sku") > 1 and stub(text, {}, 1_000, COUNTER).count("sku") <= 1


def test_a_shaped_result_is_cleared_further() -> None:
    tools, units = tools_for_tests(), units_of(called(json.dumps(ORDER)))
    shaped = ShapeToolResults().compress(units, 0, tools)
    cleared = ClearToolResults().compress(shaped, 0, tools)
    assert total(cleared) < total(shaped) < total(units)
    assert cleared[0].form == "clear-tool-results"
    assert "S-505" in cleared[0].items[1].message.text


def test_only_what_the_call_says_of_the_whole_result_is_left_out() -> None:
    rows = parse('[{"from": "A", "to": "B"}, {"from": "A", "to": "C"}]')
    assert without(rows, {"from": "A", "to": "B"}) == [{"to": "B"}, {"to": "C"}]
    nested = parse('{"n": 5, "inner": {"from": "A"}}')
    assert without(nested, {"from": "A", "n": 5}) == {"inner": {"from": "A"}}
    assert without(parse('{"ok": true}'), {"ok": True}) == {"ok": True}


def test_what_says_nothing_is_dropped() -> None:
    assert reduce(parse('{"a": null, "b": [], "c": "无", "d": 0, "e": {"f": "n/a"}}')) is None
    assert reduce(parse('{"a": true, "b": "none of it"}')) == {"a": True, "b": "none of it"}


def test_ids_names_errors_and_extras_stay() -> None:
    extra = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    result = ToolResultPart("c", (TextPart(PROSE * 2, extra),), is_error=True, extra=extra)
    before = units_of(called(result))[0]
    after = ClearToolResults().compress([before], 0, tools_for_tests())[0]
    assert after.items[0] == before.items[0]
    old, new = (unit.items[1].message.tool_results[0] for unit in (before, after))
    assert (new.call_id, new.name, new.is_error, new.extra) == (old.call_id, old.name, True, extra)
    assert isinstance(new.content[0], TextPart) and new.content[0].extra == extra
    assert new.text.startswith(PROSE), "an error keeps its beginning"
    assert new.text.endswith("[see trip@1-2]")


def test_images_and_opaque_parts_give_way_to_a_note() -> None:
    block = OpaquePart(
        "anthropic", {"type": "document", "title": "发票 4711", "data": "QUJD" * 900}
    )
    image = ImagePart(data=b"\x89PNG", media_type="image/png")
    units = units_of(called(ToolResultPart("c", (image, TextPart("seen"), block))))
    text = ClearToolResults().compress(units, 0, tools_for_tests())[0].items[1].message.text
    assert text.splitlines() == [
        "[image left out]",
        "seen",
        "[anthropic document left out] title:发票 4711",
        "[see trip@1-2]",
    ]


def test_small_results_are_left_as_they_are() -> None:
    units = units_of(called("ok", "已取消", '{"id": 7}', "255.0"))
    assert ClearToolResults().compress(units, 0, tools_for_tests()) == units


def test_the_oldest_are_cleared_first_and_no_more_than_needed() -> None:
    texts = [json.dumps({**ORDER, "n": i}) for i in range(4)]
    units = units_of([m for i, text in enumerate(texts) for m in called(text, start=i)])
    cleared = ClearToolResults().compress(units, total(units) - 1, tools_for_tests())
    assert [unit.form for unit in cleared][1:] == ["verbatim"] * 3
    assert cleared[0].form == "clear-tool-results"


def test_stubs_are_not_cleared_again() -> None:
    tools, units = tools_for_tests(), units_of(called(json.dumps(ORDER)))
    once = ClearToolResults().compress(units, 0, tools)
    assert ClearToolResults().compress(once, 0, tools) == once


def test_a_stub_takes_at_most_its_limit_and_drops_small_numbers_first() -> None:
    rows = [{"code": f"K-{i:04}", "seats": i % 9, "state": "open"} for i in range(90)]
    text = stub(json.dumps(rows), {}, 700, COUNTER)
    assert COUNTER.count_text(text) <= 700
    assert "seats" not in text and all(f"K-{i:04}" in text for i in range(90))
    assert COUNTER.count_text(stub(json.dumps(rows), {}, 200, COUNTER)) <= 200
