"""Table form, loose reading and folding: what is written shorter reads back the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctxplug.compression import table_form, table_reading
from ctxplug.compression.json_values import Number, Value, leaves, parse, parse_loosely, write
from ctxplug.compression.line_folding import fold, unfold

TEXTS = st.sampled_from(
    [
        "",
        "a",
        "北京",
        "a,b",
        'say "hi"',
        "17",
        "true",
        "#",
        "#2{a}",
        "^1",
        "/2",
        "{",
        " x",
        "x ",
        "k:v",
    ]
) | st.text(max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
SCALARS = SCALARS.filter(lambda value: value not in (float("inf"), float("-inf")))
ROWS = st.lists(st.dictionaries(st.sampled_from(["id", "", "价", "a.b", "x"]), SCALARS), max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS, inner, max_size=4)
        | ROWS
        | st.lists(ROWS, max_size=3)
        | st.dictionaries(TEXTS, st.fixed_dictionaries({"id": inner, "n": inner}), max_size=4)
    ),
    max_leaves=25,
)


@settings(deadline=None, max_examples=400)
@given(data=VALUES)
@example(data=[{"id": None, "标签": "#:"}, {"id": None, "标签": "#:"}])
@example(data=[{"id": 1, "tag": "#"}, {"id": 2, "tag": "#"}])
def test_table_form_reads_back_to_the_same_value(data: object) -> None:
    value = parse(json.dumps(data))
    assert table_reading.read(table_form.write(value)) == value


@settings(deadline=None, max_examples=200)
@given(data=VALUES)
def test_minified_json_reads_back_to_the_same_value(data: object) -> None:
    value = parse(json.dumps(data, indent=2))
    assert parse(write(value)) == value
    assert json.loads(write(value)) == data


def test_keys_constants_and_repeated_rows_are_written_once() -> None:
    rows = [{"code": "A1", "place": "里斯本", "n": 1}, {"code": "B2", "place": "里斯本", "n": 20}]
    value = parse(json.dumps([*rows, rows[1]]))
    assert table_form.write(value) == "[#3{code,place=里斯本,n}\nA1,1\nB2,20\n^2]"


def test_an_object_of_like_objects_is_a_table_with_its_keys_before_the_rows() -> None:
    value = parse('{"c_1": {"id": "c_1", "sum": 5}, "c_2": {"id": "c_2", "sum": "5"}}')
    assert table_form.write(value) == '{#2{id=#,sum}\nc_1:5\nc_2:"5"}'


def test_numbers_keep_their_digits() -> None:
    text = "[1.10,1e3,-0,12345678901234567890,0.1000000000000000055]"
    assert write(parse(text)) == text
    assert table_form.write(parse(text)) == text


@pytest.mark.parametrize(
    "text", ["[#2{a}\n1]", "{a}", "[1,2", "[^1]x", "", "[#1{a}\n^1]", '{"a":}']
)
def test_what_is_not_table_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        table_reading.read(text)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "[NaN]", "[" * 60 + "]" * 60, "[" * 99_999])
def test_json_that_a_value_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, {"b": "x', {"a": [Number("1"), {"b": "x"}]}),
        (
            "{'名': '王芳', 'ok': True, 'n': None, 't': (1, 'x')}",
            {"名": "王芳", "ok": True, "n": None, "t": [Number("1"), "x"]},
        ),
        ('[{"a": 1}, {"a":', [{"a": Number("1")}, {}]),
    ],
)
def test_cut_off_json_and_python_literals_are_read_loosely(text: str, value: Value) -> None:
    assert parse_loosely(text) == value


@pytest.mark.parametrize("text", ["plain words", "[see the list]{", "{a b}", "[1 2]", "]", "{]"])
def test_other_text_is_not_read_loosely(text: str) -> None:
    with pytest.raises(ValueError):
        parse_loosely(text)


@settings(deadline=None, max_examples=200)
@given(data=VALUES, share=st.floats(0, 1))
def test_any_beginning_of_json_gives_its_first_leaves_or_is_refused(
    data: object, share: float
) -> None:
    text = json.dumps(data)
    try:
        value = parse_loosely(text[: int(len(text) * share)])
    except ValueError:
        return
    whole = [path for path, _ in leaves(parse(text))]
    assert {path for path, _ in leaves(value)} <= {*whole, ""} or isinstance(value, str | Number)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", "等待中", "waiting for the lock", 'x "y"']), max_size=30))
def test_folded_lines_unfold_to_the_same(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert unfold(fold(text)) == text
    assert len(fold(text)) <= len(text)
