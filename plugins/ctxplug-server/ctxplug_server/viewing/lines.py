"""Lines: a page of a conversation, and what one message of it was and became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ctxplug.inspector.outline import MESSAGE, Mark, Outline, Row, Said
from ctxplug.messages import Message
from ctxplug.sessions.log import given
from ctxplug.storage import Entry
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.telling import bounded, message_data, when

__all__ = ["lines", "said_data"]

SECONDS = 5.0  # that a page far down a long log may take to be read


def lines(held: Held, start: int, limit: int) -> dict[str, Any]:
    """Return the rows from `start` on, or with `start` below zero those at the end.

    Of a log that is not `whole` yet the total is that of its entries: it may become less.
    """
    outline = held.outline
    held.read(None if start < 0 else start + limit, SECONDS)
    rows = outline.rows
    total = len(rows) if outline.complete else len(rows) + outline_rest(held)
    first = max(0, len(rows) + start) if start < 0 else start
    shown = rows[first : first + limit]
    entries = _entries(held, shown)
    items = [_line(first + i, row, outline, entries) for i, row in enumerate(shown)]
    return {"total": total, "whole": outline.complete, "start": first, "items": items}


def outline_rest(held: Held) -> int:
    """Return how many entries of the log are not read yet."""
    return max(0, held.backend.head(held.stream) - held.outline.head)


def said_data(row: int, said: Said, entry: Entry | None, most: int | None = None) -> dict[str, Any]:
    """Return a message as a line, each of its texts up to `most` characters."""
    message = given(entry) if entry else Message(said.role, said.line)
    told = message_data(message) if most is None else message_data(message, most)
    return {
        "row": row,
        "kind": "message",
        "version": said.version,
        "at": when(said.at),
        "agent": entry.agent if entry else None,
        **told,
        "tokens": said.tokens,
        "turn": said.turn,
        "pinned": said.pinned,
        "shaped": said.shaped,
        "failed": said.failed,
    }


def _entries(held: Held, rows: Sequence[Row]) -> Mapping[int, Entry]:
    if not rows:
        return {}
    found = held.backend.read(
        held.stream, after=rows[0].version - 1, before=rows[-1].version + 1, kinds=[MESSAGE]
    )
    return {entry.version: entry for entry in found}


def _line(row: int, of: Row, outline: Outline, entries: Mapping[int, Entry]) -> dict[str, Any]:
    if isinstance(of, Mark):
        return {
            "row": row,
            "kind": "mark",
            "mark": of.kind,
            "version": of.version,
            "at": when(of.at),
            "turn": outline.turn_of(of.version) if outline.turns else of.turn,
            "data": bounded(dict(of.data)),
        }
    return said_data(row, of, entries.get(of.version))
