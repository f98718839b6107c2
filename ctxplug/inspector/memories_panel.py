"""The memories of a namespace: listed, or searched for as recall does, with the reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from ctxplug.errors import CtxplugError
from ctxplug.inspector.look import Bit, fit, right
from ctxplug.inspector.panel import Detail, Line, Panel, body, field_line, heading
from ctxplug.inspector.reading import Found, SessionRow
from ctxplug.inspector.rows import Rows
from ctxplug.printable import short
from ctxplug.records import MemoryRecord

LISTED = 500  # memories that are listed without a search
PAUSE = 0.15  # seconds without a key before a search begins
BAR = 16
NARROW = 70
ROOMY = 84  # cells of a text from which on a bar and its meaning fit on one line


class MemoriesPanel(Panel):
    """A search box over a list."""

    _found: Sequence[Found] = ()
    _row: SessionRow | None = None

    def compose(self) -> ComposeResult:
        """Search box, what was found, and a text about it."""
        with Vertical(id="search"):
            yield Input(id="query")
            yield Static(id="count")
            yield Rows()
        yield Detail()

    def renew(self) -> None:
        """Show the memories of the namespace that is looked at."""
        self.query_one(Input).placeholder = self.words("memories.placeholder")
        row = self.state.row
        if row is not None and (self._row is None or self._row.namespace != row.namespace):
            self._row = row
            self._search(self.query_one(Input).value)
        else:
            self.rows.refresh()
            self._count(self.query_one(Input).value)

    def reload(self) -> None:
        """Read again."""
        self._row = None
        self.renew()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search when the typing pauses."""
        event.stop()
        value = event.value
        self.set_timer(PAUSE, lambda: self._settled(value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to what was found."""
        event.stop()
        self.rows.focus()

    def detail(self, index: int) -> Iterator[Line]:
        """Yield all that is known of a memory, and why it was found."""
        found = self._found[index]
        yield from body(found.record.content, self.words, "strong")
        yield []
        if found.why is not None and found.score is not None:
            yield heading(self.words("memories.why"))
            yield from self._reasons(found.score, found.why)
            yield []
        yield from self._record(found.record)

    # -- inside --------------------------------------------------------------------------

    def _settled(self, value: str) -> None:
        if self.is_mounted and value == self.query_one(Input).value:
            self._search(value)

    @work(thread=True, exclusive=True, group="search")
    def _search(self, query: str) -> None:
        row, reading = self.state.row, self.state.reading
        if row is None:
            return
        try:
            if query.strip():
                found = reading.search(row.namespace, query)
            else:
                found = reading.memories(row.namespace, limit=LISTED)
        except CtxplugError as exc:
            told = self.words("error", error=str(exc))
            self.app.call_from_thread(self.app.notify, told, severity="error")
            return
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._show, query, found)

    def _show(self, query: str, found: Sequence[Found]) -> None:
        self._found = found
        self._count(query)
        self.rows.show(len(found), self._draw, cursor=0)
        self.tell()

    def _count(self, query: str) -> None:
        count, query = len(self._found), query.strip()
        if query:
            told = self.words("memories.found", count=count, query=query)
        else:
            told = self.words("memories.listed" if count else "memories.none", count=count)
        self.query_one("#count", Static).update(
            told if count or not query else self.words("memories.no_match")
        )

    def _draw(self, index: int, width: int) -> Sequence[Sequence[Bit]]:
        found = self._found[index]
        record = found.record
        score = "" if found.score is None else f"{found.score:.2f}"
        kind = record.kind
        if kind == "message":
            kind = str(record.metadata.get("role", kind))
        past = record.valid_to is not None
        bits: list[Bit] = [(right(score, 6) + "  ", "accent")]
        if width >= NARROW:
            bits.append((f"{record.created_at:%Y-%m-%d}  ", "faint"))
            bits.append((right(f"{record.importance:.2f}", 4) + "  ", "dim"))
        bits.append((fit(kind, 12) + " ", kind if kind in _SAID else "recalled"))
        bits.append((short(record.content, 4 * width), "dim" if past else "text"))
        return [bits]

    def _reasons(self, score: float, why: object) -> Iterator[Line]:
        parts = dict(why) if isinstance(why, dict) else {}
        yield [(f"{fit(self.words('score'), 12)}{right(f'{score:.2f}', 7)}", "strong")]
        wide = self.query_one(Detail).size.width >= ROOMY
        most = max((abs(value) for value in parts.values()), default=0) or 1
        for name, value in sorted(parts.items(), key=lambda part: -abs(part[1])):
            if round(value, 2):
                told = self.words.known("score", name)
                bar = "━" * max(1, round(BAR * abs(value) / most))
                yield [
                    (f"{fit(name, 12)}{right(f'{value:+.2f}', 7)}  ", "dim"),
                    (fit(bar, BAR), "accent" if value > 0 else "bad"),
                    (f" {told}" if wide else "", "dim"),
                ]
                if not wide:
                    yield [(f"  {told}", "dim")]

    def _record(self, record: MemoryRecord) -> Iterator[Line]:
        for name, value in self._fields(record):
            yield field_line(self.words(f"memory.{name}"), value, 16)
        if record.kind != "message":
            for source in self.state.reading.sources(record):
                yield field_line(self.words("memory.source"), source, 16)

    def _fields(self, record: MemoryRecord) -> Iterator[tuple[str, str]]:
        yield "id", record.id
        yield "kind", f"{record.kind}, {record.tier}"
        yield "importance", f"{record.importance:.2f}"
        if record.tags:
            yield "tags", ", ".join(record.tags)
        yield "origin", self.words("memory.trust", origin=record.origin, trust=record.trust)
        yield "made_by", record.made_by
        for name in ("session", "agent"):
            if value := getattr(record, name):
                yield name, value
        for name in ("created_at", "valid_from", "valid_to", "expires_at"):
            if time := getattr(record, name):
                yield name, f"{time:%Y-%m-%d %H:%M}"
        count, last = record.access_count, record.last_accessed
        if last is None:
            yield "accessed", self.words("memory.times", count=count)
        else:
            yield "accessed", self.words("memory.times_last", count=count, last=f"{last:%Y-%m-%d}")
        if record.metadata:
            yield "metadata", json.dumps(record.metadata, ensure_ascii=False)


_SAID = ("user", "assistant", "tool", "system")
