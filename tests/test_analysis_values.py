"""What analysis takes for a value, and where it finds it: in whatever spelling, EN and ZH."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.tracing.analysis.errors_told import problem_of
from ctxplug.tracing.analysis.robust import Usual
from ctxplug.tracing.analysis.values import Haystack, is_placeholder, is_prose, shape, specific


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ORD-77812", "your order ord 77812 is on its way"),
        ("2024-05-20", "a flight on May 20th, please"),
        ("2024-05-20", "the 20th of May"),
        ("2024-05-20", "我要5月20日的票"),
        ("2024-05-20", "五月二十日出发"),
        ("2024-12-31", "十二月三十一号"),
        ("1200", "it costs $1,200 in all"),
        ("1200.0", "1200 yuan"),
        ("AB12", "(ab12)"),
        ("订单DD20240501", "您的订单 DD20240501 已发货"),
        ("ＡＢ１２３４５６", "ab123456"),
        ("王小明", "我叫王小明。"),
    ],
)
def test_a_value_is_found_in_another_spelling(value: str, text: str) -> None:
    assert Haystack(text).holds(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ORD-77812", "your order ORD-77813"),
        ("2024-05-20", "a flight on May 2nd"),
        ("2024-05-02", "on May 20th"),
        ("2024-05-20", "5月2日"),
        ("AB12", "XAB123"),
        ("120", "1200"),
        ("王小明", "王小红"),
    ],
)
def test_another_value_is_not_taken_for_it(value: str, text: str) -> None:
    assert not Haystack(text).holds(value)


@given(
    st.text(string.ascii_uppercase + string.digits, min_size=6, max_size=20),
    st.text("abc 中文，。\n", max_size=40),
    st.text("xyz ：！\n", max_size=40),
)
def test_a_value_is_found_wherever_it_stands(value: str, before: str, after: str) -> None:
    assert Haystack(f"{before}{value}{after}").holds(value)
    assert Haystack(f"{before}{'-'.join(value)}{after}").holds(value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("mia_li_3668", ["mia_li_3668"]),
        ("economy", []),
        ("12", []),
        ("06:00:00", []),
        ("1234567", ["1234567"]),
        ("ann@example.com", ["ann@example.com"]),
        ("SELECT * FROM orders WHERE id = 'ORD-77812'", ["ORD-77812"]),
        ("订单号是 DD20240501-88，谢谢", ["DD20240501-88"]),
        ("/srv/data/report.csv", ["/srv/data/report.csv"]),
        ("IFOYYZ", []),
        ("是INC6851577", ["INC6851577"]),
    ],
)
def test_values_that_nobody_guesses(text: str, values: list[str]) -> None:
    assert specific(text) == values


def test_sentences_placeholders_and_forms() -> None:
    assert is_prose("User Ann wants to change the flight of reservation XY1234")
    assert is_prose("用户希望更改预订号为某某的航班的出发日期")
    assert not is_prose("SELECT a, b FROM t WHERE id = 'XY1234' AND b = 3 AND c = 4")
    for text in ("unknown", "N/A", "<order_id>", "YOUR_ID_HERE", "未知", "【订单号】", "xxxx", ""):
        assert is_placeholder(text), text
    for text in ("mia_li_3668", "王小明", "2024-05-20", "0", "(350 - 122) + (499 - 127)"):
        assert not is_placeholder(text), text
    assert shape("credit_card_123") == shape("credit_card_98765")
    assert shape("NO6JO3") == shape("XK4TQ9") != shape("NO6JO33")


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("Error: payment method not found", "argument"),
        ('{"error": {"code": 503, "message": "Service Unavailable"}}', "passing"),
        ('{"success": false, "message": "internal server error"}', "passing"),
        ("HTTP 500 Internal Server Error", "passing"),
        ("Request failed with status code 429", "passing"),
        ("psycopg2.OperationalError: could not connect", "other"),
        ("Traceback (most recent call last):\n  File 'x'\nTimeoutError: 30 s", "passing"),
        ("PermissionError: denied", "permission"),
        ("错误：找不到该订单", "argument"),
        ('{"code": 500, "msg": "数据库连接超时"}', "passing"),
        ("查询失败：系统繁忙", "passing"),
        ('{"状态": "失败", "原因": "没有权限"}', "permission"),
        ("请求超时，请稍后重试", "passing"),
        ("无法完成操作", "other"),
        ("未找到订单 DD20240501", "argument"),
        ("<tool_error>lookup crashed</tool_error>", "other"),
        ("An unexpected error occurred.", "other"),
        ("The server is temporarily unavailable.", "passing"),
        ("404: no order with that id", "argument"),
        ("ERROR - database is locked", "other"),
        ('{"statusCode": 502, "body": ""}', "passing"),
        ("【错误】网络断开", "passing"),
        ("抱歉，系统出现故障，暂时无法处理。", "other"),
        ("缺少参数 order_id", "argument"),
        ('{"status": "failed", "order_id": "7", "reason": "card declined"}', "other"),
    ],
)
def test_errors_as_tools_tell_of_them(text: str, sort: str) -> None:
    problem = problem_of(text)
    assert problem is not None
    if sort != "other":
        assert problem.sort == sort
    assert problem.text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "0 errors, 12 warnings",
        "All 12 tests passed; no failures.",
        '{"status": "available", "error": null, "errors": []}',
        '{"success": true, "message": "done"}',
        '{"code": 200, "msg": "ok"}',
        '{"code": 404, "name": "room on the fourth floor"}',
        '{"order": {"status": "cancelled"}}',
        '[{"level": "error", "line": "x"}]',
        "The error handling chapter explains how failed requests are retried. " * 9,
        "# Error handling\n\nExceptions are raised when ...",
        "订单已取消，退款成功",
        "共有3条记录，没有异常",
        "Transfer successful",
        "Ann, ann@example.com. If you see 'Error 403: access denied', clear your cache.",
        "如果出现“错误403：没有权限”的提示，请清除缓存后重试。",
        '{"ticket": "T1", "owner": "Ann", "date": "2024-05-01", "status": "failed"}',
        "没有找到相关内容。",
        "The problem was solved by a new cable.",
        "The request was processed.",
        "服务已恢复，没有异常。",
        "-114.0",
    ],
)
def test_what_is_no_error_is_not_taken_for_one(text: str) -> None:
    assert problem_of(text) is None


def test_a_mark_or_an_outcome_is_an_error_whatever_the_text() -> None:
    assert problem_of("fine", is_error=True) is not None
    assert problem_of("", outcome="timeout") is not None
    assert problem_of("fine", outcome="ok") is None


def test_an_outlier_is_told_by_its_own_history_and_not_by_a_constant() -> None:
    slow = [("tool", "report", 30.0 + n) for n in range(9)]
    quick = [("tool", "look_up", 0.2 + n / 100) for n in range(9)]
    usual = Usual([*slow, *quick, ("tool", "look_up", 6.0), ("tool", "report", 45.0)])
    found = usual.outlier("tool", "look_up", 6.0)
    assert found is not None and found.by_name and 20 < found.ratio < 40
    assert usual.outlier("tool", "report", 45.0) is None
    assert usual.outlier("tool", "look_up", 0.3) is None


def test_of_what_was_hardly_seen_nothing_is_told_lightly() -> None:
    assert Usual([("tool", "a", 9.0), ("tool", "b", 0.1)]).outlier("tool", "a", 9.0) is None
    some = [("tool", name, 0.3) for name in "bcdef"]
    usual = Usual([*some, ("tool", "a", 0.9), ("tool", "z", 30.0)])
    assert usual.outlier("tool", "a", 0.9) is None
    assert usual.outlier("tool", "z", 30.0) is not None


@given(st.lists(st.floats(0.5, 1.5), min_size=4, max_size=30))
def test_a_value_among_its_likes_is_no_outlier(values: list[float]) -> None:
    usual = Usual(("tool", "t", value) for value in values)
    assert all(usual.outlier("tool", "t", value) is None for value in values)


@given(
    st.lists(st.floats(0.5, 1.5), min_size=4, max_size=30),
    st.floats(1e-4, 1e4),
)
def test_outliers_do_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    rows = [*values, 40.0]
    one = Usual(("tool", "t", value) for value in rows).outlier("tool", "t", 40.0)
    scaled = Usual(("tool", "t", value * unit) for value in rows)
    other = scaled.outlier("tool", "t", 40.0 * unit)
    assert one is not None and other is not None
    assert one.far == pytest.approx(other.far)
