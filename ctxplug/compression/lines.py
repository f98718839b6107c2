"""From units to the lines of a block: what each message says, ready to be selected from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from ctxplug.compression import block, salience
from ctxplug.compression.block import Line
from ctxplug.compression.selection import Candidate, Chosen, Form, fitted, ranked
from ctxplug.compression.strategy import Unit
from ctxplug.compression.telegraphic import telegraphic
from ctxplug.compression.words import CJK
from ctxplug.messages import (
    ROLES,
    ImagePart,
    Logged,
    OpaquePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from ctxplug.tokens import TokenCounter

SEPARATOR = "; "  # between the sentences of a line
BLOCK_FORMS = frozenset(("digest", "extractive", "merge-similar", "summarize"))
UNNAMED = frozenset((*ROLES, "summary"))
SHORT_RESULT = 300  # characters of a tool result that is taken as it is
SHORT_ANSWER = 40  # characters of a message without content words, such as "Yeah." or a thumb
MOST_VALUES = 200  # leaf values of one longer tool result
VALUES_A_PIECE = 6
CALL_WEIGHT, RESULT_WEIGHT, ATTACHMENT_WEIGHT = 6.0, 2.0, 1.0  # a sentence's factor is 1 to 6
RESULT_DECAY = 0.85  # from one piece of a result to the next, or tables would crowd out talk
LONGEST_VALUE = 60  # characters of an argument or leaf value

_LEAF = re.compile(r'"([\w.-]{1,40})"\s*:\s*(?:"([^"\\\n]{1,60})"|(-?\d[\d.eE+-]*))')
_RUN = re.compile(rf"(?:[^\W{CJK}]|[@./:#$€£¥%+-]|(?<=\d),(?=\d{{3}}(?!\d)))+")
_CODE = re.compile(r"\d|@|[A-Z][A-Z_]{2}")  # what makes a run an identifier, number or address
_FOLDED = 4_000_000  # characters of one result that are looked at


@dataclass(frozen=True, slots=True)
class Draft:
    """A line before selection: prose, and `literal` pieces with what their words weigh."""

    line: Line
    text: str
    literal: tuple[tuple[str, float], ...] = ()
    reduced: bool = False  # already telegraphic, from an earlier digest
    named: bool = False  # the speaker is a name and not a role or tool
    score: float = 0.5


def drafts(units: Sequence[Unit]) -> list[Draft]:
    """Return the lines that `units` give, those of earlier blocks among them, in order."""
    found: list[Draft] = []
    for unit in units:
        for item in unit.items:
            found += _of_item(item, unit)
    return found


def _of_item(item: Logged, unit: Unit) -> Iterator[Draft]:
    text = item.message.text
    if unit.form in BLOCK_FORMS and item.message.role == "user" and block.is_block(text):
        for line in block.parse(text):
            version, who = line.version or item.version, line.who or "summary"
            kept = Line(version, who, line.day, "")
            reduced = unit.form == "digest"
            text = line.text.replace(SEPARATOR, "\n") if reduced else line.text
            named = who not in UNNAMED and not who.startswith("tool ")
            yield Draft(kept, text, reduced=reduced, named=named, score=unit.score)
        return
    day = item.message.created_at.date().isoformat()
    who = block.speaker(item)
    said: list[str] = []
    literal: list[tuple[str, float]] = []
    for part in item.message.content:
        if isinstance(part, TextPart):
            said.append(part.text)
        elif isinstance(part, ToolCallPart):
            literal.append((_call(part), CALL_WEIGHT))
        elif isinstance(part, ToolResultPart):
            who = f"tool {part.name}" if part.name else "tool"
            pieces = enumerate(_result(part))
            literal += [(piece, RESULT_WEIGHT * RESULT_DECAY**i) for i, piece in pieces]
        elif isinstance(part, ImagePart):
            literal.append(("(image)", ATTACHMENT_WEIGHT))
        elif isinstance(part, OpaquePart):
            kind = part.data.get("type") or "attachment"
            literal.append((f"({kind})", ATTACHMENT_WEIGHT))
    line = Line(item.version, _named(who), day, "")
    named = item.message.name is not None and item.message.role != "tool"
    yield Draft(line, "\n".join(said), tuple(literal), named=named, score=unit.score)


def _named(who: str) -> str:
    return block.one_line(who).replace(":", "")[: block.LONGEST_NAME]


def _call(part: ToolCallPart) -> str:
    given = [f"{key}={_short(value)}" for key, value in part.arguments.items()]
    return f"{part.name}({', '.join(given) or _short(part.raw_arguments or '')})"


def _short(value: object) -> str:
    text = block.one_line(str(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _result(part: ToolResultPart) -> Iterator[str]:
    text = part.text
    prefix = "error: " if part.is_error else ""
    if len(text) <= SHORT_RESULT:
        if text.strip():
            yield prefix + text
        return
    values = _values(text[:_FOLDED])
    for start in range(0, len(values), VALUES_A_PIECE):
        yield prefix + " ".join(values[start : start + VALUES_A_PIECE])
    if not values:
        yield prefix + text[:SHORT_RESULT]


def _values(text: str) -> list[str]:
    """Return the distinct leaf values of JSON, or the identifiers and numbers of prose."""
    found: dict[str, None] = {}
    is_json = _LEAF.search(text) is not None
    for match in (_LEAF if is_json else _RUN).finditer(text):
        value = f"{match[1]}={match[2] or match[3]}" if is_json else match[0].strip(".:/")
        if is_json or _CODE.search(value):
            found[value[:LONGEST_VALUE]] = None
        if len(found) == MOST_VALUES:
            break
    return list(found)


def candidates(found: Sequence[Draft], counter: TokenCounter, *, reduce: bool) -> list[Candidate]:
    """Return the sentences of the drafts to select from; `reduce` makes them telegraphic."""
    weights = [0.5 + draft.score for draft in found]
    speakers = {draft.line.who for draft in found if draft.named}
    texts = [draft.text for draft in found]
    valued = salience.sentences(texts, speakers=speakers, weights=weights, clauses=reduce)
    result = [
        Candidate(s.place, forms)
        for s in valued
        if (forms := _forms(s, counter, _reductions(s.text, reduce, found[s.place].reduced)))
    ]
    said = {candidate.place for candidate in result}
    for place, draft in enumerate(found):
        short = block.one_line(draft.text)
        if place not in said and 0 < len(short) <= SHORT_ANSWER:
            result.append(_literal(place, short, counter, 1.0))
        result += [
            _literal(place, block.one_line(p), counter, weight) for p, weight in draft.literal
        ]
    return result


def _literal(place: int, text: str, counter: TokenCounter, weight: float) -> Candidate:
    """Return a candidate that is kept whole or not at all."""
    values = {w: weight * v for w, v in salience.reading(text).words.items()} or {text: weight}
    return Candidate(place, (Form(text, counter.count_text(text) + 1, values),))


def _forms(
    sentence: salience.Sentence, counter: TokenCounter, texts: Sequence[str]
) -> tuple[Form, ...]:
    forms: list[Form] = []
    for text in texts:
        present = salience.reading(text).words
        values = {w: v for w, v in sentence.values.items() if w in present}
        if values:
            forms.append(Form(text, counter.count_text(" " + text) + 1, values))
    return tuple(forms)


@lru_cache(salience.CACHED)
def _reductions(sentence: str, reduce: bool, reduced: bool) -> tuple[str, ...]:
    """Return the forms of a sentence, shortest first; code and calls stay as they are."""
    whole = block.one_line(sentence)
    if not reduce or sentence.lstrip().startswith(("```", "~~~")) or (reduced and "=" in whole):
        return (whole,)
    longer = whole if reduced else telegraphic(sentence)
    forms = (telegraphic(sentence, terse=True), longer)
    return tuple(dict.fromkeys(block.one_line(form) for form in forms if form))


def line_cost(found: Sequence[Draft], counter: TokenCounter) -> int:
    """Return about what a line costs besides its words: version, speaker and marks."""
    speakers = {draft.line.who for draft in found}
    return max((counter.count_text(f"\n {who}:") for who in speakers), default=0)


@dataclass(frozen=True)
class Extract:
    """Drafts and their candidates, ready to be written in as many tokens as there are."""

    drafts: Sequence[Draft]
    candidates: Sequence[Candidate]
    reduced: bool  # telegraphic, and so in need of a separator

    def lines(self, chosen: Chosen) -> list[Line]:
        """Return the lines of a choice, in order."""
        said: dict[int, list[str]] = {}
        for i in sorted(chosen, key=lambda i: (self.candidates[i].place, i)):
            candidate = self.candidates[i]
            said.setdefault(candidate.place, []).append(candidate.forms[chosen[i]].text)
        return [
            Line(d.line.version, d.line.who, d.line.day, _joined(said[place], self.reduced))
            for place, d in enumerate(self.drafts)
            if place in said
        ]


def _joined(said: Sequence[str], reduced: bool) -> str:
    return SEPARATOR.join(said) if reduced else block.joined(said)


def extract(
    units: Sequence[Unit], ref: str, budget: int, counter: TokenCounter, *, reduce: bool
) -> str | None:
    """Return a block of at most `budget` tokens (as text) that says most of `units`.

    None where not one sentence fits.
    """
    return extract_as(partial(block.render, ref), units, budget, counter, reduce=reduce)


def extract_as(
    render: Callable[[Sequence[Line]], str],
    units: Sequence[Unit],
    budget: int,
    counter: TokenCounter,
    *,
    reduce: bool,
) -> str | None:
    """Return what `render` makes of the lines that say most of `units` in `budget` tokens."""
    if counter.count_text(render(())) >= budget:
        return None
    found = drafts(units)
    choices = candidates(found, counter, reduce=reduce)
    whole = Extract(found, choices, reduce)
    line_tokens = line_cost(found, counter)
    steps = ranked(choices, line_tokens)

    def measure(chosen: Chosen) -> int:
        return counter.count_text(render(whole.lines(chosen)))

    chosen = fitted(steps, choices, line_tokens, budget, measure)
    return None if chosen is None else render(whole.lines(chosen))
