"""The screens above the main one: help, and a line to type in."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Click, Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ctxplug.inspector.look import fit, style
from ctxplug.inspector.pieces import FREE, MARGIN, PARTS
from ctxplug.inspector.why import FATES
from ctxplug.inspector.words import Words

ACROSS = 4  # colours in one line of the help
KEYS = (
    ("← →", "turn"),
    ("shift ← →, [ ]", "turns"),
    ("< >", "ends"),
    ("g", "goto"),
    ("1 2 3 4 5", "panels"),
    ("↑ ↓, j k", "move"),
    ("enter", "open"),
    ("tab", "focus"),
    ("/", "find"),
    ("n N", "next"),
    ("f", "changed"),
    ("s", "sessions"),
    ("w", "what_if"),
    ("d", "theme"),
    ("L", "language"),
    ("r", "reload"),
)


class Help(ModalScreen[None]):
    """The keys, and what the colours mean."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._told = words

    def compose(self) -> ComposeResult:
        """Show one page."""
        with VerticalScroll(id="help"):
            yield Static(self._page())

    def on_key(self, event: Key) -> None:
        """Any key closes it, but those that scroll."""
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()

    def on_click(self, event: Click) -> None:
        """So does a click."""
        self.dismiss()

    def _page(self) -> Text:
        words, dark = self._told, self.app.current_theme.dark
        page = Text(overflow="fold")
        page.append(words("help.title") + "\n\n", style("strong", dark=dark))
        for keys, name in KEYS:
            page.append(f"  {fit(keys, 16)}", style("accent", dark=dark))
            page.append(words(f"help.{name}") + "\n", style("text", dark=dark))
        page.append("\n" + words("help.colours") + "\n\n", style("strong", dark=dark))
        for group, names in (("part", (*PARTS, FREE, MARGIN)), ("fate", (*FATES, "recalled"))):
            for number, name in enumerate(names):
                tone = "faint" if name in (FREE, MARGIN) else name
                page.append("\n" if number and number % ACROSS == 0 else "")
                page.append("  ▪ ", style(tone, dark=dark))
                page.append(fit(words(f"{group}.{name}"), 14), style("text", dark=dark))
            page.append("\n\n")
        for name in ("gutter", "safe"):
            page.append(f"  {words(f'help.{name}')}\n", style("dim", dark=dark))
        page.append("\n  " + words("help.close"), style("faint", dark=dark))
        return page


class Ask(ModalScreen[str | None]):
    """A line to type in; gives what was typed, None if it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    def __init__(self, what: str, value: str = "") -> None:
        super().__init__()
        self._what, self._value = what, value

    def compose(self) -> ComposeResult:
        """Show the line."""
        with Vertical(id="ask"):
            yield Static(self._what)
            yield Input(self._value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give what was typed."""
        event.stop()
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Give nothing."""
        self.dismiss(None)
