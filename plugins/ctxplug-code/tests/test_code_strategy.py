"""Code becomes its outline: valid, smaller, with what later steps need, or it is left alone."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path

import ctxplug_code
import pytest
from ctxplug_code import strategy as strategy_module
from ctxplug_code.languages import ENDINGS, GRAMMARS, parse
from ctxplug_code.strategy import Code
from ctxplug_code.texts import outlined, outlined_blocks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message
from ctxplug.compression import CompressionTools, Unit, total
from ctxplug.context.law import broken_law
from ctxplug.context.policy import ContextPolicy
from ctxplug.messages import Logged, TextPart, ThinkingPart, ToolCallPart, ToolResultPart
from ctxplug.plugins import Plugins
from ctxplug.registry import Registry
from ctxplug.testing import CompressionStrategySuite
from ctxplug.tokens.estimate import estimate

FIXTURES = Path(__file__).parent / "sources"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
COUNTER = estimate()
TOOLS = CompressionTools(COUNTER, lambda unit: f"@{unit.versions[0]}")
PYTHON = (FIXTURES / "bookings.py.txt").read_text(encoding="utf-8").partition("=====\n")[0]


class TestCode(CompressionStrategySuite):
    @pytest.fixture
    def strategy(self):
        return Code()


def nobody(word: str) -> bool:
    return False


def read(text: str, path: str = "src/bookings.py", say: str = "", start: int = 1) -> Unit:
    """Return the unit of a call that read a file."""
    call = ToolCallPart(f"c{start}", "read_file", {"path": path})
    parts = (TextPart(say), call) if say else (call,)
    result = ToolResultPart(call.id, (TextPart(text),), name="read_file")
    return unit_of(
        Message("assistant", parts, id="a"), Message("tool", result, id="t"), start=start
    )


def unit_of(*messages: Message, start: int = 1) -> Unit:
    dated = [Message.from_dict({**m.to_dict(), "created_at": WHEN.isoformat()}) for m in messages]
    return Unit(tuple(Logged(start + i, m, COUNTER.count(m)) for i, m in enumerate(dated)))


def said(unit: Unit) -> str:
    texts = [item.message.text for item in unit.items]
    return "\n".join(texts + [r.text for item in unit.items for r in item.message.tool_results])


def reduced(*units: Unit, target: int | None = None) -> tuple[Unit, ...]:
    return Code().compress(units, total(units) - 1 if target is None else target, TOOLS)


# -- what stays --------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(FIXTURES.iterdir()), ids=lambda file: file.name)
def test_the_outline_of_each_language_is_as_written(file: Path) -> None:
    """Beside each source is its outline; `...` marks what was left out."""
    source, _, expected = file.read_text(encoding="utf-8").partition("=====\n")
    language = ENDINGS[file.name.split(".")[1]]
    assert outlined(source, language, nobody).rstrip() == expected.rstrip()
    assert outlined(source, None, nobody).rstrip() == expected.rstrip(), "the language was guessed"


def test_every_language_has_an_outline_to_look_at() -> None:
    shown = {ENDINGS[file.name.split(".")[1]] for file in FIXTURES.iterdir()}
    assert shown == set(GRAMMARS)


@pytest.mark.parametrize(
    "module", [inspect, subprocess, json.decoder, ast], ids=lambda m: m.__name__
)
def test_every_definition_and_import_of_a_module_stays(module) -> None:
    text = inspect.getsource(module)
    shown = outlined(text, "python", nobody)
    assert len(shown) < 0.6 * len(text)
    lines = set(shown.split("\n"))
    rows = text.split("\n")
    body = ast.parse(text).body
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            assert rows[node.lineno - 1] in lines, rows[node.lineno - 1]
        if isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            assert all(rows[n.lineno - 1] in lines for n in methods)


def test_every_line_is_the_sources_own_or_a_mark_and_in_order() -> None:
    text = inspect.getsource(json.decoder)
    rows = iter(text.split("\n"))
    for line in outlined(text, "python", nobody).split("\n"):
        if not line.lstrip().startswith("# ... "):
            assert line in rows, "not in the source, or not in this order"


def test_marks_say_how_many_lines_were_left_out() -> None:
    text = inspect.getsource(json.decoder)
    shown = outlined(text, "python", nobody).split("\n")
    marks = [line.split()[2] for line in shown if line.lstrip().startswith("# ... ")]
    assert marks
    assert len(shown) - len(marks) + sum(map(int, marks)) == len(text.split("\n"))


def test_a_name_that_was_spoken_of_keeps_its_line() -> None:
    plain = said(reduced(read(PYTHON))[0])
    assert "grace_minutes = 45" not in plain
    (unit,) = reduced(read(PYTHON, say="What does grace_minutes do? 它有什么用？"))
    assert "grace_minutes = 45" in said(unit)


def test_a_number_that_a_later_call_uses_keeps_its_line() -> None:
    later = read("ok", path="set retries 7300", start=5)
    units = (read(PYTHON), later)
    first, _ = reduced(*units)
    assert "deadline = now + 7300" in said(first)


def test_line_numbers_stay_with_their_lines() -> None:
    numbered = "\n".join(f"{i:6}\t{line}" for i, line in enumerate(PYTHON.split("\n"), 1))
    shown = said(reduced(read(numbered))[0])
    row = PYTHON.split("\n").index("class Bookings:") + 1
    assert f"{row:6}\tclass Bookings:" in shown.split("\n")
    assert "grace_minutes = 45" not in shown


def test_fenced_blocks_are_reduced_and_the_words_around_them_stay() -> None:
    text = f"Here it is, 如下：\n\n```python\n{PYTHON}\n```\nIs that right?"
    (unit,) = reduced(unit_of(Message("assistant", text, id="a")))
    shown = unit.items[0].message.text
    assert (
        shown.startswith("Here it is, 如下：\n\n```python\n") and "\n```\nIs that right?" in shown
    )
    assert "def book(" in shown and "grace_minutes = 45" not in shown
    assert shown.endswith("\n[see @1]")


def test_of_several_blocks_each_is_read_by_itself() -> None:
    text = f"```text\nfirst\n```\nbetween\n```python\n{PYTHON}\n```\nafter\n~~~py\n{PYTHON}\n~~~\n"
    shown = outlined_blocks(text, nobody)
    outline = outlined(PYTHON, "python", nobody).removesuffix("\n")
    assert shown.startswith("```text\nfirst\n```\nbetween\n```python\n")
    assert shown.count(outline) == 2
    assert "\n```\nafter\n~~~py\n" in shown and shown.endswith("\n~~~\n")


def test_a_value_is_said_once() -> None:
    body = "    a = 7300\n    b = 'eu-west'\n    c = 1\n    d = 2\n    return a\n\n"
    shown = outlined(f"def f():\n{body}def g():\n{body}def h():\n{body}", "python", nobody)
    assert shown.count("7300") == shown.count("eu-west") == 1
    assert shown.count("... 5 lines") == 3


def test_code_behind_a_long_comment_stays() -> None:
    comment = "/* one\n two\n three\n four\n five */ export function seats() {\n"
    text = comment + "  return 1;\n}\n" + "const a = 1;\n" * 12
    assert "five */ export function seats() {" in outlined(text, "typescript", nobody)


# -- what is left alone ------------------------------------------------------------

ALONE = {
    "prose": "The quick brown fox jumps over the lazy dog.\n" * 40,
    "中文": "我们在里斯本住了三天，然后坐火车去了波尔图。\n" * 40,
    "json": json.dumps([{"id": i, "name": f"n{i}"} for i in range(40)], indent=1),
    "a log": "".join(f"10:00:{i:02} import started: def {i}\n" for i in range(50)),
    "short": "def f():\n    return 1\n",
    "no bodies": "import os\n" * 30,
    "broken": "def f(:\n    x = 1\n    y = 2\n    z = 3\n    return x\n" * 5,
}


@pytest.mark.parametrize("what", ALONE)
def test_what_is_no_code_is_left_alone(what: str) -> None:
    unit = read(ALONE[what], path="notes")
    assert reduced(unit, target=0) == (unit,)


@pytest.mark.parametrize("language", ["python", "go", "rust", "java"])
def test_errors_without_end_are_given_up(language: str) -> None:
    """Their tree takes gigabytes, and time that grows with the square of their length."""
    text = {"python": "/*\n", "go": "!/*\n", "rust": "=*\n", "java": "a<\n"}[language] * 2_000
    assert parse(text, language) is None
    assert outlined(text, language, lambda word: False) == text


def test_a_fence_without_end_is_read_once() -> None:
    text = f"```{'a' * 1_000_000}`\nx"  # with backtracking this takes hours
    assert outlined_blocks(text, lambda word: False) == text


def test_code_as_long_as_is_read_is_not_given_up() -> None:
    source = inspect.getsource(inspect)
    tree = parse(source * (900_000 // len(source)), "python")
    assert tree is not None and not tree.root_node.has_error


def test_a_file_with_a_broken_end_still_gives_up_its_sound_bodies() -> None:
    (unit,) = reduced(read(PYTHON + "\ndef half(\n[truncated]"))
    assert "def book(" in said(unit) and "[truncated]" in said(unit)
    assert "grace_minutes = 45" not in said(unit)
    guessed = read(PYTHON + "\ndef half(\n[truncated]", path="x")
    assert reduced(guessed) == (guessed,), "a guess needs a text that parses"


def test_a_body_with_an_error_is_left_alone() -> None:
    broken = "def bad():\n    x = 1\n    y = = 2\n    z = 3\n    return x\n\n"
    shown = outlined(broken + PYTHON, "python", nobody)
    assert shown.startswith(broken) and "# ... " in shown


def test_what_another_strategy_has_changed_is_left_alone() -> None:
    unit = read(PYTHON)
    other = unit.changed("dedupe", [item.message for item in unit.items], COUNTER)
    assert reduced(other, target=0) == (other,)


def test_an_outline_is_not_reduced_again() -> None:
    once = reduced(read(PYTHON), target=0)
    assert once[0].form == "code"
    assert reduced(*once, target=0) == once


# -- the law, where the suite does not look ----------------------------------------


def test_it_stops_once_the_target_is_met_and_the_oldest_goes_first() -> None:
    units = (read(PYTHON, start=1), read(PYTHON, start=3), read(PYTHON, start=5))
    one = reduced(*units)
    assert [unit.form for unit in one] == ["code", "verbatim", "verbatim"]
    everything = reduced(*units, target=0)
    assert [unit.form for unit in everything] == ["code"] * 3
    assert total(everything) < total(one)


def test_where_outlines_are_not_enough_their_details_go_too() -> None:
    (full,), (terse,) = reduced(read(PYTHON)), reduced(read(PYTHON), target=0)
    assert terse.tokens < full.tokens
    assert "raise BookingError" in said(full) and "raise BookingError" not in said(terse)
    assert "def book(" in said(terse) and said(terse).endswith("[see @1]")


def test_calls_and_results_stay_together_and_thinking_goes_from_what_changed() -> None:
    thinking = ThinkingPart("Hm.", signature="s")
    message = Message("assistant", (thinking, TextPart(f"```python\n{PYTHON}\n```")), id="a")
    (unit,) = reduced(unit_of(message), target=0)
    assert [type(part) for part in unit.items[0].message.content] == [TextPart]
    (other,) = reduced(read(PYTHON), target=0)
    assert other.items[0].message.tool_calls[0].id == other.items[1].message.tool_results[0].call_id


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(
            (
                *("def f(a):\n", "    x = 10\n", "    return x\n", "class A:\n", '    """Doc.\n'),
                *('"""\n', "import os\n", "```python\n", "```\n", "  1\tdef g():\n", "# 说明\n"),
                *("\r\n", "\x0c", "    raise E\n", "\ttab\n", "{\n", "}\n", "func f() {\n"),
                *("\ud800", "\0", "fn f() {\n"),
            )
        ),
        min_size=12,
        max_size=60,
    ).map("".join),
    st.sampled_from((None, *GRAMMARS)),
    st.booleans(),
)
def test_any_mixture_gives_lines_of_its_own_and_never_grows(
    text: str, language: str | None, terse: bool
) -> None:
    shown = outlined(text, language, nobody, terse=terse)
    assert shown.count("\n") <= text.count("\n")
    assert shown == outlined(text, language, nobody, terse=terse)
    own = set(text.split("\n"))
    assert all(line in own or " ... " in line for line in shown.split("\n"))


CODE = st.sampled_from(
    (
        PYTHON,
        f"看：\n```python\n{PYTHON}\n```\n~~~\n~~~\n```",
        "```\n```",
        *ALONE.values(),
        f"{PYTHON}\n```\n{PYTHON}",
    )
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(CODE, CODE, st.booleans()), min_size=1, max_size=4), st.integers(0, 99))
def test_the_law_holds_for_histories_full_of_code(
    turns: list[tuple[str, str, bool]], share: int
) -> None:
    units = []
    for n, (text, words, thinks) in enumerate(turns):
        unit = read(text, path=f"f{n}.py", say=words, start=10 * n + 1)
        if thinks:
            spoken = Message("assistant", (ThinkingPart("嗯", signature="s"), TextPart(words)))
            units.append(unit_of(spoken, start=10 * n + 5))
        units.append(unit)
    result = reduced(*units, target=total(units) * share // 100)
    assert not broken_law(units, result, "code", COUNTER)
    for unit, new in zip(units, result, strict=True):
        assert new is unit or f"[see @{unit.versions[0]}]" in said(new)


def test_a_text_without_code_blocks_is_the_same_text() -> None:
    for text in ("```\n```", "```python\n```\n", "~~~\n", "```a\n" * 50, "x\n```sql\nselect\n```"):
        assert outlined_blocks(text, nobody) == text


LARGE = {
    "open fences": "```a\n" * 8_000,
    "brackets": "def f(\n" * 6_000,
    "nested": "function a(){\n" * 2_000 + "}\n" * 2_000,
    "a long file": "def f(a):\n    x = 1\n    y = 2\n    z = 3\n    return x\n\n" * 1_000,
}


@pytest.mark.parametrize("what", LARGE)
def test_a_large_text_is_survived(what: str) -> None:
    unit = read(LARGE[what], path="x.js" if what == "nested" else "x.py", say=LARGE[what][:5_000])
    assert total(reduced(unit, target=0)) <= unit.tokens


# -- as a plugin -------------------------------------------------------------------


def test_a_memory_uses_it_and_the_original_is_one_call_away() -> None:
    policy = ContextPolicy(strategies=("code",), shape_over=None, keep_last=0, high=0.9, low=0.5)
    text = inspect.getsource(strategy_module)
    options = {"namespace": "acme/陈伟", "session": "s", "budget": 4_000, "policy": policy}
    with AgentMemory.open("memory:", counter="estimate", **options) as memory:
        for n in range(4):
            memory.add("user", f"Read file {n}. 读一下。")
            call = ToolCallPart(f"c{n}", "read_file", {"path": f"f{n}.py"})
            memory.add(Message("assistant", call))
            memory.add(Message("tool", ToolResultPart(call.id, (TextPart(text),))))
        memory.add("user", "What does it do?")
        window = memory.context()
        results = [r.text for m in window.messages for r in m.tool_results]
        notes = [shown for shown in results if "[see @" in shown]
        assert notes and window.tokens <= 4_000
        assert "def compress(" in notes[0] and "# ... " in notes[0]
        ref = notes[0].rpartition("[see ")[2].removesuffix("]")
        assert text in [r.text for m in memory.original(ref) for r in m.tool_results]


def test_the_entry_point_offers_it_and_importing_it_imports_no_parser() -> None:
    [point] = entry_points(group="ctxplug", name="code")
    assert point.load() is ctxplug_code
    plugins = Plugins(environ={"CTXPLUG_PLUGINS": "code", "CTXPLUG_STRICT": "1"})
    assert isinstance(Registry(plugins).resolve("compression strategy", "code"), Code)
    code = "import sys, ctxplug_code; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith("tree_sitter")]
