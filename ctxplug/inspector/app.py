"""The inspector as a terminal program: its keys, and what they do."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher

from ctxplug.context.policy import PRESETS
from ctxplug.inspector.bar import Timeline
from ctxplug.inspector.conversation import Conversation
from ctxplug.inspector.findings_panel import FindingsPanel
from ctxplug.inspector.look import NAMES
from ctxplug.inspector.memories_panel import MemoriesPanel
from ctxplug.inspector.rows import Rows
from ctxplug.inspector.screens import Ask, Help
from ctxplug.inspector.session_list import SessionList
from ctxplug.inspector.stage import PANELS, Stage
from ctxplug.inspector.steps_panel import StepsPanel
from ctxplug.inspector.words import LANGUAGES, Words
from ctxplug.tracing.analysis import Finding


class Inspector(Stage):
    """Sessions at the left; of one of them a turn above, and four panels about it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "turn(-1)", show=False),
        Binding("right,l", "turn(1)", show=False),
        Binding("shift+left,left_square_bracket", "turn(-10)", show=False),
        Binding("shift+right,right_square_bracket", "turn(10)", show=False),
        Binding("less_than_sign", "turn_end(False)", show=False),
        Binding("greater_than_sign", "turn_end(True)", show=False),
        *(Binding(str(i), f"panel('{name}')", show=False) for i, name in enumerate(PANELS, 1)),
        Binding("g", "goto", show=False),
        Binding("slash", "find", show=False),
        Binding("n", "find_next(False)", show=False),
        Binding("N", "find_next(True)", show=False),
        Binding("f", "changed", show=False),
        Binding("s", "sessions", show=False),
        Binding("w", "what_if", show=False),
        Binding("d", "theme", show=False),
        Binding("L", "language", show=False),
        Binding("r", "reload", show=False),
        Binding("question_mark,f1", "help", show=False),
        Binding("escape", "to_list", show=False),
        Binding("q", "quit", show=False),
    ]

    def action_turn(self, by: int) -> None:
        """Go some turns on or back."""
        self.go(self.turn + by, follow=True)

    def action_turn_end(self, last: bool) -> None:
        """Go to the first turn, or the last."""
        self.go(self.state.outline.turns if last and self.state.outline else 1, follow=True)

    def action_panel(self, name: str) -> None:
        """Bring a panel to the front."""
        self.query_one(ContentSwitcher).current = name
        self.panel.rows.focus()
        self.frame()
        self.analyse()

    @work
    async def action_goto(self) -> None:
        """Ask for a turn or a message, and go there."""
        words, outline = self.state.words, self.state.outline
        told = await self.push_screen_wait(Ask(words("ask.goto")))
        if not told or outline is None:
            return
        number = told.lstrip("@").replace(",", "")
        if not number.isdecimal() or not int(number):
            self.notify(words("goto.none", text=told), severity="warning")
        elif told.startswith("@"):
            self.action_panel("conversation")
            self.query_one(Conversation).go_to(int(number))
            self.go(outline.turn_of(int(number)), follow=False)
        else:
            self.go(int(number), follow=True)

    @work
    async def action_find(self) -> None:
        """Ask for words and find them, or go to the search for memories."""
        if isinstance(self.panel, MemoriesPanel):
            self.query_one("#query").focus()
            return
        words = self.state.words
        told = await self.push_screen_wait(Ask(words("ask.find"), self.state.found))
        if told:
            self.state.found = told
            self.action_panel("conversation")
            self.action_find_next(False)

    def action_find_next(self, back: bool) -> None:
        """Go to the next message with the words, or the one before; of steps, with a finding."""
        if isinstance(self.panel, StepsPanel):
            self.panel.find(back=back)
            return
        text = self.state.found
        if text and not self.query_one(Conversation).find(text, back=back):
            self.notify(self.state.words("find.none", text=text), severity="warning")

    def action_changed(self) -> None:
        """Show only what is not word for word, or all again."""
        conversation = self.query_one(Conversation)
        version = conversation.version()
        self.state.only_changed = not self.state.only_changed
        self.action_panel("conversation")
        conversation.renew()
        conversation.go_to(version or 0)

    def action_sessions(self) -> None:
        """Hide or show the sessions."""
        side = self.query_one("#side")
        side.toggle_class("-hidden", "-asked")
        if side.display:
            self.query_one(SessionList).focus()
        else:
            self.panel.rows.focus()

    @work
    async def action_what_if(self) -> None:
        """Ask for a budget or a policy, and show what they would have sent."""
        words = self.state.words
        now = " ".join(str(one) for one in (self.budget, self.policy) if one is not None)
        told = await self.push_screen_wait(Ask(words("ask.what_if"), now))
        if told is None:
            return
        numbers = [int(w.replace(",", "")) for w in told.split() if w.replace(",", "").isdecimal()]
        names = [w for w in told.split() if w in PRESETS]
        if len(numbers) + len(names) < len(told.split()) or 0 in numbers:
            known = ", ".join(PRESETS)
            self.notify(words("what_if.none", text=told, policies=known), severity="warning")
            return
        self.budget = numbers[-1] if numbers else None
        self.policy = names[-1] if names else None
        self.action_reload()

    def action_theme(self) -> None:
        """Change between light and dark."""
        self.theme = NAMES[not self.current_theme.dark]
        self.frame()
        self.renew()

    def action_language(self) -> None:
        """Change between English and Chinese."""
        names = list(LANGUAGES)
        after = names[(names.index(self.state.words.language) + 1) % len(names)]
        self.state.words = self.query_one(SessionList).words = Words(after)
        self.frame()
        self.renew()
        self.query_one(SessionList).refresh()

    def action_reload(self) -> None:
        """Read what was added meanwhile."""
        if self.state.row is not None:
            self.read(self.state.row)
            self.query_one(MemoriesPanel).reload()

    def action_help(self) -> None:
        """Show the keys and the colours."""
        self.push_screen(Help(self.state.words))

    def action_to_list(self) -> None:
        """Go back to the list."""
        self.panel.rows.focus()

    def on_timeline_chosen(self, event: Timeline.Chosen) -> None:
        """Go to the turn that was clicked."""
        self.go(event.turn, follow=True)

    def on_rows_picked(self, event: Rows.Picked) -> None:
        """Open a session, or go to the turn of a message or step."""
        if isinstance(event.rows, SessionList):
            row = event.rows.under(event.index)
            if row is not None:
                self.open(row)
                self.query_one("#side").remove_class("-asked")
                self.panel.rows.focus()
            return
        panel, outline = self.panel, self.state.outline
        if isinstance(panel, FindingsPanel):
            self._show_evidence(panel.finding())
        elif isinstance(panel, StepsPanel):
            turn = panel.turn()
            if turn is not None:
                self.go(turn, follow=True)
        elif isinstance(panel, Conversation) and outline is not None:
            version = panel.version()
            if version is not None:
                self.go(outline.turn_of(version), follow=False)

    def _show_evidence(self, finding: Finding | None) -> None:
        """Go to the first step that shows a finding, or else to its first message."""
        if finding is None:
            return
        if self.query_one(StepsPanel).go_to(finding.steps):
            self.action_panel("steps")
        elif finding.versions:
            self.action_panel("conversation")
            self.query_one(Conversation).go_to(finding.versions[0])
