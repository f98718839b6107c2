"""Compactions of a log, and what each made of a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ctxplug.compression import VERBATIM
from ctxplug.context.entries import COMPACTION
from ctxplug.inspector.basis import Basis
from ctxplug.storage import Entry
from ctxplug.storage.kept import from_runs


@dataclass(frozen=True, slots=True)
class Compaction:
    """One compaction: `version` is that of its entry, in the log that it stands in.

    In the session it stands behind the version `behind`, and what follows `upto` is untouched.
    `forms` tells by version of the session what each message became: form and score.
    """

    number: int
    version: int
    behind: int
    upto: int
    steps: tuple[tuple[str, int, int], ...]
    forced: bool
    gain: float
    notes: tuple[str, ...]
    forms: Mapping[int, tuple[str, float | None]]

    @property
    def before(self) -> int:
        """The tokens of what could be cut, before it."""
        return self.steps[0][1] if self.steps else 0

    @property
    def after(self) -> int:
        """What was left of them."""
        return self.steps[-1][2] if self.steps else 0


def compactions_of(basis: Basis, budget: int) -> list[Compaction]:
    """Return the compactions under `budget` that count, oldest first.

    Of two that build on the same one the first counts.
    """
    entries = basis.backend.read(basis.stream, kinds=[COMPACTION], pinned=True)
    found: list[Compaction] = []
    built_on: set[int] = set()
    for entry in entries:
        base = entry.body.get("base", 0)
        if entry.body.get("budget") == budget and base not in built_on:
            built_on.add(base)
            found.append(_compaction(entry, basis))
    return found


def _compaction(entry: Entry, basis: Basis) -> Compaction:
    body = entry.body
    gain = body.get("gain", {})
    return Compaction(
        number=body.get("number", 1),
        version=entry.version,
        behind=basis.real(entry.version),
        upto=basis.real(body.get("upto", entry.version)),
        steps=tuple((str(name), before, after) for name, before, after in body.get("steps", ())),
        forced=bool(gain.get("forced")),
        gain=float(gain.get("gain", 0.0)),
        notes=tuple(body.get("notes", ())),
        forms={basis.real(version): told for version, told in _forms(body)},
    )


def _forms(body: Mapping[str, Any]) -> Iterator[tuple[int, tuple[str, float | None]]]:
    for unit in body.get("units", ()):
        if "verbatim" in unit:
            yield from ((version, (VERBATIM, None)) for version in unit["verbatim"])
        else:
            told = str(unit["form"]), unit.get("score")
            yield from ((version, told) for version in from_runs(unit["sources"]))
