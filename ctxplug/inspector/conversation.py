"""The conversation at a turn: what became of each message, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from ctxplug.inspector.look import Bit, fit, right
from ctxplug.inspector.message_lines import message_lines
from ctxplug.inspector.outline import COMPACTION, SESSION, SNAPSHOT, Mark, Row, Said
from ctxplug.inspector.panel import Line, Panel, body, field_line, heading
from ctxplug.inspector.why import ANSWER, KEPT, LATER, OUT, REMOVED, UNKNOWN, Fate, fate_of, why
from ctxplug.inspector.words import Words

NARROW = 70  # cells below which a fate is told by its colour alone
CHIPS = {OUT: "▫", REMOVED: "⊘", ANSWER: "▸", LATER: " "}


class Conversation(Panel):
    """All messages of a session, told apart by their fate at the chosen turn."""

    _shown: Sequence[Row] = ()

    def renew(self) -> None:
        """Show the messages, and stay where the cursor was."""
        outline, seen = self.state.outline, self.state.seen
        if outline is None:
            self._shown = ()
        elif self.state.only_changed and seen is not None:
            self._shown = [row for row in outline.rows if self._is_changed(row)]
        else:
            self._shown = outline.rows
        self.rows.show(len(self._shown), self._draw)

    def go_to(self, version: int) -> bool:
        """Put the cursor on a message, or what follows it; say whether it is there."""
        found = next((i for i, row in enumerate(self._shown) if row.version >= version), None)
        if found is not None:
            self.rows.cursor = found
        elif self._shown:
            self.rows.cursor = len(self._shown) - 1
        return found is not None

    def find(self, text: str, *, back: bool = False) -> bool:
        """Go to the next message with `text`, around the end; say whether there is one."""
        count, at = len(self._shown), self.rows.cursor
        wanted = text.casefold()
        for step in range(1, count + 1):
            index = (at - step if back else at + step) % count
            row = self._shown[index]
            if isinstance(row, Said) and wanted in self._text(row).casefold():
                self.rows.cursor = index
                return True
        return False

    def version(self) -> int | None:
        """Return the version under the cursor."""
        index = self.rows.cursor
        return self._shown[index].version if index < len(self._shown) else None

    def detail(self, index: int) -> Iterator[Line]:
        """Yield why the message is sent as it is, how it is sent, and what it said."""
        row = self._shown[index]
        if isinstance(row, Mark):
            yield [(mark_text(row, self.words), "strong")]
            yield [(f"@{row.version} · {row.at:%Y-%m-%d %H:%M:%S}", "dim")]
            yield from mark_lines(row, self.words)
            return
        yield [
            (f"@{row.version} ", "dim"),
            (self._who(row), row.role),
            (f" · {row.at:%Y-%m-%d %H:%M:%S} · ", "dim"),
            (self.words("tokens", count=row.tokens), "dim"),
        ]
        if self.state.seen is not None and self.state.windows is not None:
            yield from self._why(row)
        yield from self._texts(row)

    # -- inside --------------------------------------------------------------------------

    def _fate(self, said: Said) -> Fate | None:
        outline, seen = self.state.outline, self.state.seen
        return fate_of(said, outline, seen) if outline and seen else None

    def _is_changed(self, row: Row) -> bool:
        fate = self._fate(row) if isinstance(row, Said) else None
        return fate is not None and fate.name not in (KEPT, LATER, ANSWER)

    def _text(self, said: Said) -> str:
        if self.state.outline is None or not said.line.endswith("…"):
            return said.line
        message = self.state.reading.message(self.state.outline.stream, said.version)
        return "\n".join([said.line, message.text if message else ""])

    def _who(self, said: Said) -> str:
        role = self.words.known("role", said.role)
        return f"{role} {said.name}" if said.name and said.role != "tool" else role

    def _draw(self, index: int, width: int) -> Sequence[Sequence[Bit]]:
        row = self._shown[index]
        if isinstance(row, Mark):
            line = f"{right(f'@{row.version}', 7)} ── {mark_text(row, self.words)} "
            return [[(line + "─" * max(0, width - cell_len(line)), "faint")]]
        fate = self._fate(row)
        name = fate.name if fate else LATER
        tone = "recalled" if fate and fate.recalled else name
        later = name == LATER and fate is not None
        chip = CHIPS.get(name, "▪")
        bits: list[Bit] = [
            (right(f"@{row.version}", 7), "faint"),
            ("  " + fit(self._who(row), 10), "later" if later else row.role),
            (f" {chip} ", tone),
        ]
        if width >= NARROW:
            told = "recalled" if fate and fate.recalled else name
            label = self.words(f"fate.{told}") if fate else ""
            bits.append((fit(label, 13), "dim" if name == KEPT else tone))
            bits.append((right(_size(row, fate), 11) + "  ", "dim"))
        bits.append((row.line, "later" if later else "bad" if row.failed else "text"))
        return [bits]

    def _why(self, said: Said) -> Iterator[Line]:
        windows, seen, fate = self.state.windows, self.state.seen, self._fate(said)
        if windows is None or seen is None or fate is None:
            return
        yield []
        yield [("▪ ", fate.name), (self.words(f"fate.{fate.name}"), fate.name)]
        for reason in why(said, windows, seen):
            values = dict(reason.values)
            if "form" in values:
                values["form"] = self.words.known("form", values["form"])
            yield [(self.words(reason.key, **values), "text")]

    def _texts(self, said: Said) -> Iterator[Line]:
        outline, seen, fate = self.state.outline, self.state.seen, self._fate(said)
        if outline is None:
            return
        yield []
        if fate and seen and fate.name not in (KEPT, LATER, ANSWER):
            piece = seen.places.get(said.version)
            if piece is not None and piece.message is not None:
                yield heading(self.words("as_sent"))
                yield from message_lines(piece.message, self.words)
                yield []
            yield heading(self.words("as_said"))
        elif fate and fate.name == KEPT:
            yield heading(self.words("as_both"))
        message = self.state.reading.message(outline.stream, said.version)
        if message is not None:
            yield from message_lines(message, self.words)


def _size(said: Said, fate: Fate | None) -> str:
    if fate is None or fate.others or fate.name in (KEPT, ANSWER, LATER, REMOVED, UNKNOWN):
        return f"{said.tokens:,}"
    return f"{said.tokens:,}→{fate.tokens:,}" if fate.tokens != said.tokens else f"{said.tokens:,}"


def mark_lines(mark: Mark, words: Words) -> Iterator[Line]:
    """Yield what there is to know of an entry of the log that is no message."""
    data = mark.data
    if mark.kind != COMPACTION:
        for name in ("reason", "note"):
            if data.get(name):
                yield []
                yield from body(str(data[name]), words)
        return
    gain = data.get("gain") or {}
    yield []
    for name, before, after in data.get("steps") or ():
        yield field_line(words.known("form", str(name)), f"{before:,} → {after:,}", 36)
    if gain:
        values = {"before": gain.get("removed", 0), "suffix": gain.get("suffix", 0)}
        key = "gain.forced" if gain.get("forced") else "gain.pays"
        yield []
        yield [(words(key, gain=round(gain.get("gain", 0)), **values), "text")]
        warm = "gain.warm" if gain.get("warm") else "gain.cold"
        yield [(words(warm), "dim")]
    for note in data.get("notes") or ():
        yield from body(str(note), words, "cut")


def mark_text(mark: Mark, words: Words) -> str:
    """Return what an entry of the log that is no message says."""
    data = mark.data
    if mark.kind == COMPACTION:
        steps = data.get("steps") or []
        if not steps:
            return words("mark.compaction.plain", number=data.get("number", 1))
        before, after = steps[0][1], steps[-1][2]
        return words("mark.compaction", number=data.get("number", 1), before=before, after=after)
    if mark.kind == SNAPSHOT:
        return words("mark.snapshot", name=data.get("name", ""))
    if mark.kind == SESSION:
        if data.get("parent"):
            return words("mark.forked", parent=data["parent"], at=data.get("at", 0))
        told = words.known("state", str(data.get("state", "")))
        return words("mark.session", event=told or str(data.get("event", "")))
    if data.get("restored"):
        key = "mark.restored.name" if data.get("name") else "mark.restored"
        return words(key, version=data["restored"], name=data.get("name", ""))
    return words("mark.kept")
