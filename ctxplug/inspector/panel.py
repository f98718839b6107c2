"""What the panels share: the state that they show, a list above (or beside) a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from ctxplug.errors import CtxplugError
from ctxplug.inspector.look import Bit, style
from ctxplug.inspector.outline import Outline
from ctxplug.inspector.past import PastWindows, Seen
from ctxplug.inspector.reading import Reading, SessionRow
from ctxplug.inspector.rows import Rows
from ctxplug.inspector.words import Words
from ctxplug.printable import visible
from ctxplug.tracing.analysis import Analysis
from ctxplug.tracing.step import Step

SHOWN = 20_000  # characters of a text that are shown

Line = Sequence[Bit]


@dataclass
class State:
    """What is looked at: a session, and of it one turn; `cached` pieces were sent before."""

    reading: Reading
    words: Words
    target: str
    row: SessionRow | None = None
    outline: Outline | None = None
    windows: PastWindows | None = None
    steps: list[Step] = field(default_factory=list)
    analysis: Analysis | None = None  # None until it is made
    seen: Seen | None = None
    cached: int = 0
    only_changed: bool = False
    found: str = ""


class Detail(VerticalScroll, can_focus=True):
    """A text of any length."""

    def compose(self) -> ComposeResult:
        """Hold one text."""
        yield Static()

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines, from the top."""
        dark = self.app.current_theme.dark
        text = Text(overflow="fold")
        for line in lines:
            for said, tone in line:
                text.append(said, style(tone, dark=dark))
            text.append("\n")
        text.rstrip()
        self.query_one(Static).update(text)
        self.scroll_home(animate=False)


class Panel(Widget):
    """A list and what there is to know of the row under its cursor."""

    def __init__(self, state: State, *, id: str) -> None:
        super().__init__(id=id)
        self.state = state

    def compose(self) -> ComposeResult:
        """List first, then text."""
        yield Rows()
        yield Detail()

    @property
    def rows(self) -> Rows:
        """The list."""
        return self.query_one(Rows)

    @property
    def words(self) -> Words:
        """The words of the chosen language."""
        return self.state.words

    def on_rows_moved(self, event: Rows.Moved) -> None:
        """Tell of the row under the cursor."""
        event.stop()
        self.tell()

    def tell(self) -> None:
        """Show what there is to know of the row under the cursor."""
        index = self.rows.cursor
        lines: list[Line] = []
        try:
            lines += self.detail(index) if index < self.rows.count else ()
        except CtxplugError as exc:  # the store was erased, or is locked
            lines = [[(self.words("error", error=str(exc)), "bad")]]
        self.query_one(Detail).show(lines)

    def renew(self) -> None:
        """Show the state anew."""

    def detail(self, index: int) -> Iterator[Line]:
        """Yield the lines about a row."""
        yield from ()


def heading(text: str) -> Line:
    """Return the line above a part of a text."""
    return [(text, "strong")]


def body(text: str, words: Words, tone: str = "text") -> Iterator[Line]:
    """Yield a stored text line by line, cut where it is very long."""
    for line in visible(text[:SHOWN]).split("\n"):
        yield [(line, tone)]
    if len(text) > SHOWN:
        yield [(words("more_characters", count=len(text) - SHOWN), "dim")]


def field_line(name: str, value: str, width: int = 12) -> Line:
    """Return a name and its value; what is long goes on below."""
    return [(f"{name}{' ' * max(1, width - cell_len(name))}", "dim"), (visible(value), "text")]
