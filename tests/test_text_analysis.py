from __future__ import annotations

import subprocess
import sys
import threading
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctxplug.recall.text import MAX_TERM, STOP_WORDS, index_text, terms

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)
WORDLIKE = st.text(
    st.sampled_from("aBé中文ガ한ไทยं0123479-_./:\\@+&~'’#=?, \n\u200d\u0301年月日TZ"), max_size=60
)


def found(query: str, text: str) -> bool:
    wanted = terms(query)
    return bool(wanted) and set(wanted) <= set(terms(text))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("runner", "The runners were running"),
        ("RUNNING", "she runs"),
        ("Alice", "That was Alice's idea"),
        ("Alice", "That was Alice’s idea"),
        ("O'Brien", "Mr O’Brien called"),
        ("brien", "Mr O'Brien called"),
        ("cafe", "meet me at the Café"),
        ("Zürich", "flight to ZURICH"),
        ("strasse", "die Straße"),
        ("Istanbul", "İstanbul is large"),
        ("vitamin C", "take vitamin C daily"),
        ("C++", "written in C++, not C#"),
    ],
)
def test_an_english_word_is_found_in_any_of_its_forms(query: str, text: str) -> None:
    assert found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("北京", "我上周去了北京旅游"),
        ("里斯本", "我2023年搬到里斯本。"),
        ("咖啡", "他不喝咖啡，只喝茶"),
        ("模型", "GPT模型很大"),
        ("gpt", "GPT模型很大"),
        ("ＧＰＴ", "GPT模型很大"),
        ("猫", "宠物：猫"),
        ("カタカナ", "これはｶﾀｶﾅです"),
        ("東京", "東京タワーに行きました"),
        ("ひらがな", "ひらがなを読む"),
        ("한국", "한국어를 공부합니다"),
        ("ไทย", "ภาษาไทยยาก"),
        ("हिन्दी", "मैं हिन्दी बोलता हूँ"),
        ("привет", "Привет, мир"),
    ],
)
def test_a_word_of_another_script_is_found(query: str, text: str) -> None:
    assert found(query, text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("the HAT-123 code", {"hat-123", "hat", "123"}),
        ("call foo_bar()", {"foo_bar", "foo", "bar"}),
        ("os.path.join", {"os.path.join", "path", "join"}),
        ("fix #42.", {"#42", "42"}),
        ("order #W1234567", {"#w1234567", "w1234567"}),
        ("thanks @ann", {"@ann", "ann"}),
        ("mail bob.smith@acme.com now", {"bob.smith@acme.com", "acme.com", "bob", "smith"}),
        ("in /usr/lib/run.py:", {"usr/lib/run.py", "run.py", "usr", "lib", "run"}),
        (r"in D:\data\ann\a.txt", {r"d:\data\ann\a.txt", "a.txt", "ann"}),
        ("std::vector", {"std::vector", "std", "vector"}),
        ("getUserName", {"getusernam", "get", "user", "name"}),
        ("HTTPServer", {"httpserver", "http", "server"}),
        ("see (https://acme.com/docs?id=7).", {"https://acme.com/docs?id=7", "acme.com", "7"}),
        ("见https://acme.com/x，很好", {"https://acme.com/x", "acme.com", "很好"}),
        ("paid $1,234.56", {"1234.56"}),
        ("[100,200,300]", {"100", "200", "300"}),
        ("about 3.14", {"3.14"}),
        ("version v3.11.7", {"v3.11.7"}),
    ],
)
def test_symbols_are_kept_whole_and_in_pieces(text: str, wanted: set[str]) -> None:
    assert wanted <= set(terms(text))


@pytest.mark.parametrize(
    "text", ["on 2023-05-08.", "2023/5/8", "2023.05.08", "2023年5月8日出发", "2023-05-08T10:30:00Z"]
)
def test_a_date_is_the_same_however_it_is_written(text: str) -> None:
    assert {"2023-05-08", "2023-05", "05-08", "2023"} <= set(terms(text))


@pytest.mark.parametrize(
    ("text", "term"),
    [("5月8号见", "05-08"), ("2023年5月", "2023-05"), ("logs/app-2023-05-08.log", "2023-05-08")],
)
def test_part_of_a_date_or_one_inside_a_name_is_found(text: str, term: str) -> None:
    assert term in terms(text)


@pytest.mark.parametrize("text", ["2023-13-45", "2023.1.2.3", "12023-05-08"])
def test_what_only_looks_like_a_date_is_none(text: str) -> None:
    assert not [t for t in terms(text) if t.startswith("2023-0")]


def test_stop_words_and_contractions_give_no_term() -> None:
    assert terms("It's what they don't, can't and won't: I'd, we'll, you’re. The OF a") == []
    assert {"may", "us", "march"}.isdisjoint(STOP_WORDS)


def test_neighbouring_characters_make_the_terms_of_chinese() -> None:
    assert terms("我爱北京") == ["我爱", "爱北", "北京"]
    assert terms("我，爱 北京") == ["我", "爱", "北京"]


def test_repetitions_are_kept_so_that_frequency_counts() -> None:
    assert terms("tea, tea 茶叶 茶叶") == ["tea", "tea", "茶叶", "茶叶"]
    assert index_text("Green tea") == "green tea"


def test_invisible_characters_do_not_part_a_word() -> None:
    assert terms("co\u00adop\u200der\ufeffation") == terms("cooperation")
    assert terms("tea\x00cup \ud800tea") == ["tea", "cup", "tea"]


def test_a_long_term_is_cut_but_still_told_apart() -> None:
    one, other = terms("x" * 100), terms("x" * 101)
    assert len(one[0]) == len(other[0]) == MAX_TERM
    assert one != other
    assert terms("X" * 100) == one


@settings(deadline=None, max_examples=400)
@given(ANY_TEXT | WORDLIKE)
@example("ͅ ͺ ﷺ \u0345a ǅ ⅷ ½ \u1e9e")
def test_a_term_has_no_space_control_or_surrogate_and_a_bounded_length(text: str) -> None:
    for term in terms(text):
        assert 1 <= len(term) <= MAX_TERM
        assert not any(c.isspace() or unicodedata.category(c) in ("Cc", "Cs") for c in term), term


@settings(deadline=None, max_examples=400)
@given(ANY_TEXT | WORDLIKE)
def test_every_term_of_a_word_is_among_the_terms_of_its_text(text: str) -> None:
    vocabulary = set(terms(text))
    for word in text.split():
        assert set(terms(word)) <= vocabulary


@settings(deadline=None, max_examples=200)
@given(ANY_TEXT | WORDLIKE)
def test_normal_form_and_index_text_change_nothing(text: str) -> None:
    assert index_text(text).split() == terms(text)
    assert terms(unicodedata.normalize("NFD", text)) == terms(text)


@pytest.mark.parametrize("piece", ["a", "a.", "a'", "aB", "1,", "1,234", "é", "我", "\u0301", "-"])
def test_a_very_long_line_is_analysed(piece: str) -> None:
    # A quadratic expression would make this take hours.
    assert len(terms(piece * 200_000)) <= 200_001


def test_threads_share_the_stemmer_without_mixing_words_up() -> None:
    words = [f"{stem}{end}" for stem in ("walk", "talk", "jump") for end in ("ing", "ed", "s")]
    unseen = [
        f"{chr(97 + i)}{chr(97 + j)}{word}" for i in range(9) for j in range(9) for word in words
    ]
    results: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: results.append(terms(" ".join(unseen)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(result == results[0] for result in results)
    assert set(results[0]) == {
        w[: -len(e)] for w in unseen for e in ("ing", "ed", "s") if w.endswith(e)
    }


def test_importing_the_analysis_does_not_import_the_stemmer() -> None:
    code = "import sys, ctxplug.recall.text; sys.exit('snowballstemmer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
