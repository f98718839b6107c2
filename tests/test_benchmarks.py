"""The side-by-side run: its measures, its comparison with committed figures, and its pages."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug.context.validity import check
from ctxplug.messages import Message, ToolCallPart, ToolResultPart

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"
PAGES = ROOT / "docs" / "benchmarks"
sys.path.insert(0, str(FOLDER))  # as it is when one of them is run

import peer_data  # noqa: E402
import peer_recall  # noqa: E402
import peer_windows  # noqa: E402
import run_all  # noqa: E402
import run_pages  # noqa: E402
from ratios import BANDS, Change, Figure, compare  # noqa: E402
from recorded_data import default_counter  # noqa: E402
from run_figures import BENCHMARKS  # noqa: E402

SESSION = peer_data.synthetic_session(turns=8, budget=1_200)


# -- figures beside those of another day ---------------------------------------------------

KINDS = st.sampled_from(sorted(BANDS))
VALUES = st.floats(0, 1, allow_nan=False)


def verdict(before: Figure | None, now: Figure | None) -> str:
    figures = ({"it": f} if f else {} for f in (before, now))
    (change,) = compare(*figures)
    return change.verdict


@pytest.mark.parametrize(
    ("kind", "lower", "before", "now", "expected"),
    [
        ("share", False, 0.90, 0.896, "same"),
        ("share", False, 0.90, 0.88, "worse"),
        ("share", False, 0.90, 0.86, "regression"),
        ("share", False, 0.90, 0.92, "better"),
        ("share", True, 0.0, 0.01, "worse"),
        ("share", True, 0.0, 0.04, "regression"),
        ("count", True, 0.34, 0.36, "worse"),
        ("count", True, 0.34, 0.38, "regression"),
        ("time", True, 1.0, 1.4, "same"),
        ("time", True, 1.0, 2.9, "worse"),
        ("time", True, 1.0, 3.1, "regression"),
        ("time", True, 1.0, 0.5, "better"),
        ("time", False, 1.0, 0.3, "regression"),
        ("size", True, 2.0, 3.1, "regression"),
        ("disk", True, 1.0, 3.1, "worse"),
    ],
)
def test_a_figure_is_judged_by_the_band_of_its_kind(
    kind: Any, lower: bool, before: float, now: float, expected: str
) -> None:
    assert verdict(Figure(before, kind, lower), Figure(now, kind, lower)) == expected


@settings(deadline=None)
@given(kind=KINDS, lower=st.booleans(), a=VALUES, b=VALUES)
def test_what_got_worse_one_way_got_better_the_other_way(
    kind: Any, lower: bool, a: float, b: float
) -> None:
    there = verdict(Figure(a, kind, lower), Figure(b, kind, lower))
    back = verdict(Figure(b, kind, lower), Figure(a, kind, lower))
    assert (there == "same") == (back == "same")
    assert (there == "better") == (back in ("worse", "regression"))
    assert verdict(Figure(a, kind, lower), Figure(b, kind, not lower)) == back or there == "same"


@settings(deadline=None)
@given(kind=KINDS, lower=st.booleans(), value=VALUES)
def test_a_figure_that_was_written_and_read_is_the_same(
    kind: Any, lower: bool, value: float
) -> None:
    figure = Figure(value, kind, lower)
    kept = Figure.from_dict(json.loads(json.dumps(figure.to_dict())))
    assert verdict(kept, figure) == verdict(figure, kept) == "same"


def test_a_figure_that_came_or_went_is_named() -> None:
    figure = Figure(1.0, "time")
    assert verdict(None, figure) == "new"
    assert verdict(figure, None) == "gone"
    (change,) = compare({"召回": figure}, {"召回": Figure(4.0, "time")})
    assert str(change) == "regression: 召回: 1.00 -> 4.00"


@pytest.mark.parametrize(
    ("verdict_", "code"),
    [("same", 0), ("new", 0), ("better", 0), ("worse", 0), ("regression", 1), ("gone", 1)],
)
def test_a_check_fails_for_a_regression_and_for_a_figure_that_is_gone(
    verdict_: str, code: int
) -> None:
    result = run_all.Result("recall", 1.0, data={})
    change = Change("it", None, None, verdict_)
    assert run_all.exit_code([result], {"recall": [change]}) == code


def test_a_check_fails_for_a_benchmark_that_failed_and_not_for_one_that_was_skipped() -> None:
    skipped = run_all.Result("recall", 1.0, skipped="no recorded data")
    assert run_all.exit_code([skipped], {}) == 0
    assert run_all.exit_code([skipped, run_all.Result("x", 1.0, failed="KeyError")], {}) == 1


def test_of_two_runs_the_better_time_counts_and_the_first_share() -> None:
    first = {"a": Figure(4.0, "time"), "b": Figure(0.2, "disk"), "c": Figure(0.5, "share")}
    again = {"a": Figure(2.0, "time"), "b": Figure(0.3, "disk"), "c": Figure(0.1, "share")}
    result = run_all.Result("x", 1.0, {}, first)
    figures = run_all.better(result, [replace(result, figures=again)]).figures
    assert {name: figure.value for name, figure in figures.items()} == {"a": 2, "b": 0.2, "c": 0.5}


def test_what_a_benchmark_says_is_read_as_figures_or_as_the_reason_why_there_are_none() -> None:
    (benchmark,) = [b for b in BENCHMARKS if b.name == "retention_known"]
    printed = json.dumps(
        {"shares": [0.05, 0.1], "rows": {"question": [0.8, 0.9], "balanced": [0.4, 0.5]}}
    )
    read = run_all.read_one(benchmark, printed, "", 1.0)
    assert [f.value for f in read.figures.values()] == [0.9, 0.5]
    assert run_all.read_one(benchmark, "", "Skipped: no locomo-dev", 1.0).skipped
    missing = run_all.read_one(benchmark, "", "ModuleNotFoundError: No module named 'x'", 1.0)
    assert missing.skipped.endswith("'x'")
    assert run_all.read_one(benchmark, "", "ValueError: wrong", 1.0).failed == "ValueError: wrong"
    assert "figures" in run_all.read_one(benchmark, '{"rows": {}}', "", 1.0).failed


# -- is a window valid? --------------------------------------------------------------------


def without(index: int) -> Callable[[list[Message]], list[Message]]:
    return lambda messages: messages[:index] + messages[index + 1 :]


def first_of(role: str) -> int:
    return next(n for n, m in enumerate(SESSION.messages) if m.role == role)


def test_the_plain_check_and_the_rules_agree_on_the_synthetic_session() -> None:
    messages = list(SESSION.messages)[:-1]
    assert peer_windows.plain_faults(messages) == []
    assert check("anthropic", messages) == check("openai", messages) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without(first_of("user")), "the first message is not the user's"),
        (without(first_of("assistant")), "a result without its call"),
        (without(first_of("tool")), "a call without its result"),
        (lambda m: m[: first_of("tool")], "a call without its result"),
        (lambda m: [m[0], Message("user", " ")], "a message that says nothing"),
        (lambda m: [m[0]], "the first message is not the user's"),
    ],
    ids=["no user", "no call", "no result", "open at the end", "blank", "system only"],
)
def test_the_plain_check_names_what_is_wrong(change: Any, fault: str) -> None:
    changed = change(list(SESSION.messages))
    assert fault in peer_windows.plain_faults(changed)
    assert check("anthropic", changed), "the rules of ctxplug find it too"


def test_a_result_that_comes_twice_is_found() -> None:
    call = ToolCallPart("a", "look_up", {})
    result = Message("tool", (ToolResultPart("a", "三张票"),))
    messages = [Message("user", "几张票？"), Message("assistant", (call,)), result, result]
    assert peer_windows.plain_faults(messages) == ["a result without its call"]


# -- what is compared ----------------------------------------------------------------------


def test_the_synthetic_data_are_the_same_every_time_and_half_chinese() -> None:
    again = peer_data.synthetic_session(turns=8, budget=1_200)
    assert [m.content for m in again.messages] == [m.content for m in SESSION.messages]
    asked = [m.text for m in SESSION.messages if m.role == "user"]
    assert sum("订单" in text for text in asked) == len(asked) / 2
    corpus = peer_data.synthetic_corpus()
    assert corpus == peer_data.synthetic_corpus()
    assert sum("放在" in question.text for question in corpus.questions) == 48
    assert len(corpus.questions) == 96


def test_every_question_of_the_synthetic_corpus_has_its_answer_once() -> None:
    corpus = peer_data.synthetic_corpus()
    items = {item.id: item for item in corpus.items}
    assert len(items) == len(corpus.items)
    assert Counter(len(q.evidence) for q in corpus.questions) == {1: 96}
    for question in corpus.questions:
        told = items[question.evidence[0]].message
        assert told is not None and told.name and told.name in question.text


def test_windows_are_measured_beside_the_whole_history() -> None:
    result = peer_windows.measure(SESSION, ("full history", "ctxplug, balanced"))
    whole, ours = result["rows"]
    calls = sum(m.role == "assistant" for m in SESSION.messages)
    assert whole["windows"] == ours["windows"] == calls
    assert (whole["verbatim"], whole["lost"], whole["over"] > 0.5) == (1.0, 0, True)
    assert (ours["over"], ours["invalid"], ours["plainly_invalid"]) == (0, 0, 0)
    assert ours["tokens"] < whole["tokens"]
    assert whole["needed"] == ours["needed"] > 0
    assert result["absent"] == {}


def test_messages_that_say_the_same_count_as_often_as_they_stand_there() -> None:
    thanks, digest = Message("user", "谢谢"), Message("user", "[3 messages: 谢谢]")
    book = peer_windows.Book(default_counter(), [thanks, Message("user", "Hi"), thanks])
    window = [book.logged(m) for m in (digest, thanks, thanks, thanks)]
    assert book.verbatim(window, 1) == 1, "only one of them was said by then"
    assert book.verbatim(window, 3) == 2
    assert [m.version > 0 for m in window] == [False, True, True, True]


class Forgetful(peer_windows.SENDERS["full history"]):  # type: ignore[misc, name-defined]
    """Sends the newest three messages, whatever they are."""

    def send(self) -> Any:
        return self.heard[-3:]


def test_a_sender_that_cuts_anywhere_is_seen_to_break_rules_and_lose_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    senders = {**peer_windows.SENDERS, "forgetful": Forgetful}
    monkeypatch.setattr(peer_windows, "SENDERS", senders)
    result = peer_windows.measure(SESSION, ("ctxplug, balanced", "forgetful"))
    forgetful = result["rows"][1]
    assert forgetful["invalid"] > 0.5 < forgetful["plainly_invalid"]
    assert forgetful["lost"] > 0
    assert forgetful["from_cache"] < result["rows"][0]["from_cache"]
    assert "| forgetful |" in peer_windows.table(result)


def test_recall_is_measured_beside_plain_bm25_and_the_absent_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("numpy")

    def absent(*_: Any) -> Any:
        raise peer_recall.CannotTakePart("nobody is not installed")

    monkeypatch.setattr(peer_recall, "STORES", {**peer_recall.STORES, "nobody": absent})
    corpus = peer_data.synthetic_corpus()
    corpus = replace(corpus, questions=corpus.questions[::2])
    stores = ("ctxplug", "plain BM25", "nobody")
    result = peer_recall.measure([corpus], peer_data.CharacterNgrams(), stores)
    ours, plain = result["rows"]
    assert ours["share"] > 0.8 > plain["share"] > 0.3
    assert (ours["x"], result["questions"]) == (1.0, 48)
    assert "- nobody took no part: nobody is not installed." in peer_recall.table(result)


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=30), max_size=4))
def test_the_embedder_that_needs_no_model_keeps_the_law(texts: list[str]) -> None:
    numpy = pytest.importorskip("numpy")
    embedder = peer_data.CharacterNgrams()
    rows = embedder.embed(texts)
    assert (rows.shape, rows.dtype) == ((len(texts), embedder.dimension), numpy.float32)
    lengths = numpy.linalg.norm(rows, axis=1)
    assert all(abs(length - 1) < 1e-5 or length == 0 for length in lengths)
    for text, row in zip(texts, rows, strict=True):
        assert numpy.allclose(embedder.embed([text])[0], row)


def test_the_embedder_that_needs_no_model_finds_what_is_like_in_both_languages() -> None:
    pytest.importorskip("numpy")
    embed = peer_data.CharacterNgrams().embed
    asked, same, other = embed(["a window seat", "seats at the window", "a loaf of bread"])
    assert asked @ same > asked @ other
    asked, same, other = embed(["靠窗的座位", "喜欢靠窗的座位", "一块面包"])
    assert asked @ same > asked @ other


# -- the folder and its pages --------------------------------------------------------------


def test_every_benchmark_of_the_folder_is_part_of_the_run() -> None:
    scripts = {
        file.stem
        for file in FOLDER.glob("*.py")
        if '"--json"' in file.read_text(encoding="utf-8") and file.stem != "run_all"
    }
    assert {benchmark.name for benchmark in BENCHMARKS} == scripts
    assert len(BENCHMARKS) == len(scripts)


def test_the_committed_figures_are_of_benchmarks_that_there_are() -> None:
    kept = run_all.kept_figures(PAGES)
    names = {benchmark.name for benchmark in BENCHMARKS}
    small = {benchmark.name for benchmark in BENCHMARKS if benchmark.small is not None}
    assert set(kept["full"]) <= names
    assert set(kept["small"]) == small
    for figures in (*kept["full"].values(), *kept["small"].values()):
        assert figures
        assert all(Figure.from_dict(data).kind in BANDS for data in figures.values())


def test_tables_and_plots_are_what_the_committed_figures_say(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for file in PAGES.glob("*"):
        if file.is_file():
            shutil.copy(file, tmp_path)
    run_pages.write_pages(tmp_path, BENCHMARKS)
    for name in ("index.md", "side_by_side.md"):
        assert (tmp_path / name).read_text("utf-8") == (PAGES / name).read_text("utf-8"), name
    for plot in sorted(PAGES.glob("side_by_side_*.svg")):
        drawn = (tmp_path / plot.name).read_text("utf-8")
        assert "http" not in drawn.replace("http://www.w3.org", "").replace("http://purl.org", "")


def test_the_front_page_leads_to_every_page_and_every_plot_has_a_text() -> None:
    text = (PAGES / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w+)\.md", text))
    assert {page.stem for page in PAGES.glob("*.md")} - {"index"} <= linked
    side = (PAGES / "side_by_side.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"!\[([^\]]{30,})\]\((\w+\.svg)\)", side))
    assert set(shown.values()) == {plot.name for plot in PAGES.glob("side_by_side_*.svg")}


def test_a_table_takes_the_place_between_its_marks_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("前\n<!-- a -->\nold\n<!-- /a -->\nafter\n", encoding="utf-8")
    run_pages.fill(page, {"a": "| new |"})
    run_pages.fill(page, {"a": "| 新 \\1 |"})
    assert page.read_text("utf-8") == "前\n<!-- a -->\n\n| 新 \\1 |\n\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="no place <!-- b -->"):
        run_pages.fill(page, {"b": ""})


def test_what_ran_takes_the_place_of_its_figures_and_others_keep_theirs(tmp_path: Path) -> None:
    time = Figure(1.0, "time")
    run_all.keep(tmp_path, [run_all.Result("a", 1.0, {}, {"x": time})], small=True)
    run_all.keep(tmp_path, [run_all.Result("b", 1.0, {}, {"y": time})], small=True)
    run_all.keep(tmp_path, [run_all.Result("a", 1.0, {}, {"z": time})], small=False)
    kept = run_all.kept_figures(tmp_path)
    assert (list(kept["small"]), list(kept["small"]["a"])) == (["a", "b"], ["x"])
    assert list(kept["full"]["a"]) == ["z"]


def test_the_run_lists_its_benchmarks_and_refuses_one_that_there_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_all.main(["--only", "list"]) == 0
    assert capsys.readouterr().out.startswith("peer_windows ")
    with pytest.raises(SystemExit):
        run_all.main(["--only", "recal"])
    assert "there is no benchmark 'recal'; choose from peer_windows," in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_writes_its_figures_and_a_check_finds_what_regressed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ["--small", "--only", "trace_overhead", "--pages", str(tmp_path)]
    assert run_all.main(one) == 0
    assert "new: processor of a traced turn" in capsys.readouterr().out
    assert run_all.main([*one, "--check"]) == 0
    kept = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    (figure,) = kept["small"]["trace_overhead"].values()
    figure["value"] /= 100
    (tmp_path / "figures.json").write_text(json.dumps(kept), encoding="utf-8")
    before = (tmp_path / "figures.json").read_bytes()
    assert run_all.main([*one, "--check"]) == 1
    assert "regression: processor of a traced turn" in capsys.readouterr().out
    assert (tmp_path / "figures.json").read_bytes() == before, "a check writes nothing"
