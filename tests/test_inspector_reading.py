"""What the inspector tells of a store is what happened in it."""

from __future__ import annotations

import hashlib
import re
import string
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message
from ctxplug.cli.app import app
from ctxplug.errors import BudgetError
from ctxplug.inspector.outline import Mark, Outline, Said
from ctxplug.inspector.past import PastWindows, Seen
from ctxplug.inspector.pieces import CUT, PARTS, Piece, columns
from ctxplug.inspector.reading import Reading, SessionRow
from ctxplug.inspector.step_tree import tree
from ctxplug.inspector.why import (
    ANSWER,
    FATES,
    KEPT,
    LATER,
    MERGED,
    OUT,
    REMOVED,
    fate_of,
    why,
)
from ctxplug.inspector.why import (
    CUT as SHORTER,
)
from ctxplug.inspector.words import LANGUAGES, Words, language
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.storage.shared import acquire, release
from ctxplug.transcripts import read_transcript

TRIP = Path(__file__).parents[1] / "examples" / "trip_planner.jsonl"
BUDGET = 1_500


class Store:
    """A file with conversations, and the windows that were sent of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sent: dict[str, dict[int, tuple[Message, ...]]] = {}

    def play(self, *, session: str = "", trace: float = 1.0, query: bool = False) -> None:
        """Fill it with both conversations, asking for a window before each answer."""
        for conversation in read_transcript(str(TRIP)):
            name = session + conversation.name
            sent = self.sent.setdefault(name, {})
            turn, said = 0, ""
            with self.open(name, trace=trace) as memory:
                for message in conversation.messages:
                    if message.role == "assistant":
                        turn += 1
                        window = memory.context(said if query else None)
                        sent[turn] = window.messages
                    said = message.text if message.role == "user" else said
                    memory.add(message)

    def open(self, session: str, **options: object) -> AgentMemory:
        return AgentMemory.open(
            self.path, namespace="demo", session=session, budget=BUDGET, **options
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("inspected") / "agent.db")
    made.play()
    made.play(session="asked-", query=True)
    made.play(session="untraced-", trace=0.0)
    for conversation in read_transcript(str(TRIP)):
        with made.open(f"filled-{conversation.name}", trace=0.0) as memory:
            memory.extend(conversation.messages)
    return made


@pytest.fixture(scope="module")
def reading(store: Store) -> Iterator[Reading]:
    registry = Registry(installed())
    backend = acquire(f"sqlite:///{store.path}?mode=ro", registry)
    yield Reading(backend, registry)
    release(backend)


def look(reading: Reading, session: str, **options: object) -> tuple[Outline, PastWindows]:
    (row,) = [row for row in reading.sessions(("demo",)) if row.session == session]
    outline = reading.outline(row)
    while outline.read():
        pass
    return outline, reading.windows(outline, reading.steps(outline.stream), **options)


def said(outline: Outline) -> list[Said]:
    return [row for row in outline.rows if isinstance(row, Said)]


# -- windows -------------------------------------------------------------------------


@pytest.mark.parametrize("session", ["lisbon", "chengdu", "asked-lisbon", "asked-chengdu"])
def test_a_recorded_window_is_shown_as_it_was_sent(
    reading: Reading, store: Store, session: str
) -> None:
    outline, windows = look(reading, session)
    assert outline.turns == len(store.sent[session])
    for turn, messages in store.sent[session].items():
        seen = windows.seen(turn)
        assert (seen.source, seen.exact, seen.error) == ("recorded", True, None)
        assert seen.window is not None and seen.window.messages == messages
        assert windows.tokens(turn) == seen.tokens == sum(piece.tokens for piece in seen.pieces)
        assert sum(seen.parts.values()) == seen.tokens and set(seen.parts) <= set(PARTS)


@pytest.mark.parametrize("session", ["untraced-lisbon", "untraced-chengdu"])
def test_without_a_trace_the_log_tells_the_same(
    reading: Reading, store: Store, session: str
) -> None:
    _, windows = look(reading, session)
    assert any(windows.compactions(windows.seen(turn)) for turn in store.sent[session])
    for turn, messages in store.sent[session].items():
        seen = windows.seen(turn)
        assert (seen.source, seen.exact, seen.step) == ("log", None, None)
        assert seen.window is not None and seen.window.messages == messages


@pytest.mark.parametrize("name", ["lisbon", "chengdu"])
def test_what_was_never_sent_is_what_would_be(reading: Reading, store: Store, name: str) -> None:
    outline, windows = look(reading, f"filled-{name}", budget=BUDGET)
    assert all(isinstance(row, Said) for row in outline.rows)
    for turn, messages in store.sent[name].items():
        seen = windows.seen(turn)
        assert seen.source == "played" and seen.window is not None
        assert [m.text for m in seen.window.messages] == [m.text for m in messages]
        for version, piece in seen.places.items():
            if len(piece.versions) == 1 and piece.form == "verbatim" and piece.message:
                original = reading.message(outline.stream, version)
                assert original is not None and original.content == piece.message.content


def test_another_budget_or_policy_is_a_question_of_its_own(reading: Reading) -> None:
    _, as_sent = look(reading, "lisbon")
    _, smaller = look(reading, "lisbon", budget=900)
    _, sooner = look(reading, "lisbon", policy="aggressive")
    assert smaller.seen(19).source == sooner.seen(19).source == "played"
    assert smaller.seen(19).tokens <= 900 < as_sent.seen(18).tokens
    assert sooner.seen(19).policy == "aggressive"


def test_a_window_that_could_not_be_made_says_what_it_needed(tmp_path: Path) -> None:
    with AgentMemory.open(tmp_path / "a.db", namespace="n", session="s", budget=50) as memory:
        memory.add("user", "a question that is far too long " * 40)
        with pytest.raises(BudgetError) as failure:
            memory.context()
        memory.add("assistant", "?")
        seen = _windows(memory).seen(1)
    assert seen.window is None and seen.needed == failure.value.needed
    assert seen.error and not seen.pieces and seen.tokens == 0


def test_an_assistant_that_speaks_first_was_sent_nothing() -> None:
    with AgentMemory.open("memory:", namespace="n", session="s", trace=0.0) as memory:
        memory.extend([Message("assistant", "Welcome."), Message("user", "Hi.")])
        windows = _windows(memory)
        assert windows.outline.turns == 2
        assert windows.seen(1).window is None and windows.seen(1).error
        assert windows.seen(2).window is not None and windows.outline.call(2).answer is None


def test_a_long_log_that_was_never_asked_for_a_window_is_shown_as_its_first_call_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ctxplug.inspector.basis.MOST_PLAYED", 10)
    with AgentMemory.open("memory:", namespace="n", session="s", trace=0.0) as memory:
        for i in range(40):
            memory.add("user", f"question {i}: " + "where is it? " * 60)
            memory.add("assistant", f"answer {i}: " + "over there. " * 60)
        windows = _windows(memory, budget=1_000)
        seen = windows.seen(40)
        assert seen.source == "played" and 0 < seen.tokens <= 1_000
        assert not windows.quick(39) and windows.cached(40) == 0


def _windows(memory: AgentMemory, **options: object) -> PastWindows:
    memory.trace.flush()
    reading = Reading(memory.backend, Registry(installed()))
    (row,) = reading.sessions(memory.scope.namespace)
    outline = reading.outline(row)
    while outline.read():
        pass
    return reading.windows(outline, reading.steps(outline.stream), **options)


def test_what_the_call_before_had_is_the_beginning_of_both(reading: Reading) -> None:
    outline, windows = look(reading, "asked-lisbon")
    shares = []
    for turn in range(2, outline.turns + 1):
        same = windows.cached(turn)
        before, now = windows.seen(turn - 1).window, windows.seen(turn).window
        assert before and now
        texts = [_texts(windows.seen(n).pieces) for n in (turn - 1, turn)]
        assert texts[0][:same] == texts[1][:same]
        assert texts[0][: same + 1] != texts[1][: same + 1]
        shares.append(sum(p.tokens for p in windows.seen(turn).pieces[:same]) / now.tokens)
    assert windows.cached(1) == 0 and max(shares) > 0.7 > min(shares)


def _texts(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    return [(p.role, p.message.text if p.message else "") for p in pieces]


# -- fates ---------------------------------------------------------------------------


@pytest.mark.parametrize("session", ["lisbon", "asked-chengdu", "untraced-lisbon"])
def test_the_fate_of_a_message_is_where_it_is(reading: Reading, session: str) -> None:
    outline, windows = look(reading, session)
    for turn in range(1, outline.turns + 1):
        seen = windows.seen(turn)
        assert seen.window is not None
        sent = {m.id for m in seen.window.messages}
        fates = {one.version: fate_of(one, outline, seen) for one in said(outline)}
        assert [v for v, f in fates.items() if f.name == ANSWER] == [seen.call.answer]
        assert all((f.name == LATER) == (v > (seen.call.answer or 0)) for v, f in fates.items())
        for one in said(outline):
            message = reading.message(outline.stream, one.version)
            assert message is not None
            if fates[one.version].name == KEPT:
                assert message.id in sent
            elif fates[one.version].name in (MERGED, OUT):
                assert message.id not in sent
                assert fates[one.version].others > 0
    assert {f.name for f in fates.values()} >= {KEPT, MERGED, ANSWER}


@pytest.mark.parametrize(
    "session", ["lisbon", "asked-chengdu", "untraced-chengdu", "filled-lisbon"]
)
def test_every_message_has_a_reason_in_both_languages(reading: Reading, session: str) -> None:
    outline, windows = look(reading, session)
    english, chinese = Words("en"), Words("zh")
    for turn in (1, 8, outline.turns):
        seen = windows.seen(turn)
        for one in said(outline):
            reasons = why(one, windows, seen)
            assert reasons, (turn, one)
            for reason in reasons:
                told = english(reason.key, **reason.values), chinese(reason.key, **reason.values)
                assert told[0] != told[1] and "{" not in "".join(told)


def test_a_digest_names_the_compaction_that_made_it(reading: Reading) -> None:
    outline, windows = look(reading, "lisbon")
    seen = windows.seen(outline.turns)
    marks = [row for row in outline.rows if isinstance(row, Mark)]
    done = windows.compactions(seen)
    assert [one.version for one in done] == [mark.version for mark in marks]
    first = next(o for o in said(outline) if fate_of(o, outline, seen).name == MERGED)
    keys = {reason.key: reason.values for reason in why(first, windows, seen)}
    assert keys["why.changed_by"]["number"] == 1
    assert keys["why.changed_by"]["turn"] == marks[0].turn
    assert keys["why.original"]["ref"] == f"@{first.version}"
    before = windows.seen(marks[0].turn - 1)
    assert fate_of(first, outline, before).name == KEPT


def test_what_memory_brought_back_says_so(reading: Reading) -> None:
    outline, windows = look(reading, "asked-lisbon")
    found = [
        (one, seen)
        for turn in range(1, outline.turns + 1)
        for seen in [windows.seen(turn)]
        for one in said(outline)
        if fate_of(one, outline, seen).recalled
    ]
    assert found
    for one, seen in found:
        assert fate_of(one, outline, seen).name in (MERGED, OUT, SHORTER)
        assert "recalled" in seen.parts
        assert "why.recalled" in [reason.key for reason in why(one, windows, seen)]


def test_what_an_edit_removed_says_which_edit() -> None:
    with AgentMemory.open("memory:", namespace="n", session="s") as memory:
        for i in range(4):
            memory.add("user", f"question {i}")
            memory.context()
            memory.add("assistant", f"answer {i}")
        versions = [logged.version for logged in memory.session.log()]
        memory.session.keep(versions[:2])
        memory.add("user", "another question")
        memory.context()
        memory.add("assistant", "another answer")
        windows = _windows(memory)
        outline = windows.outline
        last, before = windows.seen(outline.turns), windows.seen(4)
        fates = {
            o.line: (fate_of(o, outline, before).name, fate_of(o, outline, last).name)
            for o in said(outline)
        }
        assert fates["question 3"] == (KEPT, REMOVED) and fates["question 0"] == (KEPT, KEPT)
        assert last.exact and before.exact
        gone = next(o for o in said(outline) if o.line == "question 3")
        assert [r.key for r in why(gone, windows, last)] == ["why.edited", "why.original"]


def test_what_a_restore_left_behind_says_where_it_went_back_to() -> None:
    with AgentMemory.open("memory:", namespace="n", session="s") as memory:
        for i in range(4):
            memory.add("user", f"question {i}")
            memory.context()
            memory.add("assistant", f"answer {i}")
            if i == 1:
                memory.session.snapshot("half way")
        memory.session.restore("half way")
        memory.add("user", "another question")
        memory.context()
        memory.add("assistant", "another answer")
        windows = _windows(memory)
        outline, last = windows.outline, windows.seen(5)
        assert [windows.seen(turn).exact for turn in range(1, 6)] == [True] * 5
        marks = [row for row in outline.rows if isinstance(row, Mark)]
        assert [mark.kind for mark in marks] == ["snapshot", "kept"]
        fates = {one.line: fate_of(one, outline, last).name for one in said(outline)}
        assert fates["answer 1"] == KEPT and fates["question 2"] == fates["answer 3"] == REMOVED
        gone = next(one for one in said(outline) if one.line == "answer 2")
        reason = why(gone, windows, last)[0]
        assert reason.key == "why.restored" and reason.values["restored"] == marks[0].version


def test_a_fork_shows_what_its_parent_was_sent(tmp_path: Path) -> None:
    with AgentMemory.open(tmp_path / "a.db", namespace="n", session="one") as memory:
        for i in range(3):
            memory.add("user", f"question {i}")
            memory.context()
            memory.add("assistant", f"answer {i}")
        other = memory.session.fork("two")
        other.add("user", "elsewhere")
        other.context()
        other.add("assistant", "there")
        other.trace.flush()
        memory.trace.flush()
        reading = Reading(memory.backend, Registry(installed()))
        row = next(r for r in reading.sessions(("n",)) if r.session == "two")
        outline = reading.outline(row)
        while outline.read():
            pass
        windows = reading.windows(outline, reading.steps(outline.stream))
        assert row.parent == "one" and outline.turns == 4 and windows.recorded == 4
        assert all(windows.seen(turn).exact for turn in range(1, 5))


# -- lists ---------------------------------------------------------------------------


def test_sessions_are_listed_with_their_size(reading: Reading, store: Store) -> None:
    rows = {row.session: row for row in reading.sessions(("demo",))}
    assert set(rows) >= {"lisbon", "chengdu", "filled-lisbon"}
    size = reading.size(rows["lisbon"])
    with store.open("lisbon") as memory:
        assert size.messages == len(memory.messages())
        assert size.tokens == sum(one.tokens for one in memory.session.log())
    assert (size.turns, size.whole, size.state) == (19, True, "active")
    assert isinstance(rows["lisbon"], SessionRow) and rows["lisbon"].where == "demo"


def test_memories_are_found_as_recall_finds_them(tmp_path: Path) -> None:
    with AgentMemory.open(tmp_path / "a.db", namespace="n", session="s") as memory:
        memory.remember("She prefers a window seat", kind="preference", tags=["travel"])
        old = memory.remember("她住在北京")
        memory.remember("她搬到了上海", supersedes=old.id)
        memory.add("user", "Which seat does she like?")
        reading = Reading(memory.backend, Registry(installed()))
        listed = [found.record.content for found in reading.memories(("n",), limit=10)]
        assert sorted(listed) == sorted(["她搬到了上海", "她住在北京", "She prefers a window seat"])
        for query in ("which seat", "她住在哪里"):
            found = reading.search(("n",), query)
            recalled = memory.recall(query, k=50)
            assert [f.record.id for f in found] == [r.record.id for r in recalled]
            assert all(f.why and f.score is not None for f in found)


def test_a_memory_says_what_it_was_made_from() -> None:
    options = {"namespace": "n", "session": "s", "capture": "auto"}
    with AgentMemory.open("memory:", **options) as memory:
        memory.add("user", "你好")
        memory.add("user", "I am allergic to shellfish.")
        reading = Reading(memory.backend, Registry(installed()))
        (found,) = reading.memories(("n",), limit=10)
        assert reading.sources(found.record) == ["@2 I am allergic to shellfish."]


def test_steps_stand_behind_their_parents_with_their_turn(reading: Reading) -> None:
    outline, _ = look(reading, "asked-lisbon")
    nodes = tree(reading.steps(outline.stream), outline)
    places = {node.step.id: i for i, node in enumerate(nodes)}
    assert len(places) == len(nodes) > 30
    assert {node.turn for node in nodes if node.step.kind == "window"} == set(range(1, 20))
    for i, node in enumerate(nodes):
        assert node.depth == 0 or places[node.step.parent or ""] < i
        assert 0 <= node.began <= 1 and node.spent >= 0
        if node.step.kind in ("recall", "compaction"):
            assert node.depth == 1 and node.turn is not None


def test_looking_changes_nothing(store: Store) -> None:
    before = hashlib.sha256(store.path.read_bytes()).hexdigest()
    registry = Registry(installed())
    backend = acquire(f"sqlite:///{store.path}?mode=ro", registry)
    reading = Reading(backend, registry)
    outline, windows = look(reading, "asked-chengdu")
    for turn in range(1, outline.turns + 1):
        windows.seen(turn)
    look(reading, "filled-chengdu", budget=900)[1].seen(9)
    reading.search(("demo",), "成都的酒店")
    release(backend)
    assert hashlib.sha256(store.path.read_bytes()).hexdigest() == before


# -- words and figures ---------------------------------------------------------------


def test_both_languages_say_everything_with_the_same_values() -> None:
    english, chinese = LANGUAGES["en"], LANGUAGES["zh"]
    assert set(english) == set(chinese)
    for key, text in english.items():
        names = [
            {n for _, n, _, _ in string.Formatter().parse(t) if n} for t in (text, chinese[key])
        ]
        assert names[0] == names[1], key
        assert re.search("[\u4e00-\u9fff]", chinese[key]) or not names[0] ^ names[1]
    untranslated = [k for k in chinese if not re.search("[\u4e00-\u9fff]", chinese[k])]
    assert not untranslated
    for group, names in (("part", PARTS), ("fate", FATES)):
        assert all(f"{group}.{name}" in english for name in names)


def _values(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_language_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert language() == "zh"
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert language() == "en"


@given(
    st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 10_000), max_size=9),
    st.integers(0, 200),
)
def test_a_bar_is_as_wide_as_it_should_be(tokens: dict[str, int], width: int) -> None:
    shown = columns(tokens, width)
    there = [part for part, n in tokens.items() if n]
    assert set(shown) == set(tokens) and all(size >= 0 for size in shown.values())
    assert sum(shown.values()) == (width if there else 0)
    if len(there) <= width:
        assert all(shown[part] >= 1 for part in there)
    assert all(shown[part] == 0 for part in tokens if part not in there)


def test_seen_is_plain_data(reading: Reading) -> None:
    _, windows = look(reading, "lisbon")
    seen = windows.seen(9)
    assert isinstance(seen, Seen) and seen is windows.seen(9)
    assert all(piece.part in PARTS for piece in seen.pieces)
    assert {piece.form for piece in seen.pieces if piece.part == CUT} <= {"digest", "dedupe"} | {
        "clear-tool-results",
        "shape-tool-results",
    }


# -- the command ---------------------------------------------------------------------


def test_the_command_says_what_it_needs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    monkeypatch.setattr("ctxplug.cli.inspect.find_spec", lambda name: name)  # as if it were there
    done = runner.invoke(app, ["inspect", str(store.path)])
    assert done.exit_code == 1 and "needs a terminal" in " ".join(done.output.split())
    done = runner.invoke(app, ["inspect", str(store.path), "--policy", "bold"])
    assert done.exit_code == 1 and "There is no policy 'bold'" in done.output
    monkeypatch.setattr("ctxplug.cli.inspect.find_spec", lambda name: None)
    done = runner.invoke(app, ["inspect", str(store.path)])
    assert done.exit_code == 1
    assert "pip install 'ctxplug[inspect]'" in " ".join(done.output.split())


def test_reading_a_store_needs_no_textual() -> None:
    code = "import sys, ctxplug.inspector.reading, ctxplug.inspector.why, ctxplug.cli.inspect\n"
    code += "print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
