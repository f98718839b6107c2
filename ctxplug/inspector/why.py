"""Why a message is in a window the way it is: a fate, and reasons as keys of `words`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ctxplug.compression import VERBATIM
from ctxplug.context.recalled import is_recalled, query_of
from ctxplug.context.window import SHAPED
from ctxplug.inspector.compactions import Compaction
from ctxplug.inspector.outline import Outline, Said
from ctxplug.inspector.past import PastWindows, Seen
from ctxplug.inspector.pieces import NOW, PAST, RECALLED

KEPT, SHORTENED, CUT, MERGED = "kept", "shortened", "cut", "merged"
OUT, REMOVED, ANSWER, LATER, UNKNOWN = "out", "removed", "answer", "later", "unknown"
FATES = (KEPT, SHORTENED, CUT, MERGED, OUT, REMOVED, ANSWER, LATER, UNKNOWN)
LEAVING_OUT = ("drop-low-priority", "skipped")  # forms that name what is gone and say no more


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message at a call; `form` is the strategy that changed it, if one did.

    `tokens` are those that stand for it, together with `others` where it is merged with them.
    `recalled` is whether memory brought it back into the current turn.
    """

    name: str
    form: str = VERBATIM
    tokens: int = 0
    others: int = 0
    score: float | None = None
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence of `words`, and what stands in it."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)


def fate_of(said: Said, outline: Outline, seen: Seen) -> Fate:
    """Return what became of a message of the log at the call of `seen`."""
    call = seen.call
    if said.version == call.answer:
        return Fate(ANSWER, tokens=said.tokens)
    if said.version > call.head:
        return Fate(LATER)
    if outline.edits and outline.removal_of(said.version, call.head):
        return Fate(REMOVED)
    if seen.window is None:
        return Fate(UNKNOWN)
    back = f"{outline.stream.session}@{said.version}" in seen.window.report.recalled
    piece = seen.places.get(said.version)
    if piece is None:
        return Fate(OUT, recalled=back)
    if piece.form == VERBATIM:
        return Fate(KEPT, tokens=piece.tokens)
    if piece.form == SHAPED and said.shaped and piece.tokens == said.tokens:
        return Fate(SHORTENED, SHAPED, piece.tokens)
    others = len(piece.versions) - 1
    name = MERGED if others else CUT
    if piece.form in LEAVING_OUT:
        name = OUT
    return Fate(name, piece.form, piece.tokens, others, piece.score, back)


def query_for(seen: Seen) -> str:
    """Return what memories were looked for by, "" if nothing was recalled."""
    for piece in seen.pieces:
        for part in piece.message.content if piece.part == RECALLED and piece.message else ():
            if is_recalled(part):
                return query_of(part)
    return ""


def why(said: Said, windows: PastWindows, seen: Seen) -> list[Reason]:
    """Return why the message stands in the window of `seen` as it does."""
    fate = fate_of(said, windows.outline, seen)
    return [*_reasons(said, fate, windows, seen), *_beside(said, fate, seen)]


def _reasons(said: Said, fate: Fate, windows: PastWindows, seen: Seen) -> Iterator[Reason]:
    if fate.name == ANSWER:
        yield Reason("why.answer", {"turn": seen.call.number})
    elif fate.name == LATER:
        yield Reason("why.later", {"turn": said.turn})
    elif fate.name == UNKNOWN:
        yield Reason("why.no_window", {"error": seen.error or ""})
    elif fate.name == REMOVED:
        yield from _removed(said, windows.outline, seen)
    elif fate.name == SHORTENED:
        yield Reason("why.shaped", {"tokens": fate.tokens, "version": said.version})
        yield from _since(said, fate, windows, seen)
    elif fate.name == KEPT:
        yield from _kept(said, windows, seen)
    elif fate.form == VERBATIM:  # there is no place for it in any request
        yield from _mended(said, seen)
    else:
        yield from _since(said, fate, windows, seen)


def _removed(said: Said, outline: Outline, seen: Seen) -> Iterator[Reason]:
    edit = outline.removal_of(said.version, seen.call.head)
    if edit is None:
        return
    values = {"version": edit.version, "restored": edit.restored, "turn": edit.version}
    yield Reason("why.restored" if edit.restored else "why.edited", values)


def _kept(said: Said, windows: PastWindows, seen: Seen) -> Iterator[Reason]:
    piece = seen.places[said.version]
    if piece.tokens < said.tokens and piece.part == PAST:
        yield Reason("why.thinking", {"tokens": said.tokens - piece.tokens})
    done = windows.compactions(seen)
    if said.role == "system":
        yield Reason("why.system")
    elif piece.part == NOW:
        yield Reason("why.current")
    elif not done:
        yield Reason("why.nothing_cut", {"tokens": seen.tokens, "limit": seen.limit})
    elif said.version > done[-1].upto:
        yield Reason("why.since", {"number": done[-1].number, "turn": _turn(done[-1], windows)})
    else:
        key = "why.pinned" if said.pinned else "why.spared"
        yield Reason(key, {"number": done[-1].number, "turn": _turn(done[-1], windows)})


def _mended(said: Said, seen: Seen) -> Iterator[Reason]:
    repairs = seen.window.report.repairs if seen.window else ()
    found = [repair.what for repair in repairs if repair.version == said.version]
    yield from (Reason("why.mended", {"what": what}) for what in found)
    if not found:
        yield Reason("why.not_in_window")


def _since(said: Said, fate: Fate, windows: PastWindows, seen: Seen) -> Iterator[Reason]:
    """Tell when the message was first changed, and how far all was brought down then."""
    history = list(_changes(said, windows.compactions(seen)))
    if fate.name != SHORTENED:
        values = {"form": fate.form, "tokens": fate.tokens, "was": said.tokens}
        yield Reason(f"why.{fate.name}", {**values, "others": fate.others})
    for done, form in history:
        values = {"number": done.number, "turn": _turn(done, windows), "form": form}
        yield Reason("why.changed_by", values)
        yield Reason(
            "why.forced" if done.forced else "why.pays",
            {"before": done.before, "after": done.after, "gain": round(done.gain)},
        )
    if not history and fate.name != SHORTENED:
        yield Reason("why.skipped" if fate.form == "skipped" else "why.squeezed")
    if fate.score is not None and fate.name != SHORTENED:
        yield Reason("why.score", {"score": f"{fate.score:.2f}"})


def _changes(said: Said, done: list[Compaction]) -> Iterator[tuple[Compaction, str]]:
    """Yield each compaction that changed the message, and what form it gave it."""
    form = VERBATIM
    for one in done:
        told = one.forms.get(said.version)
        now = form if told is None else told[0]
        if now not in (form, SHAPED if said.shaped else form):
            yield one, now
        form = now


def _beside(said: Said, fate: Fate, seen: Seen) -> Iterator[Reason]:
    if fate.recalled:
        yield Reason("why.recalled", {"query": query_for(seen)})
    if fate.name in (SHORTENED, CUT, MERGED, OUT, REMOVED):
        yield Reason("why.original", {"ref": f"@{said.version}"})


def _turn(done: Compaction, windows: PastWindows) -> int:
    return windows.outline.turn_of(done.behind)
