"""Automatic capture: what becomes a memory by rules, and what does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message, TextPart, ToolResultPart, hookimpl
from ctxplug.errors import GuardError, InvalidValueError
from ctxplug.memories.capture import LONGEST, MOST, statements
from ctxplug.plugins import Plugins
from ctxplug.records import MemoryRecord

LABELLED = Path(__file__).parent / "fixtures" / "capture"
NONE = "-"


def _sentences(name: str, language: str) -> Iterator[tuple[str, str]]:
    for line in (LABELLED / f"{name}.tsv").read_text(encoding="utf-8").splitlines():
        label, text = line.split("\t")
        chinese = any("\u4e00" <= c <= "\u9fff" for c in text)
        if chinese == (language == "zh"):
            yield label, text


def _measured(name: str, language: str) -> tuple[float, float, float]:
    """Return precision, recall, and the share of right kinds among what was rightly captured."""
    right = wrong = missed = kinds = 0
    for label, text in _sentences(name, language):
        found = statements(text)
        right += bool(found) and label != NONE
        wrong += bool(found) and label == NONE
        missed += not found and label != NONE
        kinds += bool(found) and found[0].rule.kind == label
    return right / (right + wrong), right / (right + missed), kinds / right


# Each set was written before the rules were tried on it; the first four were then learned
# from. "fifth" was not: what it shows is what to expect of other people's sentences (no wrong
# captures; 65 % of the English and 80 % of the Chinese statements found). The second and the
# fourth showed, when they were new, 55 % and 59 %.
@pytest.mark.parametrize(
    ("name", "language", "precision", "recall"),
    [
        ("first", "en", 0.95, 0.93),
        ("first", "zh", 0.95, 0.93),
        ("second", "en", 0.90, 0.80),
        ("second", "zh", 0.90, 0.80),
        ("third", "en", 0.90, 0.80),
        ("third", "zh", 0.90, 0.80),
        ("fourth", "en", 0.90, 0.80),
        ("fourth", "zh", 0.90, 0.80),
        ("fifth", "en", 0.85, 0.55),
        ("fifth", "zh", 0.85, 0.65),
    ],
)
def test_the_rules_find_statements_and_little_else(
    name: str, language: str, precision: float, recall: float
) -> None:
    found = _measured(name, language)
    assert found[0] >= precision
    assert found[1] >= recall
    assert found[2] >= 0.85


def test_the_labelled_sets_are_of_both_languages_and_large_enough() -> None:
    sizes = {
        (name, language): len(list(_sentences(name, language)))
        for name in ("first", "second", "third", "fourth", "fifth")
        for language in ("en", "zh")
    }
    assert sizes["first", "en"] == sizes["first", "zh"] == 80
    assert all(size >= 29 for size in sizes.values())


# -- what a captured memory is -------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[AgentMemory]:
    with AgentMemory.open("memory:", namespace="acme/alice", capture="auto") as opened:
        yield opened


def _texts(memory: AgentMemory) -> list[str]:
    return sorted(record.content for record in memory.memories())


@pytest.mark.parametrize(
    ("text", "kind", "rule"),
    [
        ("I prefer window seats.", "preference", "preference"),
        ("我喜欢靠窗的座位。", "preference", "preference"),
        ("I'm allergic to penicillin.", "fact", "health"),
        ("我对青霉素过敏。", "fact", "health"),
        ("We decided to use Postgres.", "decision", "decision"),
        ("我们决定用Postgres。", "decision", "decision"),
        ("Don't ever share my number with anyone.", "instruction", "instruction"),
        ("以后不要把我的号码告诉别人。", "instruction", "instruction"),
    ],
)
def test_a_captured_memory_says_where_it_came_from(
    memory: AgentMemory, text: str, kind: str, rule: str
) -> None:
    said = memory.add("user", text, name="alice")
    (record,) = memory.memories()
    assert (record.content, record.kind) == (text, kind)
    assert record.made_by == f"capture:{rule}"
    assert record.sources == (said.id,)
    assert (record.origin, record.trust, record.session) == ("user", "user", memory.scope.session)
    assert record.metadata["name"] == "alice"
    assert record.tier == "long"
    assert memory.recall(text, kinds=kind)[0].record.id == record.id


def test_capture_is_off_unless_asked_for_and_remember_says_so() -> None:
    with AgentMemory.open("memory:", namespace="a") as plain:
        plain.add("user", "I prefer window seats.")
        assert plain.memories() == []
        assert plain.remember("x").made_by == "remember"
        assert plain.recall("window", kinds="message")[0].record.made_by == "said"
    with pytest.raises(InvalidValueError, match="capture"):
        AgentMemory.open("memory:", namespace="a", capture="always")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("I do not like seafood.", "not"),
        ("I'm no longer vegetarian.", "no longer"),
        ("我不喜欢吃海鲜。", "不"),
        ("请你以后不要再用敬语了。", "不要"),
    ],
)
def test_negation_is_kept(text: str, kept: str) -> None:
    assert [kept in one.text for one in statements(text)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "Do you prefer window seats?",
        "你喜欢靠窗的座位吗？",
        "If I lived in Oslo, I'd buy skis.",
        "如果我住在奥斯陆，我就买滑雪板。",
        'My sister says "I prefer tea".',
        "我姐姐说：“我更喜欢茶。”",
        "```\nI prefer window seats.\n```",
        "> I prefer window seats.",
        "Hello there, good morning!",
        "大家早上好！",
        "Here is the letter I received:\nI live in Oslo. I prefer tea. We decided to cancel.",
        "以下是客户的邮件：\n我住在奥斯陆。我喜欢喝茶。我们决定取消。",
        "-----Forwarded message-----\nFrom: bob\nI'm allergic to nuts.",
        "Translate this: I live in Oslo.",
        "",
        "I" * 10_000,
    ],
)
def test_what_is_no_statement_of_the_speaker_is_not_captured(text: str) -> None:
    assert statements(text) == []


def test_what_stands_before_a_pasted_text_is_captured() -> None:
    found = statements("I live in Oslo. Here is the letter I received:\nI hate Oslo. I love Rome.")
    assert [one.text for one in found] == ["I live in Oslo."]


def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    (found,) = statements(
        "The blue house on the corner was cheap. That's why we decided to buy it."
    )
    assert found.text.startswith("The blue house") and found.text.endswith("buy it.")


def test_tool_results_and_recalled_text_are_never_captured(memory: AgentMemory) -> None:
    memory.add(Message("tool", ToolResultPart("c1", (TextPart("I prefer window seats."),))))
    memory.add("system", "I prefer short answers.")
    block = TextPart("I live in Oslo.", extra={"ctxplug": {"recalled": ["x"], "query": "q"}})
    memory.add(Message("user", (TextPart("Hello."), block)))
    assert memory.memories() == []


def test_of_an_assistant_only_promises_with_a_time_are_captured(memory: AgentMemory) -> None:
    memory.add("assistant", "I prefer Python. I'll send you the report by Friday.")
    memory.add("assistant", "我喜欢简洁的代码。我周五之前把报告发给你。")
    assert {record.content for record in memory.memories()} == {
        "I'll send you the report by Friday.",
        "我周五之前把报告发给你。",
    }
    assert {(r.origin, r.trust, r.kind) for r in memory.memories()} == {
        ("assistant", "model", "commitment")
    }


# -- once ----------------------------------------------------------------------------


def test_the_same_is_captured_once_and_counts_as_used(memory: AgentMemory) -> None:
    for text in (
        "I prefer window seats.",
        "I really prefer window seats",
        "I PREFER window seats!",
    ):
        memory.add("user", text)
    memory.extend([Message("user", "我喜欢靠窗的座位。"), Message("user", "我很喜欢靠窗的座位！")])
    assert _texts(memory) == ["I prefer window seats.", "我喜欢靠窗的座位。"]
    english = next(r for r in memory.memories() if r.content.isascii())
    assert english.access_count == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I like coffee in the morning.", "I don't like coffee in the morning."),
        ("I have two dogs.", "I have three dogs."),
        ("我喜欢喝咖啡。", "我不喜欢喝咖啡。"),
        ("我有两只狗。", "我有三只狗。"),
    ],
)
def test_what_differs_in_sense_is_no_duplicate(memory: AgentMemory, one: str, other: str) -> None:
    memory.add("user", one)
    memory.add("user", other)
    assert _texts(memory) == sorted([one, other])


def test_what_was_forgotten_is_captured_when_it_is_said_again(memory: AgentMemory) -> None:
    memory.add("user", "I prefer window seats.")
    memory.forget(memory.memories()[0].id)
    memory.add("user", "I prefer window seats.")
    assert _texts(memory) == ["I prefer window seats."]


def test_two_that_capture_the_same_at_once_write_one_memory(tmp_path: Path) -> None:
    def say() -> None:
        with AgentMemory.open(tmp_path / "a.db", namespace="a", capture="auto") as memory:
            for i in range(10):
                memory.add("user", f"I live at number {i} of the road.")

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with AgentMemory.open(tmp_path / "a.db", namespace="a") as memory:
        assert len(memory.memories()) == 10


def test_another_namespace_captures_its_own(tmp_path: Path) -> None:
    for name in ("alice", "bob"):
        with AgentMemory.open(tmp_path / "a.db", namespace=name, capture="auto") as memory:
            memory.add("user", "I prefer window seats.")
            assert len(memory.memories()) == 1


# -- guards and atomicity ------------------------------------------------------------


def _plugins(plugin: object) -> Plugins:
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(plugin, "guard")
    return plugins


class _Judge:
    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.seen: list[str] = []

    @hookimpl
    def judge_memory(self, record: MemoryRecord) -> Any:
        self.seen.append(record.content)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [False, RuntimeError("broken"), "yes please"])
def test_a_refusal_drops_the_memory_and_never_the_message(answer: Any) -> None:
    judge = _Judge(answer)
    with AgentMemory.open(
        "memory:", namespace="a", capture="auto", plugins=_plugins(judge)
    ) as memory:
        memory.add("user", "I prefer window seats.")
        assert [m.text for m in memory.messages()] == ["I prefer window seats."]
        assert memory.memories() == []
        assert judge.seen == ["I prefer window seats."]


def test_a_write_that_fails_keeps_neither_message_nor_memory(memory: AgentMemory) -> None:
    class Broken(Exception):
        pass

    def refuse(*ops: Any) -> list[int]:
        raise Broken(len(ops))

    whole, memory.backend.write = memory.backend.write, refuse  # type: ignore[method-assign]
    with pytest.raises(Broken, match="2"):  # one write for both
        memory.add("user", "I prefer window seats.")
    memory.backend.write = whole  # type: ignore[method-assign]
    assert memory.messages() == [] and memory.memories() == []
    memory.add("user", "I prefer window seats.")
    assert _texts(memory) == ["I prefer window seats."]


def test_guard_errors_of_redaction_still_refuse_the_message() -> None:
    class Broken:
        @hookimpl
        def redact(self, text: str) -> str:
            raise RuntimeError

    with AgentMemory.open(
        "memory:", namespace="a", capture="auto", plugins=_plugins(Broken())
    ) as memory:
        with pytest.raises(GuardError):
            memory.add("user", "I prefer window seats.")
        assert memory.messages() == [] and memory.memories() == []


# -- any text ------------------------------------------------------------------------


_PIECES = st.sampled_from(
    [
        "I prefer tea. ",
        "我喜欢茶。",
        "If ",
        "“",
        "”",
        '"',
        "\n",
        "```\n",
        "> ",
        "?",
        "吗？",
        "\ud800",
        "𠀀",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_PIECES | st.text(max_size=20), max_size=25).map("".join))
def test_captures_of_any_text_are_words_of_it(text: str) -> None:
    found = statements(text)
    assert len(found) <= MOST
    squeezed = "".join(text.split())
    for one in found:
        assert 0 < len(one.text) <= LONGEST
        assert "".join(one.text.split()) in squeezed
    assert found == statements(text)
