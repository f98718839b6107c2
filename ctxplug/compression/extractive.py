"""The strategy "extractive": the sentences that say most, word for word.

Sentences of all user and assistant units without calls compete by salience and coverage
for the tokens that the target leaves. A unit that keeps every sentence stays as it is;
neighbours that lost some become one block, whose lines say version, speaker and day, and
a unit that lost some alone keeps its role. Units with calls, images or other parts, and
what another strategy made already, are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ctxplug.compression import block, lines
from ctxplug.compression.lines import Draft
from ctxplug.compression.selection import Candidate, Chosen, fitted, ranked
from ctxplug.compression.strategy import (
    VERBATIM,
    CompressionTools,
    Unit,
    merged,
    total,
)
from ctxplug.messages import TextPart, ThinkingPart


class Extractive:
    """Keep the most salient sentences of all units that are plain text."""

    name = "extractive"

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        """Return `units` with sentences left out; see the law (strategy.py)."""
        plain = [i for i, unit in enumerate(units) if is_prose(unit)]
        if total(units) <= target or not plain:
            return tuple(units)
        drafts = lines.drafts([units[i] for i in plain])
        choices = lines.candidates(drafts, tools.counter, reduce=False)
        line_tokens = lines.line_cost(drafts, tools.counter)
        steps = ranked(choices, line_tokens)
        attempt = _Attempt(units, plain, drafts, choices, tools)
        chosen = fitted(
            steps, choices, line_tokens, target, lambda chosen: total(attempt.units_for(chosen))
        )
        if chosen is None:  # not reachable: the least that says anything, if that saves
            chosen = dict(steps[:1])
        result = attempt.units_for(chosen)
        return result if chosen and total(result) < total(units) else tuple(units)


def is_prose(unit: Unit) -> bool:
    """Say whether `unit` is one user or assistant message of text, not yet compressed."""
    if unit.form != VERBATIM or len(unit.items) > 1:
        return False
    message = unit.items[0].message
    parts_are_text = all(isinstance(p, TextPart | ThinkingPart) for p in message.content)
    return parts_are_text and message.role in ("user", "assistant") and bool(message.text.strip())


@dataclass(frozen=True)
class _Attempt:
    """Everything but the choice of sentences; `plain` are the places of prose in `units`."""

    units: Sequence[Unit]
    plain: Sequence[int]
    drafts: Sequence[Draft]
    candidates: Sequence[Candidate]
    tools: CompressionTools

    def units_for(self, chosen: Chosen) -> tuple[Unit, ...]:
        """Return the units with only the chosen sentences; never more tokens in a run."""
        kept: dict[int, list[str]] = {}
        spoken = {candidate.place for candidate in self.candidates}
        lost = {i for place, i in enumerate(self.plain) if place not in spoken}
        for i, candidate in enumerate(self.candidates):
            if i in chosen:
                kept.setdefault(candidate.place, []).append(candidate.forms[0].text)
            else:
                lost.add(self.plain[candidate.place])
        texts = {self.plain[place]: block.joined(said) for place, said in kept.items()}
        line = {i: draft.line for i, draft in zip(self.plain, self.drafts, strict=True)}
        result: list[Unit] = []
        for run in _runs(len(self.units), lost):
            before = [self.units[i] for i in run]
            if run[0] not in lost:
                result += before
                continue
            said = [replace(line[i], text=texts[i]) for i in run if i in texts]
            after = self._reduced(before, said)
            result += [after] if after.tokens < total(before) else before
        return tuple(result)

    def _reduced(self, before: Sequence[Unit], said: Sequence[block.Line]) -> Unit:
        counter = self.tools.counter
        empty = merged(before, Extractive.name, "", counter)
        ref = self.tools.ref(empty)
        if len(before) == 1 and said:
            text = f"{said[0].text} [extract of {ref}]"
            message = before[0].items[0].message
            return before[0].changed(
                Extractive.name, [replace(message, content=(TextPart(text),))], counter
            )
        return merged(before, Extractive.name, block.render(ref, said), counter)


def _runs(count: int, lost: set[int]) -> Iterator[list[int]]:
    """Yield 0..count-1 cut into runs of neighbours that are all in `lost`, or are not."""
    run: list[int] = []
    for i in range(count):
        if run and (i in lost) != (run[-1] in lost):
            yield run
            run = []
        run.append(i)
    if run:
        yield run
