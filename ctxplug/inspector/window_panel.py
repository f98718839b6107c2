"""The window of a turn, as the provider reads it: every piece, in order, and its text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ctxplug.inspector.look import Bit, fit, right, span
from ctxplug.inspector.message_lines import message_lines
from ctxplug.inspector.panel import Line, Panel, body, heading
from ctxplug.inspector.pieces import CUT, TOOLS, Piece

NARROW = 70
ROOMY = 96


class WindowPanel(Panel):
    """What was sent, piece by piece; a bar at the left marks what the call before had too."""

    _pieces: Sequence[Piece] = ()

    def renew(self) -> None:
        """Show the pieces of the chosen turn."""
        self._pieces = self.state.seen.pieces if self.state.seen else ()
        self.rows.show(len(self._pieces), self._draw)

    def detail(self, index: int) -> Iterator[Line]:
        """Yield the text of a piece as it was sent."""
        piece = self._pieces[index]
        form = self.words.known("form", piece.form) if piece.part == CUT else ""
        told = " · ".join(
            filter(None, [span(piece.versions), form, self.words("tokens", count=piece.tokens)])
        )
        yield [(self.words(f"part.{piece.part}"), piece.part), (f" · {told}", "dim")]
        if index < self.state.cached:
            yield [("▎ " + self._cached(), "accent")]
        yield []
        seen = self.state.seen
        if piece.message is not None:
            yield heading(self.words("as_sent"))
            yield from message_lines(piece.message, self.words)
        elif piece.part == TOOLS and seen is not None and seen.window is not None:
            text = json.dumps(list(seen.window.tools), ensure_ascii=False, indent=2)
            yield from body(text, self.words)
        else:
            yield [(self.words("part.framing"), "dim")]

    def _cached(self) -> str:
        pieces = self._pieces
        same = sum(piece.tokens for piece in pieces[: self.state.cached])
        whole = sum(piece.tokens for piece in pieces) or 1
        return self.words("cached", tokens=same, share=f"{same / whole:.0%}")

    def _draw(self, index: int, width: int) -> Sequence[Sequence[Bit]]:
        piece = self._pieces[index]
        form = self.words.known("form", piece.form) if piece.part == CUT else ""
        name = form or self.words(f"part.{piece.part}")
        bits: list[Bit] = [
            ("▎" if index < self.state.cached else " ", "accent"),
            (right(f"{piece.tokens:,}", 7) + "  ", "dim"),
            ("▪ ", piece.part),
        ]
        if width >= NARROW:
            bits.append((fit(name, 22 if width >= ROOMY else 14) + " ", piece.part))
            bits.append((fit(span(piece.versions), 10) + " ", "faint"))
        role = self.words.known("role", piece.role) if piece.role else ""
        bits.append((fit(role, 10), piece.role or "dim"))
        bits.append((piece.line or ("" if piece.message else self._rest(piece)), "text"))
        return [bits]

    def _rest(self, piece: Piece) -> str:
        return "" if piece.part == TOOLS else self.words("part.framing")
