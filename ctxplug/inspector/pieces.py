"""Pieces: a window in the order in which a provider reads it, each with its tokens.

From them come the token bar and the prefix that a provider can take from its cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ctxplug import codec
from ctxplug.compression import VERBATIM
from ctxplug.context.building import CHANGING, REQUEST, STABLE
from ctxplug.context.recalled import is_recalled, is_sections, without_block
from ctxplug.context.recorded import digest
from ctxplug.context.units import OPENING, group
from ctxplug.context.window import SHAPED, ContextWindow, WindowReport
from ctxplug.inspector.outline import line_of
from ctxplug.messages import Logged, Message
from ctxplug.tokens import TokenCounter

TOOLS, SYSTEM, SECTIONS, CUT, PAST = "tools", "system", "sections", "cut", "past"
NOW, RECALLED, RESERVED, FREE, MARGIN = "now", "recalled", "reserved", "free", "margin"
PARTS = (TOOLS, SYSTEM, SECTIONS, CUT, PAST, NOW, RECALLED, RESERVED)
"""The parts of a bar: what is not word for word is CUT, what is of earlier turns PAST."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A message of the window, or of one what memory added to it; or all tool definitions.

    `part` is one of PARTS; `versions` are those of the log that it stands for, none if it is
    not of the log; `form` is "verbatim" or the strategy that made it; `key` tells pieces
    that a provider sees alike.
    """

    part: str
    role: str
    tokens: int
    line: str
    key: bytes
    versions: tuple[int, ...] = ()
    form: str = VERBATIM
    score: float | None = None
    message: Message | None = None


def pieces_of(window: ContextWindow, counter: TokenCounter) -> list[Piece]:
    """Return the pieces of `window`, in order; their tokens add up to the window's."""
    report = window.report
    pieces = [*_fixed(window, counter), *_sent(report)]
    pieces = [part for piece in pieces for part in _split(piece, counter)]
    reserved = report.tokens.get(RESERVED, 0)
    if reserved:
        pieces.append(Piece(RESERVED, "", reserved, "", b"reserved"))
    return pieces


def in_parts(pieces: Sequence[Piece]) -> dict[str, int]:
    """Return the tokens of each part that there is, in the order of a request."""
    sums = dict.fromkeys(PARTS, 0)
    for piece in pieces:
        sums[piece.part] += piece.tokens
    return {part: tokens for part, tokens in sums.items() if tokens}


def shared(before: Sequence[Piece], now: Sequence[Piece]) -> int:
    """Return how many pieces at the beginning are those of the call `before`."""
    same = 0
    for old, new in zip(before, now, strict=False):
        if old.key != new.key or new.part == RESERVED:
            break
        same += 1
    return same


def columns(tokens: Mapping[str, int], width: int) -> dict[str, int]:
    """Share `width` columns among parts; what is there has at least one, if there are enough."""
    whole = sum(tokens.values())
    there = [part for part, n in tokens.items() if n > 0]
    if not whole or width <= 0:
        return dict.fromkeys(tokens, 0)
    shown = {part: max(1, width * n // whole) if n > 0 else 0 for part, n in tokens.items()}
    while sum(shown.values()) > width:  # the widest give what the least took
        widest = max(there, key=lambda part: shown[part])
        shown[widest] -= 1
    rest = {part: width * tokens[part] / whole - shown[part] for part in there}
    while sum(shown.values()) < width:
        most = max(there, key=lambda part: rest[part])
        shown[most] += 1
        rest[most] -= 1
    return shown


def _fixed(window: ContextWindow, counter: TokenCounter) -> Iterator[Piece]:
    """Yield tools and system messages; the framing of a request counts with the latter."""
    report, tools = window.report, window.tools
    tokens = report.tokens.get(TOOLS, 0)
    if tokens or tools:
        names = ", ".join(filter(None, map(_name, tools)))
        yield Piece(TOOLS, "", tokens, names, hashlib.sha256(codec.canonical(list(tools))).digest())
    stated = [report.tokens.get(name, 0) for name in ("request", SYSTEM, SECTIONS)]
    rest = sum(stated)
    for piece in _system(report, counter):
        rest -= piece.tokens
        yield piece
    if rest:
        yield Piece(SYSTEM, "", rest, "", b"request")


def _system(report: WindowReport, counter: TokenCounter) -> Iterator[Piece]:
    own = {
        name: replace(
            _piece(SYSTEM if name == REQUEST else SECTIONS, Logged(0, said, counter.count(said))),
            versions=(),
        )
        for name, said in report.own.items()
    }
    yield from (own[name] for name in (STABLE, REQUEST) if name in own)
    yield from (_piece(SYSTEM, logged) for logged in report.system)
    if CHANGING in own:
        yield own[CHANGING]


def _name(tool: Mapping[str, object]) -> str:
    inner = tool.get("function")
    return str((inner if isinstance(inner, Mapping) else tool).get("name", ""))


def _sent(report: WindowReport) -> Iterator[Piece]:
    """Yield the messages that are sent, those of the current turn as such."""
    pieces = []
    for unit in report.frozen:
        changed = unit.form not in (VERBATIM, OPENING)
        for item in unit.items:
            piece = _piece(CUT if changed else PAST, item)
            if changed:
                of = unit.versions if len(unit.items) == 1 else piece.versions
                piece = replace(piece, versions=of, form=unit.form, score=unit.score)
            elif unit.form == OPENING:
                piece = replace(piece, versions=(), form=OPENING)
            pieces.append(piece)
    used = {c.id for unit in report.frozen for i in unit.items for c in i.message.tool_calls}
    grouping = group(report.recent, opening=not report.frozen, used_ids=used)
    for unit in grouping.units:
        opens = unit.form == OPENING
        found = [_piece(PAST, item) for item in unit.items]
        pieces += [replace(p, versions=(), form=OPENING) for p in found] if opens else found
    users = [i for i, p in enumerate(pieces) if p.role == "user" and p.form == VERBATIM]
    start = users[-1] if users else len(pieces)
    for i, piece in enumerate(pieces):
        yield replace(piece, part=NOW) if i >= start and piece.part == PAST else piece


def _piece(part: str, logged: Logged) -> Piece:
    message = logged.message
    shaped = message.extra.get("ctxplug") == {"form": SHAPED}
    return Piece(
        part,
        message.role,
        logged.tokens,
        line_of(message),
        digest(message),
        (logged.version,),
        SHAPED if shaped else VERBATIM,
        None,
        message,
    )


def _split(piece: Piece, counter: TokenCounter) -> Iterator[Piece]:
    """Yield `piece`, and what memory and sections added to its message as pieces of their own."""
    message = piece.message
    bare = without_block(message) if message else None
    if message is None or bare is message or bare is None:
        yield piece
        return
    rest, blocks = piece.tokens, []
    for part in message.content:
        if not (is_recalled(part) or is_sections(part)):
            continue
        alone = replace(message, content=(part,))
        tokens = min(rest, counter.count_text(part.text))
        rest -= tokens
        name = RECALLED if is_recalled(part) else SECTIONS
        blocks.append(replace(_piece(name, Logged(0, alone, tokens)), versions=()))
    yield replace(
        piece,
        tokens=rest,
        line=line_of(bare) if bare.content else "",
        key=digest(bare),
        message=bare,
    )
    yield from blocks
