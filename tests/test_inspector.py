"""The inspector as its user sees it, without a terminal."""

from __future__ import annotations

import asyncio
import html
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("textual")

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Input

from ctxplug import AgentMemory, Message
from ctxplug.errors import StorageError
from ctxplug.inspector.app import Inspector
from ctxplug.inspector.bar import Timeline, TokenBar
from ctxplug.inspector.conversation import Conversation
from ctxplug.inspector.look import DARK, LIGHT, fit, fitted, right
from ctxplug.inspector.reading import Reading
from ctxplug.inspector.rows import Rows
from ctxplug.inspector.session_list import SessionList
from ctxplug.messages import ToolCallPart
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.storage.shared import acquire, release
from ctxplug.transcripts import read_transcript

TRIP = Path(__file__).parents[1] / "examples" / "trip_planner.jsonl"
RED = "\x1b[31m\u202e"  # what would colour or turn the text of a terminal


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("looked-at") / "agent.db"
    for conversation in read_transcript(str(TRIP)):
        options = {"namespace": "demo/trip", "session": conversation.name, "budget": 1_500}
        with AgentMemory.open(path, **options) as memory:
            memory.remember("She prefers the aisle 过道", kind="preference", tags=["seat"])
            for message in conversation.messages:
                if message.role == "assistant":
                    memory.context()
                memory.add(message)
            memory.session.snapshot("booked")
            memory.add("user", f"Thank you {RED} so much")
    return path


@asynccontextmanager
async def inspecting(
    target: Path,
    session: str | None = None,
    *,
    size: tuple[int, int] = (120, 40),
    **options: object,
) -> AsyncIterator[Pilot[None]]:
    registry = Registry(installed())
    backend = acquire(f"sqlite:///{target}?mode=ro", registry)
    app = Inspector(Reading(backend, registry), target=str(target), session=session, **options)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            await settled(pilot)
            yield pilot
    finally:
        release(backend)


async def settled(pilot: Pilot[None]) -> None:
    """Wait until all that was begun in the background is shown."""
    for _ in range(200):
        await pilot.pause()
        busy = [w for w in pilot.app.workers if not w.is_finished and w.group != "default"]
        if not busy:
            await pilot.pause()
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"these go on: {busy}")


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


async def write(pilot: Pilot[None], text: str) -> None:
    """Type a text into the line that is in front, and end it."""
    pilot.app.screen.query_one(Input).value = text
    await press(pilot, "enter")


def screen(pilot: Pilot[None]) -> str:
    """Return what is on the screen, line by line."""
    svg = pilot.app.export_screenshot()
    lines: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        lines.setdefault(float(y), []).append((float(x), html.unescape(text)))
    return "\n".join(
        "".join(text for _, text in sorted(lines[y])).replace("\xa0", " ") for y in sorted(lines)
    )


def cursor_text(pilot: Pilot[None]) -> str:
    rows = pilot.app.panel.rows
    strip = rows.render_line(rows.cursor - rows.scroll_offset.y)
    return strip.text


# -- the turn ------------------------------------------------------------------------


async def test_it_opens_at_the_last_turn_and_goes_back_and_on(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        assert "Turn 20, not answered yet" in screen(pilot)
        await press(pilot, "left")
        shown = screen(pilot)
        assert "Turn 19 of 20" in shown and "rebuilt to the same hash" in shown
        assert "the answer" in cursor_text(pilot)
        await press(pilot, "left_square_bracket")
        assert "Turn 9 of 20" in screen(pilot)
        await press(pilot, "less_than_sign")
        assert "Turn 1 of 20" in screen(pilot) and "first call" in screen(pilot)
        await press(pilot, "left")
        assert "Turn 1 of 20" in screen(pilot)
        await press(pilot, "right", "right_square_bracket")
        assert "Turn 12 of 20" in screen(pilot)


async def test_g_goes_to_a_turn_or_a_message(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "g")
        await write(pilot, "7")
        assert "Turn 7 of 20" in screen(pilot)
        await press(pilot, "g")
        await write(pilot, "@4")
        assert cursor_text(pilot).lstrip("▌ ").startswith("@4 ")
        assert "Turn 2 of 20" in screen(pilot)
        await press(pilot, "g")
        await write(pilot, "somewhere")
        assert "There is no turn or message somewhere" in screen(pilot)


async def test_a_message_says_what_became_of_it_and_why(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "g")
        await write(pilot, "18")
        await press(pilot, "home")
        await press(pilot, *["down"] * 3)
        shown = screen(pilot)
        assert "in a digest" in cursor_text(pilot)
        assert "It stands in one text with" in shown and "Compaction 1, before turn" in shown
        assert "As it is sent" in shown
        await press(pilot, "f")
        rows = pilot.app.panel.rows
        assert "in a digest" in cursor_text(pilot) and 0 < rows.count < 39
        await press(pilot, "f")
        assert rows.count > 39


async def test_the_bar_shows_the_parts_of_the_window(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "g")
        await write(pilot, "18")
        bar = pilot.app.query_one(TokenBar)
        lines = [bar.render_line(y) for y in range(3)]
        assert all(line.cell_length == bar.size.width for line in lines)
        assert "word for word" in lines[0].text and "free" in lines[0].text + lines[2].text
        assert "same as in the call before" in lines[1].text
        seen = pilot.app.state.seen
        for part, tokens in seen.parts.items():
            assert f"{tokens:,}" in lines[0].text + lines[2].text, part


async def test_a_click_goes_where_it_points(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await pilot.click(Timeline, offset=(0, 1))
        await settled(pilot)
        assert "Turn 1 of 20" in screen(pilot)
        rows = pilot.app.panel.rows
        await press(pilot, "home")
        await pilot.click(rows, offset=(20, 3))
        await settled(pilot)
        assert rows.cursor == 3 and "Turn 1 of 20" in screen(pilot)
        await pilot.click(rows, offset=(20, 3))  # again: its turn
        await settled(pilot)
        assert "Turn 2 of 20" in screen(pilot)


async def test_a_store_that_goes_wrong_is_told_and_survived(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **options: object) -> None:
        raise StorageError("the disk is gone")

    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "left")
        monkeypatch.setattr(Reading, "message", fails)
        monkeypatch.setattr(Reading, "outline", fails)
        monkeypatch.setattr(Reading, "memories", fails)
        await press(pilot, "up")
        assert "This could not be read: the disk is gone" in screen(pilot)
        await press(pilot, "r", "4")
        assert pilot.app.is_running and "the disk is gone" in screen(pilot)


# -- the panels ----------------------------------------------------------------------


async def test_the_window_is_shown_as_the_provider_reads_it(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "left", "2")
        pieces = pilot.app.state.seen.pieces
        assert pilot.app.panel.rows.count == len(pieces)
        await press(pilot, "home")
        assert "system" in cursor_text(pilot) and "▎" in cursor_text(pilot)
        assert "You are Mira" in screen(pilot)


async def test_steps_follow_the_turn_and_lead_to_it(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "3", "g")
        await write(pilot, "9")
        assert "window balanced" in cursor_text(pilot)
        assert pilot.app.panel.turn() == 9
        await press(pilot, "home", "enter")
        shown = screen(pilot)
        turn = pilot.app.panel.turn()
        assert f"Turn {turn} of 20" in shown and "What it recorded" in shown


@pytest.mark.parametrize(
    ("language", "label", "tool"),
    [("en", "retry loop", "find_order"), ("zh", "重试循环", "find_dingdan")],
)
async def test_findings_lead_to_their_steps(
    tmp_path: Path, language: str, label: str, tool: str
) -> None:
    _fail_three_times(tmp_path / "a.db", tool)
    options = {"size": (140, 40), "language": language}
    async with inspecting(tmp_path / "a.db", **options) as pilot:
        assert pilot.app.state.analysis is None  # made when it is asked for
        await press(pilot, "5")
        assert label in screen(pilot) and f"'{tool}' was called 3 times" in screen(pilot)
        findings = list(pilot.app.state.analysis.findings)
        kinds = [finding.kind for finding in findings]
        await press(pilot, "home", *["down"] * kinds.index("retry_loop"), "enter")
        wanted = findings[kinds.index("retry_loop")].steps
        steps = pilot.app.panel
        assert steps.id == "steps" and steps.step().id in wanted
        assert " ! " in cursor_text(pilot) and f"'{tool}' was called 3 times" in screen(pilot)
        here = steps.rows.cursor
        await press(pilot, "n")
        assert steps.rows.cursor > here and " ! " in cursor_text(pilot)
        await press(pilot, "N")
        assert steps.rows.cursor == here


async def test_findings_are_those_of_what_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _fail_three_times(path, "find_order")
    with AgentMemory.open(path, namespace="n", session="calm") as memory:
        memory.add("user", "Hello 你好")
        async with inspecting(path, "calm") as pilot:
            await press(pilot, "5")
            assert "Nothing stands out in this session." in screen(pilot)
            await press(pilot, "enter", "n")
            _fail(memory, "find_order")
            pilot.app.follow()
            await settled(pilot)
            assert "'find_order' was called 3 times" in screen(pilot)
            pilot.app.query_one(SessionList).focus()
            await press(pilot, "end", "enter")
            assert pilot.app.state.row.session == "s"
            assert pilot.app.state.analysis.session == "s"


SLOW = pytest.mark.slow


@pytest.mark.parametrize("panel", ["1", *(pytest.param(n, marks=SLOW) for n in "2345")])
async def test_what_was_shown_can_be_drawn_until_another_session_is_read(
    tmp_path: Path, panel: str
) -> None:
    _fail_three_times(tmp_path / "a.db", "find_order")
    async with inspecting(tmp_path / "a.db") as pilot:
        await press(pilot, panel)
        rows = pilot.app.panel.rows
        pilot.app.open(pilot.app.state.row)
        for y in range(rows.size.height):
            assert rows.render_line(y).cell_length == rows.scrollable_content_region.width
        await settled(pilot)


def _fail_three_times(path: Path, tool: str) -> None:
    with AgentMemory.open(path, namespace="n", session="s") as memory:
        _fail(memory, tool)


def _fail(memory: AgentMemory, name: str) -> None:
    def fails(number: str) -> str:
        """Find an order."""
        raise ValueError(number)

    memory.tools.add(fails, name=name, side_effects=False)
    memory.add("user", "Where is ORD-7783? 订单到哪儿了？")
    for attempt in range(3):
        memory.context()
        call = ToolCallPart(f"c{attempt}", name, {"number": "ORD-7783"})
        memory.add(Message("assistant", call))
        memory.tools.run([call], store=True)


async def test_memories_are_searched_while_typing(path: Path) -> None:
    async with inspecting(path, "lisbon", size=(120, 60)) as pilot:
        await press(pilot, "4")
        assert "2 memories, newest first" in screen(pilot)
        await press(pilot, "slash")
        assert isinstance(pilot.app.focused, Input)
        pilot.app.focused.value = "过道"
        await asyncio.sleep(0.2)
        await settled(pilot)
        shown = screen(pilot)
        assert "found for “过道”" in shown and "Why it was found" in shown
        assert "She prefers the aisle 过道" in cursor_text(pilot)
        assert "(trust: user)" in shown
        await press(pilot, "enter")
        assert isinstance(pilot.app.focused, Rows)
        await press(pilot, "q")
        assert not pilot.app.is_running


async def test_words_are_found_in_the_conversation(path: Path) -> None:
    async with inspecting(path, "chengdu") as pilot:
        await press(pilot, "slash")
        await write(pilot, "花生")
        first = cursor_text(pilot)
        assert "花生" in pilot.app.query_one(Conversation)._text(_row(pilot))
        await press(pilot, "n")
        assert cursor_text(pilot) != first
        await press(pilot, "N")
        assert cursor_text(pilot) == first
        await press(pilot, "slash")
        await write(pilot, "nowhere at all")
        assert "is in no message" in screen(pilot)


def _row(pilot: Pilot[None]) -> object:
    panel = pilot.app.query_one(Conversation)
    return panel._shown[panel.rows.cursor]


async def test_another_budget_shows_what_it_would_have_sent(path: Path) -> None:
    async with inspecting(path, "lisbon") as pilot:
        await press(pilot, "left", "w")
        await write(pilot, "900 aggressive")
        shown = screen(pilot)
        assert "what if: 900 aggressive" in shown and "never sent" in shown
        assert "Turn 19 of 20" in shown and "of 900 tokens" in shown
        await press(pilot, "w")
        await write(pilot, "bold")
        assert "is no budget and no policy" in screen(pilot)
        await press(pilot, "w")
        await write(pilot, "")
        assert "rebuilt to the same hash" in screen(pilot)


# -- sessions ------------------------------------------------------------------------


async def test_another_session_is_opened_from_the_list(path: Path) -> None:
    async with inspecting(path) as pilot:
        assert "chengdu" in screen(pilot).splitlines()[0]
        listed = pilot.app.query_one(SessionList)
        listed.focus()
        await press(pilot, "down", "enter")
        first = screen(pilot).splitlines()[0]
        assert "agent.db › demo/trip › lisbon" in first and "read only" in first
        assert "20 turns" in screen(pilot)
        await press(pilot, "s")
        assert not pilot.app.query_one("#side").display


async def test_namespaces_open_and_close(tmp_path: Path) -> None:
    for name in ("acme/alice", "acme/bob", "王/小明"):
        with AgentMemory.open(tmp_path / "a.db", namespace=name, session="talk") as memory:
            memory.add("user", f"I am {name}")
    async with inspecting(tmp_path / "a.db") as pilot:
        listed = pilot.app.query_one(SessionList)
        listed.focus()
        assert listed.count == 4  # of one namespace the session is open
        await press(pilot, "end", "enter")
        assert listed.count == 5 and "王/小明" in screen(pilot)
        await press(pilot, "enter")
        assert listed.count == 4


async def test_what_is_added_meanwhile_is_shown(tmp_path: Path) -> None:
    with AgentMemory.open(tmp_path / "a.db", namespace="n", session="s") as memory:
        memory.add("user", "first")
        async with inspecting(tmp_path / "a.db") as pilot:
            assert "Turn 1, not answered yet" in screen(pilot)
            memory.extend([Message("assistant", "answered"), Message("user", "second")])
            pilot.app.follow()
            await settled(pilot)
            shown = screen(pilot)
            assert "Turn 2, not answered yet" in shown and "second" in shown


async def test_an_empty_store_says_so(tmp_path: Path) -> None:
    AgentMemory.open(tmp_path / "a.db", namespace="n").close()
    async with inspecting(tmp_path / "a.db") as pilot:
        assert "Nothing has been said" in screen(pilot)
        await press(
            pilot, "right", "2", "3", "4", "5", "f", "n", "r", "greater_than_sign", "1", "down"
        )
        assert pilot.app.is_running


async def test_a_session_without_steps_lists_its_compactions(tmp_path: Path) -> None:
    with AgentMemory.open(
        tmp_path / "a.db", namespace="n", session="s", budget=400, trace=0.0
    ) as memory:
        for i in range(12):
            memory.add("user", f"question {i}? " * 12)
            memory.context()
            memory.add("assistant", f"answer {i}. " * 12)
    async with inspecting(tmp_path / "a.db") as pilot:
        await press(pilot, "3")
        shown = screen(pilot)
        assert "compaction 1" in shown and "not traced" in shown
        assert "No steps were recorded" in shown


# -- the look ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "language"),
    [
        ((40, 12), "zh"),
        pytest.param((80, 24), "en", marks=SLOW),
        pytest.param((200, 50), "zh", marks=SLOW),
    ],
)
async def test_it_fits_any_terminal(path: Path, size: tuple[int, int], language: str) -> None:
    async with inspecting(path, "chengdu", size=size, language=language) as pilot:
        for key in ("left", "1", "2", "3", "4", "5"):
            await press(pilot, key)
            rows = pilot.app.panel.rows
            assert rows.size.height >= 1
            for y in range(rows.size.height):
                assert rows.render_line(y).cell_length == rows.scrollable_content_region.width
            assert RED[0] not in screen(pilot) and RED[-1] not in screen(pilot)


async def test_it_speaks_chinese_and_changes(path: Path) -> None:
    async with inspecting(path, "chengdu", language="zh") as pilot:
        await press(pilot, "left")
        assert "第 19 轮，共 20 轮" in screen(pilot)
        await press(pilot, "question_mark")
        assert "检查器显示什么" in screen(pilot)
        await press(pilot, "x")
        await press(pilot, "L")
        assert "Turn 19 of 20" in screen(pilot)


async def test_light_and_dark(path: Path) -> None:
    async with inspecting(path, "lisbon", dark=False) as pilot:
        assert not pilot.app.current_theme.dark
        background = pilot.app.screen.styles.background.hex.lower()
        assert background == LIGHT["background"]
        await press(pilot, "d")
        assert pilot.app.current_theme.dark
        assert DARK["kept"] in pilot.app.export_screenshot()


@pytest.mark.parametrize("tones", [DARK, LIGHT], ids=["dark", "light"])
def test_every_tone_can_be_read(tones: dict[str, str]) -> None:
    assert set(DARK) == set(LIGHT)
    backgrounds = ("background", "surface", "raised", "free", "margin")
    for name, tone in tones.items():
        if name not in backgrounds:
            least = 2.0 if name in ("faint", "later") else 4.5
            assert _contrast(tone, tones["background"]) >= least, name
            assert _contrast(tone, tones["raised"]) >= (1.7 if least == 2.0 else 3.6), name


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


TEXT = st.text(st.sampled_from("abc é中文字，。你😀… "), max_size=30)


@given(TEXT, st.integers(0, 40))
def test_text_takes_the_cells_it_is_given(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(right(text, width)) == width
    bits = [(text, "text"), (text, "dim")]
    assert sum(cell_len(t) for t, _ in fitted(bits, width)) == width
    if cell_len(text) <= width:
        assert fit(text, width).rstrip() == text.rstrip()
    elif width and cell_len(text.rstrip()) > width:
        assert fit(text, width).rstrip().endswith("…")


# -- in a terminal -------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_the_command_runs_in_a_terminal(path: Path) -> None:
    import pty

    command = [sys.executable, "-m", "ctxplug.cli", "inspect", str(path), "-s", "lisbon"]
    environment = {**os.environ, "TERM": "xterm-256color", "LINES": "30", "COLUMNS": "100"}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "--lang", "zh", "--light"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    ) as process:
        os.close(theirs)
        shown, pressed = b"", False
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
                if "第 20 轮".encode() in shown and not pressed:
                    pressed = True
                    os.write(ours, b"q")
        except OSError:  # the other end is closed
            pass
        assert pressed and process.wait(60) == 0
    os.close(ours)
