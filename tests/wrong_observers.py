"""Observers that each break one law, and the tests of the suite that say so."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from kit_runner import laws

from ctxplug import hookimpl
from ctxplug.events import Event
from ctxplug.testing import ObserverSuite


class Right:
    """An observer that keeps every law: it counts kinds."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    @hookimpl
    def on_event(self, event: Event) -> None:
        self.kinds[event.kind] += 1


class NoHook:
    @hookimpl
    def redact(self, text: str) -> str:
        return text


class Async:
    @hookimpl
    async def on_event(self, event: Event) -> None:
        pass


class KnowsNoUpdates(Right):
    @hookimpl
    def on_event(self, event: Event) -> None:
        if event.kind == "memory.updated" and len(event.data.get("id") or "") == 32:
            raise NotImplementedError(event.kind)


class KnowsAllKinds(Right):
    @hookimpl
    def on_event(self, event: Event) -> None:
        _, _ = event.kind.split(".")


class TrustsItsData(Right):
    @hookimpl
    def on_event(self, event: Event) -> None:
        if event.kind == "message.added":
            event.data["id"].lower()


class KeepsAccounts(Right):
    """Takes off what it never put on."""

    @hookimpl
    def on_event(self, event: Event) -> None:
        if event.kind == "memory.remembered" and event.data:
            self.kinds["memories"] += 1
        if event.kind == "memory.forgotten" and event.data.get("id"):
            self.kinds["memories"] -= 1
            assert self.kinds["memories"] >= 0, "forgotten before it was remembered"


class Marks(Right):
    @hookimpl
    def on_event(self, event: Event) -> None:
        if isinstance(event.data, dict):
            event.data["seen"] = True


class BelongsToItsThread(Right):
    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    @hookimpl
    def on_event(self, event: Event) -> None:
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")


RIGHT = Right
WRONG: list[tuple[Any, set[str]]] = [
    (NoHook, {*laws(ObserverSuite)}),
    (Async, {*laws(ObserverSuite)}),
    (
        KnowsNoUpdates,
        {
            "test_it_takes_every_event_of_a_memory",
            "test_it_takes_events_without_what_came_before",
            "test_nothing_that_is_passed_in_is_changed",
            "test_it_is_told_from_several_threads",
        },
    ),
    (KnowsAllKinds, {"test_it_takes_events_it_does_not_know"}),
    (TrustsItsData, {"test_it_takes_events_it_does_not_know"}),
    (KeepsAccounts, {"test_it_takes_events_without_what_came_before"}),
    (Marks, {"test_nothing_that_is_passed_in_is_changed"}),
    (BelongsToItsThread, {"test_it_is_told_from_several_threads"}),
]
