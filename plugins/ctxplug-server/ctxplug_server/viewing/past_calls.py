"""Past calls: what the model saw at one call, what became of each message, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ctxplug.context.policy import PRESETS
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.inspector.outline import COMPACTION, MESSAGE, Mark, Said
from ctxplug.inspector.past import PastWindows, Seen
from ctxplug.inspector.pieces import RESERVED, Piece
from ctxplug.inspector.why import Fate, fate_of, query_for, why
from ctxplug.inspector.words import Words
from ctxplug_server.viewing.held import Held
from ctxplug_server.viewing.lines import said_data
from ctxplug_server.viewing.telling import bounded, cut, message_data, when

__all__ = ["FATES", "call_data", "message_of", "window_data"]

FATES = {  # of the inspector: as the API calls them
    "kept": "verbatim",
    "shortened": "shortened",
    "cut": "digest",
    "merged": "merged",
    "out": "left_out",
    "removed": "removed",
    "answer": "answer",
    "later": "later",
    "unknown": "unknown",
}
RECALLED = "recalled"  # left out, and brought back by memory
SENT = 20_000  # characters of each text of a window
WHOLE = 200_000  # of a message that is looked at alone
MEMORY = 600  # of a memory that was recalled


def call_data(held: Held, number: int, budget: int | None, policy: str | None) -> dict[str, Any]:
    """Return what call `number` was sent; other settings say what it would have been sent."""
    windows, seen = _seen(held, number, budget, policy)
    cached = windows.cached(number)
    pieces = [_piece(i, piece, i < cached) for i, piece in enumerate(seen.pieces)]
    report = seen.window.report if seen.window else None
    return {
        "number": number,
        "head": seen.call.head,
        "answer": seen.call.answer,
        "at": when(seen.step.started_at if seen.step else seen.call.at),
        "source": seen.source,
        "exact": seen.exact,
        "budget": seen.budget,
        "limit": seen.limit,
        "tokens": seen.tokens,
        "policy": seen.policy,
        "counter": report.counter if report else None,
        "estimated": report.estimated if report else None,
        "error": seen.error,
        "needed": seen.needed,
        "notes": [*seen.notes, *(report.notes if report else ())],
        "tries": seen.tries,
        "parts": seen.parts,
        "pieces": pieces,
        "cached": {
            "tokens": sum(piece.tokens for piece in seen.pieces[:cached]),
            "pieces": cached,
        },
        "query": query_for(seen),
        "recalled": list(_recalled(held, seen)),
        "fates": _runs(held, seen),
        "step": seen.step.id if seen.step else None,
        "compactions": list(_compactions(windows, seen)),
    }


def window_data(
    held: Held, number: int, budget: int | None, policy: str | None, start: int, limit: int
) -> dict[str, Any]:
    """Return the messages of a window as they were sent, in pieces, and the tools with them."""
    windows, seen = _seen(held, number, budget, policy)
    cached = windows.cached(number)
    shown = seen.pieces[start : start + limit]
    items = []
    for index, piece in enumerate(shown, start):
        told = message_data(piece.message, SENT) if piece.message else {"text": piece.line}
        items.append({**_piece(index, piece, index < cached), **told})
    tools = [bounded(dict(tool)) for tool in seen.window.tools] if seen.window else []
    return {"total": len(seen.pieces), "start": start, "items": items, "tools": tools}


def message_of(
    held: Held, version: int, call: int | None, budget: int | None, policy: str | None, lang: str
) -> dict[str, Any]:
    """Return a message whole, and what became of it at a call, with the reasons as sentences."""
    held.read()
    said = held.outline.said(version)
    entries = held.backend.read(held.stream, after=version - 1, before=version + 1, kinds=[MESSAGE])
    if said is None or not entries:
        raise NotFoundError(f"The session {held.stream.session!r} has no message {version}.")
    told = said_data(held.outline.row_of(version), said, entries[0], WHOLE)
    message = entries[0].body["message"]
    told |= {"id": message.get("id"), "metadata": bounded(message.get("metadata", {}))}
    if call is None:
        return told
    windows, seen = _seen(held, call, budget, policy)
    fate, words = fate_of(said, held.outline, seen), Words(lang)
    piece = seen.places.get(version)
    sent = message_data(piece.message, WHOLE) if piece and piece.message else None
    reasons = (
        words(reason.key, **_in_words(reason.values, words)) for reason in why(said, windows, seen)
    )
    return told | {
        "call": call,
        "fate": name_of(fate),
        "form": fate.form,
        "form_name": words.known("form", fate.form),
        "recalled": fate.recalled,
        "sent": sent,
        "sent_tokens": fate.tokens,
        "why": list(reasons),
    }


def name_of(fate: Fate) -> str:
    """Return what the API calls a fate."""
    return RECALLED if fate.name == "out" and fate.recalled else FATES[fate.name]


# -- inside ------------------------------------------------------------------------------


def _seen(
    held: Held, number: int, budget: int | None, policy: str | None
) -> tuple[PastWindows, Seen]:
    if policy is not None and policy not in PRESETS:
        raise InvalidValueError(
            f"policy is one of {', '.join(PRESETS)}, not {policy!r:.60}.", path="policy"
        )
    windows = held.windows(budget, policy)
    if not 1 <= number <= held.outline.turns:
        raise NotFoundError(
            f"The session {held.stream.session!r} has {held.outline.turns} model calls, and no"
            f" call {number}."
        )
    return windows, windows.seen(number)


def _piece(index: int, piece: Piece, cached: bool) -> dict[str, Any]:
    return {
        "index": index,
        "part": piece.part,
        "role": piece.role,
        "tokens": piece.tokens,
        "versions": list(piece.versions),
        "form": piece.form,
        "label": piece.line,
        "score": piece.score,
        "cached": cached and piece.part != RESERVED,
    }


def _compactions(windows: PastWindows, seen: Seen) -> Iterator[dict[str, Any]]:
    """Yield the compactions behind a window, the oldest first."""
    if seen.source == "played":
        for one in windows.compactions(seen):
            sizes = {"before": one.before, "after": one.after}
            yield {"number": one.number, "behind": one.behind, **sizes}
        return
    known: set[int] = set()  # of two of one number the first counts
    for row in windows.outline.rows[: windows.outline.row_of(seen.call.head + 1)]:
        if not isinstance(row, Mark) or row.kind != COMPACTION:
            continue
        number, steps = row.data.get("number", 1), row.data.get("steps", ())
        if row.data.get("budget") == seen.budget and number not in known:
            known.add(number)
            sizes = {"before": steps[0][1] if steps else 0, "after": steps[-1][2] if steps else 0}
            yield {"number": number, "behind": row.version, **sizes}


def _runs(held: Held, seen: Seen) -> list[list[Any]]:
    """Return [first, last, fate, form, row, count] for runs of messages that became the same.

    `row` is that of the first in the lines, `count` how many messages the run has.
    """
    runs: list[list[Any]] = []
    for row, said in enumerate(held.outline.rows):
        if not isinstance(said, Said):
            continue
        fate = fate_of(said, held.outline, seen)
        name = name_of(fate)
        form = None if name in ("verbatim", "later", "answer") else fate.form
        if runs and runs[-1][2:4] == [name, form]:
            runs[-1][1] = said.version
            runs[-1][5] += 1
        else:
            runs.append([said.version, said.version, name, form, row, 1])
    return runs


def _recalled(held: Held, seen: Seen) -> Iterator[dict[str, Any]]:
    for id in seen.window.report.recalled if seen.window else ():
        record = held.backend.get(held.stream.namespace, id)
        text = cut(record.content, MEMORY)[0] if record else None
        session, _, version = id.rpartition("@")
        message = bool(session) and version.isdigit()
        yield {
            "id": id,
            "kind": record.kind if record else "message" if message else None,
            "content": text,
            "session": session if message else None,
            "version": int(version) if message else None,
        }


def _in_words(values: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """Return the values of a reason, with the word for a form in place of its name."""
    return {
        name: words.known("form", value) if name == "form" else value
        for name, value in values.items()
    }
