"""JSON stays JSON: every text and number in it is looked at, and the rest stays byte for byte."""

from __future__ import annotations

import json

from ctxplug_pii import Redactor
from hypothesis import given, settings
from hypothesis import strategies as st

CLEAN = Redactor().clean

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ("a@example.com", "电话 13800138000", 4111111111111111, 13800138000, "x\ny@example.com")
    )
    | st.just(json.dumps({"inner": "b@example.com", "卡": 4111111111111111}))
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.just("c@example.com"), inner, max_size=4)
    ),
    max_leaves=12,
)
DOCUMENTS = st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=5), VALUES, max_size=4)
SETTINGS = settings(deadline=None, max_examples=90)


@SETTINGS
@given(DOCUMENTS, st.booleans(), st.sampled_from((None, 2)))
def test_json_stays_json_of_the_same_shape(value, escaped: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    cleaned = json.loads(CLEAN(text))
    assert _shape(cleaned) == _shape(value)
    assert "example.com" not in CLEAN(text)
    assert "4111111111111111" not in CLEAN(text)


@SETTINGS
@given(DOCUMENTS, st.booleans())
def test_json_is_cleaned_the_same_however_it_is_escaped(value, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    other = json.dumps(value, ensure_ascii=not escaped, indent=1)
    assert json.loads(CLEAN(text)) == json.loads(CLEAN(other))
    assert CLEAN(CLEAN(text)) == CLEAN(text)


def _shape(value):
    if isinstance(value, dict):
        return sorted((_shape(item) for item in value.values()), key=repr)
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return "leaf"


def test_a_number_becomes_a_text_and_the_layout_stays() -> None:
    text = '{ "card":4111111111111111,\n  "n": 12, "x": [13800138000,1.5e3] }'
    assert CLEAN(text) == '{ "card":"[card]",\n  "n": 12, "x": ["[phone]",1.5e3] }'


def test_a_key_says_what_its_number_is() -> None:
    assert CLEAN('{"phone": "4155552671"}') == '{"phone": "[phone]"}'
    assert CLEAN('{"order": "4155552671"}') == '{"order": "4155552671"}'
    assert (
        CLEAN('{"手机": 4155552671, "号": 4155552671}') == '{"手机": "[phone]", "号": 4155552671}'
    )


def test_escaped_text_is_read_and_stays_escaped() -> None:
    assert CLEAN('["\\u90ae\\u7bb1 a\\u0040example.com"]') == '["\\u90ae\\u7bb1 [email]"]'
    assert CLEAN('["邮箱 a@example.com"]') == '["邮箱 [email]"]'
    assert CLEAN('["x\\na@example.com"]') == '["x\\n[email]"]'


def test_lines_of_json_and_json_in_prose_stay_what_they_are() -> None:
    lines = '{"to": "a@example.com"}\n\n{"card": 4111111111111111}\n'
    assert CLEAN(lines) == '{"to": "[email]"}\n\n{"card": "[card]"}\n'
    prose = 'The row is {"card": 4111111111111111, "mail": "l\\na@example.com"}, 请看。'
    assert CLEAN(prose) == 'The row is {"card": "[card]", "mail": "l\\n[email]"}, 请看。'


def test_broken_and_deep_json_is_cleaned_as_text() -> None:
    assert CLEAN('{"mail": "a@example.com", ') == '{"mail": "[email]", '
    assert CLEAN("[" * 5_000 + "a@example.com") == "[" * 5_000 + "[email]"
    assert CLEAN("[" + "1" * 5_000 + "]") == "[" + "1" * 5_000 + "]"
