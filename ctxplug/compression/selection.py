"""Selection: which sentences, in which form, say most in the fewest tokens.

Each sentence may have several forms, shorter to longer (telegraphic to whole). Steps, a
sentence's first form or its next longer one, are ranked by value per token, where a word
that a chosen sentence already has counts a third, so that every word tends to be said once
before any is said twice. Greedy with a heap: n log n.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MEASUREMENTS = 10  # at most, in finding how much fits
SAID_BEFORE = 0.35  # the value of a word that a chosen sentence already has


@dataclass(frozen=True, slots=True)
class Form:
    """One way to say a sentence: its text, its tokens, and the value of each word in it."""

    text: str
    tokens: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence in its `forms`, shortest first, on a line shared by all of one `place`."""

    place: int
    forms: tuple[Form, ...]


Chosen = dict[int, int]
"""The index of each chosen candidate, and of the form it was chosen in."""


def ranked(candidates: Sequence[Candidate], line_tokens: int) -> list[tuple[int, int]]:
    """Return all steps (candidate, form), best first; `line_tokens` is what a line costs."""
    places: dict[int, list[int]] = {}
    for i, candidate in enumerate(candidates):
        places.setdefault(candidate.place, []).append(i)
    state = _Greedy(candidates, line_tokens)
    heap = [(-state.rate(i), i, 0) for i in range(len(candidates))]
    heapq.heapify(heap)
    steps: list[tuple[int, int]] = []
    while heap:
        rate, i, form = heapq.heappop(heap)
        if form != state.next[i]:
            continue
        current = state.rate(i)
        if current < -rate - 1e-9:
            heapq.heappush(heap, (-current, i, form))
            continue
        first_of_line = candidates[i].place not in state.open
        state.take(i)
        steps.append((i, form))
        again = places[candidates[i].place] if first_of_line else [i]
        for j in again:
            if state.next[j] < len(candidates[j].forms):
                heapq.heappush(heap, (-state.rate(j), j, state.next[j]))
    return steps


class _Greedy:
    """What was chosen so far: forms, open lines and words."""

    def __init__(self, candidates: Sequence[Candidate], line_tokens: int) -> None:
        self.candidates = candidates
        self.line_tokens = line_tokens
        self.next = [0] * len(candidates)
        self.open: set[int] = set()
        self.said: set[str] = set()

    def rate(self, i: int) -> float:
        """Return the value per token of candidate i's next form."""
        candidate, n = self.candidates[i], self.next[i]
        form = candidate.forms[n]
        before = candidate.forms[n - 1] if n else None
        old = before.values if before else {}
        value = sum(
            v * SAID_BEFORE if word in self.said else v
            for word, v in form.values.items()
            if word not in old
        )
        tokens = form.tokens - (before.tokens if before else 0)
        if candidate.place not in self.open:
            tokens += self.line_tokens
        return value / max(tokens, 1)

    def take(self, i: int) -> None:
        candidate = self.candidates[i]
        self.said.update(candidate.forms[self.next[i]].values)
        self.open.add(candidate.place)
        self.next[i] += 1


def fitted(
    steps: Sequence[tuple[int, int]],
    candidates: Sequence[Candidate],
    line_tokens: int,
    budget: int,
    measure: Callable[[Chosen], int],
) -> Chosen | None:
    """Return the longest run of first steps found whose measured tokens are at most `budget`.

    `measure` counts the text made from a choice. A few measurements do: the summed costs
    of the steps say about where to look. None if not even one step fits.
    """
    sums = _costs(steps, candidates, line_tokens)
    good, bad = 0, len(steps) + 1
    guess = _longest(sums, budget)
    for attempt in range(MEASUREMENTS):
        if bad - good <= 1:
            break
        guess = min(max(guess, good + 1), bad - 1)
        tokens = measure(_choice(steps[:guess]))
        if tokens > budget:
            bad = guess
            guess = min(guess - 1, _longest(sums, sums[guess - 1] * budget // tokens))
        else:
            good = guess
            if budget - tokens < budget // 100:
                break
            guess = _longest(sums, sums[guess - 1] + (budget - tokens))
        if attempt >= MEASUREMENTS // 2:  # the sums mislead
            guess = (good + bad) // 2
    while not good and bad > 1:
        bad //= 2
        good = bad if bad and measure(_choice(steps[:bad])) <= budget else 0
    return _choice(steps[:good]) if good else None


def _costs(
    steps: Sequence[tuple[int, int]], candidates: Sequence[Candidate], line_tokens: int
) -> list[int]:
    """Return the running sum of what the steps cost."""
    sums: list[int] = []
    used, lines = 0, set()
    for i, form in steps:
        candidate = candidates[i]
        used += candidate.forms[form].tokens - (candidate.forms[form - 1].tokens if form else 0)
        if candidate.place not in lines:
            lines.add(candidate.place)
            used += line_tokens
        sums.append(used)
    return sums


def _longest(sums: Sequence[int], budget: int) -> int:
    """Return how many steps cost at most `budget`; the sums may dip, so the last that fits."""
    return next((n for n in range(len(sums), 0, -1) if sums[n - 1] <= budget), 0)


def _choice(steps: Sequence[tuple[int, int]]) -> Chosen:
    chosen: Chosen = {}
    for i, form in steps:
        chosen[i] = form  # later steps of a candidate are its longer forms
    return chosen
