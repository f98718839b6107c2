"""The stage of the inspector: what is laid out, read in the background, and shown."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import ContentSwitcher, Static
from textual.worker import get_current_worker

from ctxplug.errors import CtxplugError
from ctxplug.inspector.about import about, bar_told, keys, tabs, title
from ctxplug.inspector.bar import Timeline, TokenBar
from ctxplug.inspector.conversation import Conversation
from ctxplug.inspector.findings_panel import FindingsPanel
from ctxplug.inspector.look import NAMES, style, themes
from ctxplug.inspector.memories_panel import MemoriesPanel
from ctxplug.inspector.outline import Outline
from ctxplug.inspector.panel import Line, Panel, State
from ctxplug.inspector.past import PastWindows, Seen
from ctxplug.inspector.reading import Reading, SessionRow
from ctxplug.inspector.session_list import SessionList
from ctxplug.inspector.steps_panel import StepsPanel
from ctxplug.inspector.window_panel import WindowPanel
from ctxplug.inspector.words import Words
from ctxplug.tracing.analysis import Analysis
from ctxplug.tracing.step import Step

PANELS = ("conversation", "window", "steps", "memories", "findings")
ANALYSED = ("steps", "findings")  # panels that show what stands out
PAUSE = 2.0  # seconds between looks for what was added


class Stage(App[None]):
    """Sessions at the left; of one of them a turn above, and four panels about it."""

    TITLE = "ctxplug inspect"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        reading: Reading,
        *,
        target: str,
        session: str | None = None,
        language: str = "en",
        dark: bool = True,
        budget: int | None = None,
        policy: str | None = None,
    ) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-normal"), (150, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-low"), (28, "-high")]
        self.state = State(reading, Words(language), target)
        self.budget, self.policy = budget, policy
        self._wanted = session
        for theme in themes():
            self.register_theme(theme)
        self.theme = NAMES[dark]
        self.turn = 0
        self._head = 0
        self._tokens: dict[int, int] = {}
        self._analysing = False
        self._analysed: PastWindows | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield Static(id="title")
        with Horizontal(id="main"):
            with Vertical(id="side"):
                yield Static(id="side-title")
                yield SessionList(self.state.reading, self.state.words, id="sessions")
            with Vertical(id="work"):
                yield Static(id="about")
                yield Timeline(id="timeline")
                yield TokenBar(id="bar")
                yield Static(id="tabs")
                with ContentSwitcher(id="panels", initial="conversation"):
                    yield Conversation(self.state, id="conversation")
                    yield WindowPanel(self.state, id="window")
                    yield StepsPanel(self.state, id="steps")
                    yield MemoriesPanel(self.state, id="memories")
                    yield FindingsPanel(self.state, id="findings")
        yield Static(id="keys")

    def on_mount(self) -> None:
        """Open the session that was asked for, or the newest."""
        listed = self.query_one(SessionList)
        row = None
        try:
            listed.load()
            row = listed.choose(self._wanted)
        except CtxplugError as exc:
            self.notify(self.state.words("error", error=str(exc)), severity="error")
        self.frame()
        if row is None:
            self._say([[(self.state.words("sessions.none"), "dim")]])
        else:
            self.open(row)
        self.query_one(Conversation).rows.focus()
        self.set_interval(PAUSE, self.follow)

    # -- what is shown -------------------------------------------------------------------

    @property
    def panel(self) -> Panel:
        """The panel in front."""
        name = self.query_one(ContentSwitcher).current or PANELS[0]
        return self.query_one(f"#{name}", Panel)

    def open(self, row: SessionRow) -> None:
        """Show a session, at its last turn."""
        self.state.row = row
        self.state.outline = self.state.windows = self.state.seen = self.state.analysis = None
        self.turn = 0
        self.read(row)

    @work(thread=True, exclusive=True, group="follow")
    def follow(self) -> None:
        """Read on where something was added to the session; at its end, stay at its end."""
        outline, row, worker = self.state.outline, self.state.row, get_current_worker()
        if outline is None or row is None:
            return
        with suppress(CtxplugError):  # the next look may go well
            head = self.state.reading.head(row)
            if head == self._head:
                return
            at_end = self.turn == outline.turns
            while outline.read():
                pass
            steps, windows = self._sent(outline)
            if not worker.is_cancelled:
                self._head = head
                self.call_from_thread(self._opened, outline, windows, steps, at_end)

    @work(thread=True, exclusive=True, group="session")
    def read(self, row: SessionRow) -> None:
        """Read a session piece by piece, then make ready what was sent."""
        worker = get_current_worker()
        try:
            self._head = self.state.reading.head(row)
            outline = self.state.reading.outline(row)
            while outline.read():
                if worker.is_cancelled:
                    return
                self.call_from_thread(self._loading, outline.messages)
            steps, windows = self._sent(outline)
        except CtxplugError as exc:
            self.call_from_thread(self._fail, exc)
            return
        if not worker.is_cancelled:
            self.call_from_thread(self._opened, outline, windows, steps, not self.turn)

    def _sent(self, outline: Outline) -> tuple[list[Step], PastWindows]:
        reading = self.state.reading
        steps = reading.steps(outline.stream)
        asked: dict[str, Any] = {"budget": self.budget, "policy": self.policy}
        return steps, reading.windows(outline, steps, **asked)

    def _opened(
        self, outline: Outline, windows: PastWindows, steps: list[Step], at_end: bool
    ) -> None:
        state = self.state
        state.outline, state.windows, state.steps, state.seen = outline, windows, steps, None
        self._tokens = {}
        turn = outline.turns if at_end else min(self.turn, outline.turns)
        self.frame()
        self.renew()
        if turn:
            self.go(turn, follow=at_end)
        else:
            self._say([[(state.words("turn.none"), "dim")]])
        self.analyse()

    def analyse(self) -> None:
        """Find out what stands out in the session, where that is asked for and not known yet."""
        state = self.state
        asked = self.panel.id in ANALYSED and not self._analysing
        if asked and state.outline and state.windows and state.windows is not self._analysed:
            self._analysing = True
            self._find(state.outline, state.steps, state.windows)

    @work(thread=True, group="findings")
    def _find(self, outline: Outline, steps: list[Step], windows: PastWindows) -> None:
        """Analyse a session; one at a time, as that may take a moment."""
        try:
            found = self.state.reading.analysis(outline, steps)
        except CtxplugError as exc:
            found = None
            self.call_from_thread(self._fail, exc)
        self.call_from_thread(self._found, outline, windows, found)

    def _found(self, outline: Outline, windows: PastWindows, found: Analysis | None) -> None:
        self._analysing, self._analysed = False, windows
        if outline is self.state.outline and found is not None:
            self.state.analysis = found
            for panel in (self.query_one(StepsPanel), self.query_one(FindingsPanel)):
                panel.renew()
        self.analyse()  # something may have been added, or another session opened, meanwhile

    def go(self, turn: int, *, follow: bool) -> None:
        """Show a turn; with `follow` the conversation goes to its answer."""
        outline = self.state.outline
        if outline is None or not outline.turns:
            return
        self.turn = max(1, min(turn, outline.turns))
        self._make(self.turn, follow)

    @work(thread=True, exclusive=True, group="window")
    def _make(self, turn: int, follow: bool) -> None:
        """Make the window of a turn, and tell the sizes of those around it."""
        worker, windows = get_current_worker(), self.state.windows
        if windows is None:
            return
        try:
            if not windows.quick(turn):
                told: list[Line] = [[(self.state.words("computing"), "dim")]]
                self.call_from_thread(self._say, told)
            seen, cached = windows.seen(turn), windows.cached(turn)
            if worker.is_cancelled:
                return
            self.call_from_thread(self._made, windows, seen, cached, follow)
            for near in self.call_from_thread(self._near):
                if worker.is_cancelled:
                    return
                if near not in self._tokens and windows.quick(near):
                    self._tokens[near] = windows.tokens(near)
            self.call_from_thread(self._timeline)
        except CtxplugError as exc:
            self.call_from_thread(self._fail, exc)

    def _made(self, windows: PastWindows, seen: Seen, cached: int, follow: bool) -> None:
        if windows is not self.state.windows:
            return
        self.state.seen, self.state.cached = seen, cached
        self._tokens[seen.call.number] = seen.tokens
        self.frame()
        self.renew()
        if follow:
            self.query_one(Conversation).go_to(seen.call.answer or seen.call.head)

    def renew(self) -> None:
        """Show the state anew in all panels."""
        for panel in self.query(Panel):
            panel.renew()

    def frame(self) -> None:
        """Show all that stands around the panels."""
        state = self.state
        self._fill("title", [title(state, self.budget, self.policy)])
        self._fill("side-title", [[(state.words("sessions"), "dim")]])
        self._fill("tabs", [tabs(state.words, PANELS, self.panel.id or "")])
        self._fill("keys", [keys(state.words)])
        if state.seen is not None:
            self._say(about(state, state.seen))
            same = sum(piece.tokens for piece in state.seen.pieces[: state.cached])
            bar = self.query_one(TokenBar)
            bar.show(state.seen, same, bar_told(state, state.seen, same), state.words)
        self._timeline()

    def _timeline(self) -> None:
        outline, seen = self.state.outline, self.state.seen
        most = seen.budget if seen else 1
        turns = outline.turns if outline else 0
        self.query_one(Timeline).show(self.turn, turns, self._tokens, most)

    def _near(self) -> range:
        return self.query_one(Timeline).shown()

    def _loading(self, messages: int) -> None:
        self._say([[(self.state.words("loading", messages=messages), "dim")]])

    def _fail(self, exc: Exception) -> None:
        self._say([[(self.state.words("error", error=str(exc)), "bad")]])

    def _say(self, lines: list[Line]) -> None:
        self._fill("about", lines)

    def _fill(self, id: str, lines: list[Line]) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for number, line in enumerate(lines):
            text.append("\n" if number else "")
            for said, tone in line:
                text.append(said, style(tone, dark=self.current_theme.dark))
        self.query_one(f"#{id}", Static).update(text)
