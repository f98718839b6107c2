"""Rows: a list that draws only what is on the screen, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ctxplug.inspector.look import Bit, fitted, style

Draw = Callable[[int, int], Sequence[Sequence[Bit]]]


class Rows(ScrollView, can_focus=True):
    """Rows of `height` lines each; `draw(index, width)` gives the lines of one.

    `Moved` tells that the cursor is on another row, `Picked` that it was chosen there.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "end(False)", show=False),
        Binding("end", "end(True)", show=False),
        Binding("enter", "pick", show=False),
    ]
    DEFAULT_CSS = """
    Rows { scrollbar-size: 1 1; overflow-x: hidden; overflow-y: auto; }
    """
    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, rows: Rows, index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> Rows:
            """The list."""
            return self.rows

    class Picked(Moved):
        """A row was chosen, with the enter key or a click."""

    def __init__(self, *, height: int = 1, id: str | None = None) -> None:
        super().__init__(id=id)
        self._height = height
        self._count = 0
        self._draw: Draw = lambda index, width: []

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._count

    def show(self, count: int, draw: Draw, *, cursor: int | None = None) -> None:
        """Show `count` rows, with the cursor at `cursor`, or as near as may be to where it was."""
        self._count, self._draw = count, draw
        self.virtual_size = Size(0, count * self._height)
        before = self.cursor
        self.cursor = max(0, min(before if cursor is None else cursor, count - 1))
        if self.cursor == before:
            self.post_message(self.Moved(self, self.cursor))
        self.refresh()

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(cursor, self._count - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Bring the row into view, and tell."""
        self._into_view(now)
        self.refresh()
        self.post_message(self.Moved(self, now))

    def on_resize(self) -> None:
        """Keep the row in view."""
        self._into_view(self.cursor)

    def on_focus(self) -> None:
        """Show where the cursor is."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that the keys go elsewhere."""
        self.refresh()

    def on_click(self, event: Click) -> None:
        """Go to the row under the pointer; a second click chooses it."""
        index = (event.y + self.scroll_offset.y) // self._height
        if index >= self._count:
            return
        chosen = index == self.cursor or event.chain > 1
        self.cursor = index
        if chosen:
            self.action_pick()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Move the cursor by what fits on the screen."""
        self.cursor += by * max(1, self.size.height // self._height - 1)

    def action_end(self, last: bool) -> None:
        """Move the cursor to an end."""
        self.cursor = self._count - 1 if last else 0

    def action_pick(self) -> None:
        """Choose the row."""
        if self._count:
            self.post_message(self.Picked(self, self.cursor))

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width = self.scrollable_content_region.width
        index, line = divmod(y + self.scroll_offset.y, self._height)
        if index >= self._count:
            return Strip.blank(width, self.rich_style)
        dark = self.app.current_theme.dark
        here = index == self.cursor
        on = "raised" if here else None
        lines = self._draw(index, width - 1)
        bits = lines[line] if line < len(lines) else ()
        bar = "▌" if here and self.has_focus else " "
        segments = [Segment(bar, style("accent", dark=dark, on=on))]
        segments += [
            Segment(text, style(tone, dark=dark, on=on)) for text, tone in fitted(bits, width - 1)
        ]
        return Strip(segments, width).apply_style(self.rich_style)

    def _into_view(self, index: int) -> None:
        top = index * self._height
        region = Region(0, top, max(1, self.size.width), self._height)
        self.scroll_to_region(region, animate=False, force=True)
