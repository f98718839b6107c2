"""The answers about one session: its conversation, its calls, its steps and its findings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from ctxplug.errors import CtxplugError
from ctxplug.inspector.outline import Said
from ctxplug.inspector.why import fate_of
from ctxplug.scope import Namespace
from ctxplug_server.viewing import (
    Viewing,
    calls,
    comparing,
    findings,
    lines,
    overview,
    past_calls,
    steps,
)
from ctxplug_server.viewing.held import Held

__all__ = ["session_answers"]

ROWS = 1_000  # the newest rows, which are told with their texts
CALLS = 200  # the newest calls, which are told piece by piece
STEPS = 3_000
FOR_CALLS, FOR_ALL = 0.7, 0.95  # of its room that calls may use, and messages with them
COMPARED = 150  # calls of a session that is compared under two policies
PAGE = 500
PAUSE = 0.05
POLICIES = ("conservative", "balanced", "aggressive")  # that the viewer compares

Answer: TypeAlias = tuple[str, dict[str, Any], Any]


class Bounds(Protocol):
    """How much there is room and time for."""

    @property
    def used(self) -> float:
        """How much of the room of this session is used, 0.0 to 1.0 and above."""

    @property
    def hurried(self) -> bool:
        """Whether the time for what takes long is over."""

    def leave(self, what: str, **values: Any) -> None:
        """Take note that something is left out."""


def session_answers(
    viewing: Viewing, namespace: Namespace, session: str, languages: Sequence[str], bounds: Bounds
) -> Iterator[Answer]:
    """Yield the path below the session, the parameters and the answer of all that is told of it."""
    with viewing.held(namespace, session).working() as held:
        held.read()
        told = overview.overview(held, viewing.titles)
        yield "", {}, told
        yield "/size", {}, overview.size(held)
        yield "/lines", {}, _lines(held, bounds)
        yield "/calls", {}, calls.calls(held, 0, held.outline.turns)
        yield "/steps", {}, _steps(held, bounds)
        yield from _findings(held, viewing, languages)
        yield from _compared(held, viewing, told, bounds)
        yield from _calls(held, languages, bounds)


def _lines(held: Held, bounds: Bounds) -> dict[str, Any]:
    """Return all rows; the text of those before the newest is one line each."""
    rows = held.outline.rows
    full = max(0, len(rows) - ROWS)
    if full:
        bounds.leave("texts", session=held.stream.session, most=ROWS)
    items: list[dict[str, Any]] = []
    for row, one in enumerate(rows[:full]):
        if isinstance(one, Said):
            items.append({**lines.said_data(row, one, None), "cut": True})
        else:
            items += lines.lines(held, row, 1)["items"]
    for start in range(full, len(rows), PAGE):
        items += lines.lines(held, start, PAGE)["items"]
    return {"total": len(rows), "whole": True, "start": 0, "items": items}


def _calls(held: Held, languages: Sequence[str], bounds: Bounds) -> Iterator[Answer]:
    """Yield calls, the newest first while there is room, and what became of each message."""
    last = held.outline.turns
    first = last + 1
    while first > max(1, last - CALLS + 1) and bounds.used < FOR_CALLS:
        first -= 1
        yield f"/calls/{first}", {}, past_calls.call_data(held, first, None, None)
        window = past_calls.window_data(held, first, None, None, 0, PAGE)
        yield f"/calls/{first}/window", {}, window
    if first > 1:
        bounds.leave("calls", session=held.stream.session, most=last - first + 1)
    yield from _messages(held, first, languages, bounds)


def _messages(held: Held, first: int, languages: Sequence[str], bounds: Bounds) -> Iterator[Answer]:
    """Yield the newest messages whole, and each where what became of it is another."""
    shown = held.outline.rows[max(0, len(held.outline.rows) - ROWS) :]
    for row in reversed(shown):
        if isinstance(row, Said) and bounds.used < FOR_ALL:
            told = past_calls.message_of(held, row.version, None, None, None, languages[0])
            yield f"/messages/{row.version}", {}, told
    last = held.outline.turns
    before = dict(_states(held, last)) if first <= last else {}
    yield from _at(held, last, list(before), languages, bounds)
    for number in range(last - 1, first - 1, -1):
        now = dict(_states(held, number))
        changed = [version for version, state in before.items() if now.get(version) != state]
        yield from _at(held, number + 1, changed, languages, bounds)
        before = now
    yield from _at(held, first, list(before), languages, bounds)


def _at(
    held: Held, number: int, versions: Sequence[int], languages: Sequence[str], bounds: Bounds
) -> Iterator[Answer]:
    for version in versions:
        for lang in languages if bounds.used < FOR_ALL else ():
            told = past_calls.message_of(held, version, number, None, None, lang)
            yield f"/messages/{version}", {"call": number, "lang": lang}, told


def _states(held: Held, number: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield what became of each message that there was at a call."""
    seen = held.windows().seen(number)
    full = max(0, len(held.outline.rows) - ROWS)
    for row in held.outline.rows[full:]:
        if isinstance(row, Said) and row.version <= (seen.call.answer or seen.call.head):
            fate = fate_of(row, held.outline, seen)
            piece = seen.places.get(row.version)
            yield row.version, (fate.name, fate.form, fate.recalled, piece.key if piece else None)


def _steps(held: Held, bounds: Bounds) -> dict[str, Any]:
    total = steps.steps(held, 0, 1, None, False, None)["total"]
    if total > STEPS:
        bounds.leave("steps", session=held.stream.session, most=STEPS)
    told = steps.steps(held, max(0, total - STEPS), STEPS, None, False, None)
    return {**told, "total": len(told["items"]), "start": 0}


def _findings(held: Held, viewing: Viewing, languages: Sequence[str]) -> Iterator[Answer]:
    for lang in languages:

        def found(lang: str = lang) -> dict[str, Any]:
            return findings.findings(held, viewing.jobs, None, lang)

        yield "/findings", {"lang": lang}, _done(found)


def _compared(
    held: Held,
    viewing: Viewing,
    told: dict[str, Any],
    bounds: Bounds,
) -> Iterator[Answer]:
    """Yield what the viewer compares when nothing else is chosen."""
    session = held.stream.session
    if not held.outline.turns:
        return
    if held.outline.turns > COMPARED or bounds.hurried:
        bounds.leave("compare", session=session)
        return
    first = told["policy"] if told["policy"] in POLICIES else "balanced"
    policies = f"{first},{'balanced' if first == 'aggressive' else 'aggressive'}"
    again = viewing.again(held.stream.namespace, session, None)

    def compared() -> dict[str, Any]:
        return comparing.compare(held, viewing.jobs, again, None, policies, None)

    try:
        yield "/compare", {"policies": policies}, _done(compared)
    except CtxplugError as exc:
        bounds.leave("compare", session=session, error=str(exc))


def _done(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `ask` tells when it is done."""
    while (told := ask()).get("pending"):
        time.sleep(PAUSE)
    return told
