"""How sections share the room there is for them.

They are served by priority, so what a section gets never depends on one of lower priority.
A cacheable one that does not fit whole gets half of what it wants, or a quarter: a little
less room does not change its bytes. Against it a volatile one counts with its whole budget,
however little it says this time: what it says never changes what is cached.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctxplug.compression.sentences import split
from ctxplug.context.section_block import HEAD, TAIL, to_section_block
from ctxplug.context.sections import LEFT_OUT, TRIMMED, WHOLE, Given, Said, SectionFate
from ctxplug.context.tags import SECTION_TAG, harmless
from ctxplug.messages import Message, TextPart
from ctxplug.tokens import TokenCounter

SHARES = (2, 4)  # of what it wants: what a cacheable section that does not fit may get
KNOWN = 64  # texts of cacheable sections that were fitted
STABLE, CHANGING, TURN = "cacheable", "volatile", "turn"
OWN_BUDGET = "its budget is {}"
NO_ROOM = "the window and what has a higher priority leave {}"
_CUT = "\n[{} more left out]"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A section's text in so many tokens, and how many the whole takes; "" if nothing fits."""

    text: str
    tokens: int
    wanted: int


@dataclass(frozen=True)
class Laid:
    """What sections add to one request, and what became of each.

    `tokens` is what they take or claim, `fixed` what stands in the system prompt; `block` is
    for the current turn.
    """

    given: Given
    stable: Message | None
    changing: Message | None
    block: TextPart | None
    fates: tuple[SectionFate, ...]
    tokens: int
    fixed: int


class _Ledger:
    """What is left of a room; the first section of a kind also pays for its frame."""

    def __init__(self, room: int, frames: Mapping[str, int]) -> None:
        self.left = room
        self._frames = dict(frames)

    def left_for(self, kind: str) -> int:
        return max(0, self.left - self._frames[kind])

    def take(self, kind: str, tokens: int) -> None:
        if tokens:
            self.left -= tokens + self._frames[kind]
            self._frames[kind] = 0


class SectionLayout:
    """Lays out sections in a given room; keeps what it counted of cacheable ones."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._known: OrderedDict[tuple[object, ...], Fitted] = OrderedDict()
        self._stable: tuple[Sequence[str], Message | None, int] = (), None, 0
        self._frames = {
            STABLE: counter.count(Message("system")),
            CHANGING: counter.count(Message("system")),
            TURN: counter.count_text(HEAD) + counter.count_text(TAIL) + 1,
        }

    def lay(self, given: Given, room: int) -> Laid:
        """Return what of `given` fits into `room` tokens."""
        claims, taken = _Ledger(room, self._frames), _Ledger(room, self._frames)
        placed: list[tuple[Said, Fitted, SectionFate]] = []
        for one in given.said:
            kind, budget = _kind(one), one.section.budget
            there = (claims if kind == STABLE else taken).left_for(kind)
            if kind == STABLE:
                fitted, short = self._rung(one, there)
                claims.take(kind, fitted.tokens)
            else:
                fitted, short = fit(one, min(budget, there), self._counter), budget > there
                claims.take(kind, min(budget, claims.left_for(kind)))
            taken.take(kind, fitted.tokens)
            why = NO_ROOM.format(there) if short else OWN_BUDGET.format(budget)
            placed.append((one, fitted, _fate(one, fitted, why)))
        return self._laid(given, placed, max(0, room - claims.left))

    def _laid(
        self, given: Given, placed: Sequence[tuple[Said, Fitted, SectionFate]], tokens: int
    ) -> Laid:
        def texts(kind: str) -> list[str]:
            return [fitted.text for one, fitted, _ in placed if _kind(one) == kind and fitted.text]

        stable, fixed = self._stable_message(texts(STABLE))
        changing = _message(CHANGING, texts(CHANGING))
        turn = [fate for _, _, fate in placed if fate.place == "turn"]
        fixed += self._counter.count(changing) if changing else 0
        return Laid(
            given,
            stable,
            changing,
            to_section_block(texts(TURN), given.query, turn),
            tuple(fate for _, _, fate in placed),
            tokens,
            fixed,
        )

    def _stable_message(self, texts: Sequence[str]) -> tuple[Message | None, int]:
        """Return the message of the cacheable ones and its tokens; the last one is kept."""
        if self._stable[0] != texts:
            message = _message(STABLE, texts)
            self._stable = texts, message, self._counter.count(message) if message else 0
        return self._stable[1:]

    def _rung(self, one: Said, left: int) -> tuple[Fitted, bool]:
        """Return a cacheable section, or the share of it that fits, and whether it is a share."""
        full = self._fitted(one, one.section.budget)
        if full.tokens <= left:
            return full, False
        caps = (full.tokens // share for share in SHARES)
        shares = (self._fitted(one, cap) for cap in caps if cap <= left)
        return next((share for share in shares if share.text), Fitted("", 0, full.wanted)), True

    def _fitted(self, one: Said, cap: int) -> Fitted:
        key = (one.section.name, one.listed, one.texts, cap)
        found = self._known.pop(key, None) or fit(one, cap, self._counter)
        self._known[key] = found
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return found


def fit(one: Said, cap: int, counter: TokenCounter) -> Fitted:
    """Return the section in at most `cap` tokens: whole items, or whole sentences from its head."""
    if not one.texts:
        return Fitted("", 0, 0)
    break_ = "\n\n" if any("\n" in text.strip() for text in one.texts) else "\n"
    whole = _render(one, break_.join(one.texts))
    wanted = counter.count_text(whole)
    if wanted <= cap:
        return Fitted(whole, wanted, wanted)
    shorten = _fewer if one.listed else _head
    text = shorten(one, cap, counter, break_)
    return Fitted(text, counter.count_text(text) if text else 0, wanted)


def _fewer(one: Said, cap: int, counter: TokenCounter, break_: str) -> str:
    """Return the first items that fit, and how many there are more."""
    left = cap - counter.count_text(_render(one, _CUT.format(len(one.texts))))
    taken: list[str] = []
    for text in one.texts:
        cost = counter.count_text(text + break_)
        if cost <= left:
            left -= cost
            taken.append(text)
    while taken:
        more = _CUT.format(len(one.texts) - len(taken))
        rendered = _render(one, break_.join(taken) + more)
        if counter.count_text(rendered) <= cap:
            return rendered
        taken.pop()  # items may take more together than one by one
    return ""


def _head(one: Said, cap: int, counter: TokenCounter, break_: str) -> str:
    """Return the head of a text, in whole sentences or lines."""
    pieces = [p for line in one.texts[0].splitlines(keepends=True) for p in split(line)]
    best, low, high = "", 0, len(pieces) - 1
    while low < high:
        middle = (low + high + 1) // 2
        head = "".join(pieces[:middle]).rstrip()
        text = _render(one, head + _CUT.format(len(pieces) - middle)) if head else ""
        if counter.count_text(text) <= cap:
            best, low = text, middle
        else:
            high = middle - 1
    return best


def _render(one: Said, text: str) -> str:
    body = harmless(text).strip("\r\n")
    return f'<{SECTION_TAG} name="{one.section.name}">\n{body}\n</{SECTION_TAG}>'


def _kind(one: Said) -> str:
    return STABLE if one.section.cacheable else TURN if one.section.place == "turn" else CHANGING


def _message(form: str, texts: Sequence[str]) -> Message | None:
    """Return a system message that is the same whenever its texts are, in any process."""
    if not texts:
        return None
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
    return Message(
        "system",
        tuple(map(TextPart, texts)),
        created_at=0,
        id=f"sections-{digest[:16]}",
        extra={"ctxplug": {"sections": form}},
    )


def form_of(message: Message) -> str | None:
    """Return "cacheable" or "volatile" for a system message made of sections, else None."""
    mark = message.extra.get("ctxplug")
    form = mark.get("sections") if isinstance(mark, dict) else None
    return form if isinstance(form, str) else None


def _fate(one: Said, fitted: Fitted, short: str) -> SectionFate:
    """Return what became of a section; `short` says why, if it is not whole."""
    section = one.section
    fate = TRIMMED if fitted.text else LEFT_OUT
    whole = bool(fitted.text) and fitted.tokens == fitted.wanted
    return SectionFate(
        section.name,
        str(section.place),
        WHOLE if whole else fate,
        fitted.tokens,
        fitted.wanted,
        section.budget,
        float(section.priority),
        "" if whole else one.why or short,
    )
