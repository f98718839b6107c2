"""What stands around the panels: whose turn this is, how it is known, and which keys there are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from ctxplug.inspector.look import Bit
from ctxplug.inspector.outline import Said
from ctxplug.inspector.panel import Line, State
from ctxplug.inspector.past import Seen
from ctxplug.inspector.pieces import RECALLED, SYSTEM, TOOLS
from ctxplug.inspector.why import CUT, KEPT, MERGED, OUT, REMOVED, SHORTENED, fate_of
from ctxplug.inspector.words import Words
from ctxplug.printable import visible

KEYS = (
    ("?", "help"),
    ("q", "quit"),
    ("←→", "turn"),
    ("↑↓", "move"),
    ("1-5", "panel"),
    ("g", "goto"),
    ("/", "find"),
    ("f", "changed"),
    ("w", "what_if"),
    ("s", "sessions"),
)


def title(state: State, budget: int | None, policy: str | None) -> Line:
    """Return where we are."""
    words, row = state.words, state.row
    where = [os.path.basename(state.target) or state.target]
    if row is not None:
        where += [row.where, row.session]
    line: list[Bit] = [("ctxplug  ", "accent")]
    for place in where[:-1]:
        line += [(visible(place), "dim"), (" › ", "faint")]
    line.append((visible(where[-1]), "strong"))
    asked = [str(one) for one in (budget, policy) if one is not None]
    if asked:
        line.append((f"   {words('title.what_if', what=' '.join(asked))}", "cut"))
    line.append((f"   {words('title.read_only')}", "faint"))
    return line


def tabs(words: Words, panels: Sequence[str], current: str) -> Line:
    """Return the names of the panels, with their keys."""
    line: list[Bit] = []
    for number, name in enumerate(panels, 1):
        here = name == current
        line.append((f" {number} ", "accent" if here else "faint"))
        line.append((words(f"panel.{name}") + "   ", "strong" if here else "dim"))
    return line


def keys(words: Words) -> Line:
    """Return the keys that are needed most."""
    line: list[Bit] = []
    for key, name in KEYS:
        line += [(f"{key} ", "accent"), (words(f"key.{name}") + "  ", "dim")]
    return line


def about(state: State, seen: Seen) -> list[Line]:
    """Return what there is to say of a turn: its size, its messages, how it is known."""
    words, outline = state.words, state.outline
    turns = outline.turns if outline else 0
    call = seen.call
    key = "turn" if call.answer is not None else "turn.next"
    line: list[Bit] = [(words(key, turn=call.number, turns=turns), "strong")]
    if seen.window is None:
        told = words("turn.no_window")
        if seen.needed:
            told = words("turn.needed", needed=seen.needed, budget=seen.budget)
        return [[*line, (f"   {told}", "bad")], [(visible(seen.error or ""), "dim")]]
    share = f"{seen.tokens / (seen.budget or 1):.0%}"
    told = words("turn.tokens", tokens=seen.tokens, budget=seen.budget, share=share)
    line.append((f"   {told}", "text"))
    beside: list[Bit] = [(f"{_counted(state, seen)}   ", "dim"), _source(words, seen)]
    if seen.tries > 1:
        beside.append((f"   {words('source.tries', tries=seen.tries)}", "dim"))
    beside += [(f"   {note}", "cut") for note in seen.notes]
    return [line, beside]


def bar_told(state: State, seen: Seen, same: int) -> str:
    """Return what is said of what the call before had too."""
    words = state.words
    if seen.window is None:
        return ""
    if seen.call.number == 1:
        return words("cached.first")
    if not same:
        return words("cached.none")
    share = f"{same / (seen.tokens or 1):.0%}"
    told = words("cached", tokens=same, share=share)
    broken = _broken(state, seen)
    return f"{told} · {broken}" if broken else told


def _broken(state: State, seen: Seen) -> str:
    """Return what made the window differ from the call before, unless it only grew."""
    windows, words = state.windows, state.words
    before = windows.seen(seen.call.number - 1).pieces if windows else ()
    if state.cached >= len(before) or state.cached >= len(seen.pieces):
        return ""
    was, now = before[state.cached].part, seen.pieces[state.cached].part
    if {TOOLS, SYSTEM} & {was, now}:
        return words(f"broken.{TOOLS if TOOLS in (was, now) else SYSTEM}")
    if was == RECALLED or now == RECALLED:
        return words("broken.recalled")
    number = seen.window.report.compactions if seen.window else 0
    return words("broken.compaction", number=number) if number else ""


def _counted(state: State, seen: Seen) -> str:
    outline = state.outline
    if outline is None:
        return ""
    rows = outline.rows[: outline.row_of(seen.call.head + 1)]
    fates = Counter(fate_of(r, outline, seen).name for r in rows if isinstance(r, Said))
    changed = fates[SHORTENED] + fates[CUT] + fates[MERGED]
    out = fates[OUT] + fates[REMOVED]
    return state.words("turn.fates", kept=fates[KEPT], changed=changed, out=out)


def _source(words: Words, seen: Seen) -> Bit:
    if seen.source == "recorded":
        if seen.exact is None:
            return words("source.recorded"), "dim"
        if not seen.exact:
            return "✗ " + words("source.differs"), "bad"
        return "✓ " + words("source.exact"), "good"
    return words(f"source.{seen.source}", policy=seen.policy), "cut"
