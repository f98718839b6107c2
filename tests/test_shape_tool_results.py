"""The strategy "shape-tool-results"."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug.compression import CompressionStrategy, total
from ctxplug.compression.cutting import cut, outliers, segments
from ctxplug.compression.json_values import parse
from ctxplug.compression.result_values import exact_value
from ctxplug.compression.shape_tool_results import ShapeToolResults, shape
from ctxplug.testing.strategy_suite import (
    RESULTS,
    CompressionStrategySuite,
    called,
    tools_for_tests,
    units_of,
)
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
ROWS = [
    {"code": f"K{i:03}", "城市": "里斯本", "price": 100 + i % 3, "note": None} for i in range(200)
]
LOG = [f"2024-05-15 10:00:{i % 60:02} GET /item/{i} 200 {20 + i % 7}ms" for i in range(600)]


class TestShapeToolResults(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        return ShapeToolResults()


@pytest.mark.parametrize("limit", [0, 1, 40])
@pytest.mark.parametrize("text", RESULTS, ids=range(len(RESULTS)))
def test_a_small_limit_never_makes_a_result_grow(text: str, limit: int) -> None:
    shaped = shape(text, limit, COUNTER, "trip@1")
    assert shaped is None or COUNTER.count_text(shaped) < COUNTER.count_text(text)


def test_a_list_of_like_objects_is_shaped_without_loss() -> None:
    text = json.dumps(ROWS[:20])
    shaped = shape(text, 2_000, COUNTER, "trip@7")
    assert shaped is not None
    assert exact_value(shaped) == parse(text)
    assert shaped.endswith("\n[see trip@7]")
    assert COUNTER.count_text(shaped) < 0.5 * COUNTER.count_text(text)


def test_json_lines_become_a_table_without_loss() -> None:
    text = "\n".join(json.dumps(row) for row in ROWS[:20])
    shaped = shape(text, 2_000, COUNTER, "trip@7")
    assert shaped is not None
    assert exact_value(shaped) == [parse(line) for line in text.splitlines()]


def test_indented_json_is_minified() -> None:
    data = {"用户": "王芳", "address": {"street": "Rua Augusta 7", "tags": ["a", "b", 3]}}
    text = json.dumps(data, indent=4, ensure_ascii=False)
    shaped = shape(text, 2_000, COUNTER, "trip@7")
    assert shaped is not None
    assert exact_value(shaped) == parse(text)


def test_repeated_lines_are_written_once_with_their_number() -> None:
    text = "start\n" + "等待锁释放，请稍候\n" * 30 + "done"
    assert shape(text, 2_000, COUNTER, "trip@7") == (
        'start\n30 x "等待锁释放，请稍候"\ndone\n[see trip@7]'
    )


def test_what_cannot_be_shortened_is_left() -> None:
    for text in ("", "ok", "255.0", "好的", '{"a":1}', "A sentence that says it once.", "null"):
        assert shape(text, 2_000, COUNTER, "trip@7") is None


def test_a_capped_log_keeps_head_tail_alarms_and_extremes() -> None:
    lines = [*LOG[:300], "2024-05-15 10:05:00 错误：磁盘已满", *LOG[300:]]
    lines[450] = lines[450].replace("ms", "999ms")
    shaped = shape("\n".join(lines), 400, COUNTER, "trip@7")
    assert shaped is not None
    assert COUNTER.count_text(shaped) <= 400
    shown = shaped.splitlines()
    assert {lines[0], lines[-1], lines[300], lines[450], "[see trip@7]"} <= set(shown)
    left_out = sum(int(line.split()[1]) for line in shown if line.startswith("[... "))
    assert left_out + sum(line in lines for line in shown) == len(lines)


def test_a_capped_table_keeps_its_header_and_its_extreme_rows() -> None:
    rows = [*ROWS]
    rows[120] = {**rows[120], "price": 98_765}
    shaped = shape(json.dumps(rows), 300, COUNTER, "trip@7")
    assert shaped is not None
    assert shaped.startswith("[#200{code,城市=里斯本,price,note=null}\n")
    assert "K120,98765" in shaped
    assert COUNTER.count_text(shaped) <= 300


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=900) | st.lists(st.sampled_from(["a", "中。" * 300, "x, "])).map("".join))
def test_segments_are_the_text(text: str) -> None:
    assert "".join(segments(text)) == text


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(LOG[:9] + RESULTS[3].splitlines()), max_size=60), st.integers(20, 200)
)
def test_a_cut_text_keeps_order_and_limit(lines: list[str], limit: int) -> None:
    text = "\n".join(lines)
    shown = cut(text, limit, COUNTER)
    assert COUNTER.count_text(shown) <= limit
    rest = iter(lines)
    assert all(line in rest for line in shown.splitlines() if not line.startswith("[... "))


def test_alarms_come_first_among_outliers() -> None:
    lines = [*LOG[:50], "worker-3 Traceback (most recent call last)", *LOG[50:90], "连接超时"]
    assert outliers(lines)[:2] == [50, 91]


def test_only_as_much_is_shaped_as_the_target_asks_for() -> None:
    texts = [json.dumps(ROWS[i : i + 9]) for i in (0, 20, 40)]
    units = units_of([m for i, t in enumerate(texts) for m in called(t, start=i)])
    shaped = ShapeToolResults().compress(units, total(units) - 1, tools_for_tests())
    assert [unit.form for unit in shaped] == ["shape-tool-results", "verbatim", "verbatim"]
    assert "[see trip@1-2]" in shaped[0].items[1].message.text
