from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug.compression.sentences import LONGEST, split

PIECES = st.lists(
    st.sampled_from(
        [
            *("Dr. Chen", "3.14", "e.g.", "a.b/c?d", "好。", "？”", "…", "...", "\n", "\r\n", " "),
            *("```\n", "```py\nx = 1. \n", "- item", "1. one", "\ud800", "\x00", "\u2028", ". "),
        ]
    )
    | st.text(max_size=5)
).map("".join)


@settings(deadline=None)
@given(PIECES)
def test_the_sentences_joined_are_the_text(text: str) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert all(pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. We left! Why? No idea", ["It rained. ", "We left! ", "Why? ", "No idea"]),
        ("我搬到了里斯本。你呢？还没有！", ["我搬到了里斯本。", "你呢？", "还没有！"]),
        ("他说：“走吧。”然后走了；真的……", ["他说：“走吧。”", "然后走了；", "真的……"]),
        ("lower case. still cut. ok", ["lower case. ", "still cut. ", "ok"]),
        ('She said "Stop." Then left.', ['She said "Stop." ', "Then left."]),
    ],
)
def test_a_text_is_cut_where_a_statement_ends(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Chen and J. Smith met at 5 p.m. on Jan. 3 for $3.50.",
        "See https://example.com/a.b?c=d. or mail a.b@c.d now",
        "Use e.g. version 1.2.3 of No. 5, i.e. the last.",
        "We waited... and waited",
    ],
)
def test_abbreviations_numbers_and_addresses_are_not_cut(text: str) -> None:
    assert len(split(text)) == (2 if "See" in text else 1)


def test_each_line_of_a_list_is_a_sentence() -> None:
    assert split("Todo:\n- milk\n- eggs\n1. one\n2. two") == [
        *("Todo:\n", "- milk\n", "- eggs\n", "1. one\n", "2. two")
    ]


def test_a_code_block_is_kept_whole_and_an_open_one_reaches_to_the_end() -> None:
    code = "```py\nx = 1. \n\nprint(x)! \n```\n"
    assert split(f"Look. \n{code}Done.") == ["Look. \n", code, "Done."]
    assert split("```\na. b. c") == ["```\na. b. c"]


def test_a_megabyte_on_one_line_is_cut_into_pieces() -> None:
    for text in ("word, " * 200_000, "." * 1_000_000 + "a", "字" * 500_000):
        pieces = split(text)
        assert "".join(pieces) == text
        assert max(map(len, pieces)) <= LONGEST
