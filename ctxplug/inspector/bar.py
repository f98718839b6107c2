"""The token bar of a window, and the timeline of all turns above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ctxplug.inspector.look import Bit, block, fit, fitted, style
from ctxplug.inspector.past import Seen
from ctxplug.inspector.pieces import FREE, MARGIN, columns
from ctxplug.inspector.words import Words

EIGHTHS = " ▁▂▃▄▅▆▇█"


class TokenBar(Widget):
    """The parts of a window as wide as their tokens, and how much of it was sent before."""

    DEFAULT_CSS = "TokenBar { height: 3; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._parts: Mapping[str, int] = {}
        self._same: tuple[int, str] = 0, ""
        self._word: Callable[[str], str] = str

    def show(self, seen: Seen, same: int, told: str, words: Words) -> None:
        """Show a window, of which `same` tokens at the beginning were sent before."""
        parts = dict(seen.parts)
        if seen.window is not None:
            parts[FREE] = max(0, seen.limit - seen.tokens)
            parts[MARGIN] = max(0, seen.budget - max(seen.limit, seen.tokens))
        self._parts, self._same = parts, (same, told)
        self._word = lambda part: words(f"part.{part}")
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line: the bar, what was sent before, the figures."""
        width = self.size.width
        shown = columns(self._parts, width)
        dark = self.app.current_theme.dark
        if not self._parts:
            return Strip.blank(width, self.rich_style)
        if y == 0:
            made = [self._block(part, size, dark) for part, size in shown.items() if size]
        elif y == 1:
            made = [Segment(t, style(tone, dark=dark)) for t, tone in self._bracket(shown, width)]
        else:
            made = [Segment(t, style(tone, dark=dark)) for t, tone in self._legend(width)]
        return Strip(made, width).apply_style(self.rich_style)

    def _block(self, part: str, size: int, dark: bool) -> Segment:
        return Segment(fit(self._named(part, size), size), block(part, dark=dark))

    def _named(self, part: str, size: int) -> str:
        """Return what is written into a block, "" if it is too narrow."""
        text = f" {self._word(part)} {self._parts[part]:,}"
        return text if cell_len(text) < size else ""

    def _bracket(self, shown: Mapping[str, int], width: int) -> list[Bit]:
        """Return the line that marks how far the window is what was sent before."""
        same, told = self._same
        sent = sum(n for part, n in self._parts.items() if part not in (FREE, MARGIN))
        span = sum(n for part, n in shown.items() if part not in (FREE, MARGIN))
        size = round(span * same / sent) if sent else 0
        label = f" {told} "
        if size < 2:
            return fitted([(label, "dim")], width)
        if cell_len(label) + 4 <= size:
            line = "╰─" + label + "─" * (size - cell_len(label) - 3) + "╯"
            return fitted([(line, "accent")], width)
        return fitted([("╰" + "─" * (size - 2) + "╯", "accent"), (label, "dim")], width)

    def _legend(self, width: int) -> list[Bit]:
        """Tell of the parts that are too narrow to be named in the bar."""
        bits: list[Bit] = []
        sizes = columns(self._parts, width)
        named = {part for part, size in sizes.items() if self._named(part, size)}
        for part, tokens in self._parts.items():
            if tokens and part not in named:
                tone = "faint" if part in (FREE, MARGIN) else part
                bits += [("▪ ", tone), (f"{self._word(part)} ", "dim"), (f"{tokens:,}   ", "text")]
        return fitted(bits, width)


class Timeline(Widget):
    """A column for each turn, as high as its window; a click goes there."""

    DEFAULT_CSS = "Timeline { height: 2; }"

    class Chosen(Message):
        """A turn was chosen."""

        def __init__(self, turn: int) -> None:
            super().__init__()
            self.turn = turn

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._turn, self._turns, self._most = 0, 0, 1
        self._tokens: Mapping[int, int] = {}

    def show(self, turn: int, turns: int, tokens: Mapping[int, int], most: int) -> None:
        """Show `turns` turns with what is known of their tokens, `turn` being the chosen one."""
        self._turn, self._turns, self._tokens = turn, turns, tokens
        self._most = max(1, most, *tokens.values())
        self.refresh()

    def shown(self) -> range:
        """Return the turns that fit on the screen."""
        room = max(1, self.size.width // self._step)
        first = max(1, min(self._turn - room // 2, self._turns - room + 1))
        return range(first, min(self._turns, first + room - 1) + 1)

    def on_click(self, event: Click) -> None:
        """Go to the turn under the pointer."""
        turns = self.shown()
        index = event.x // self._step
        if index < len(turns):
            self.post_message(self.Chosen(turns[index]))

    def render_line(self, y: int) -> Strip:
        """Return one line: the upper half of the columns, or the lower."""
        width, dark = self.size.width, self.app.current_theme.dark
        made: list[Segment] = []
        for turn in self.shown():
            made.append(Segment(self._cell(turn, upper=y == 0), self._style(turn, dark)))
            made.append(Segment(" " * (self._step - self._wide), Style()))
        strip = Strip(made).adjust_cell_length(width)
        return strip.apply_style(self.rich_style)

    @property
    def _step(self) -> int:
        """How many cells a turn takes: few turns are shown wider."""
        return max(1, min(3, self.size.width // max(1, self._turns)))

    @property
    def _wide(self) -> int:
        return max(1, self._step - 1)

    def _cell(self, turn: int, *, upper: bool) -> str:
        tokens = self._tokens.get(turn)
        if tokens is None:
            return (" " if upper else "·") * self._wide
        if not tokens:  # no window was sent
            return (" " if upper else "×") * self._wide
        level = max(1, round(16 * tokens / self._most))
        return EIGHTHS[max(0, level - 8) if upper else min(8, level)] * self._wide

    def _style(self, turn: int, dark: bool) -> Style:
        if turn == self._turn:
            return style("accent", dark=dark)
        before, now = self._tokens.get(turn - 1), self._tokens.get(turn)
        if now == 0:
            return style("bad", dark=dark)
        fell = before is not None and now is not None and now < before
        return style("cut" if fell else "faint", dark=dark)
