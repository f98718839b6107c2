"""The conformance suite of observers: the hook on_event.

Subclass it, override one fixture, and inherit the tests::

    class TestMyObserver(ObserverSuite):
        @pytest.fixture
        def observer(self):
            return MyObserver()  # a plugin object, or a module

Its law is in `ctxplug.hookspecs` and docs/plugins.md: an observer is told what happens, in
order and on a thread of its own; it changes nothing, and takes whatever it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from ctxplug.agent_memory import AgentMemory
from ctxplug.errors import PluginError
from ctxplug.events import Event
from ctxplug.hookspecs import hookimpl
from ctxplug.messages import Message
from ctxplug.plugins import Plugins
from ctxplug.scope import Scope
from ctxplug.testing.histories import START
from ctxplug.testing.suite import ODD_TEXTS, Suite, from_threads, not_overridden

ALICE = Scope(("acme", "alice"), "trip", "planner")
CHEN = Scope(("acme", "陈伟"), "旅行")
UNKNOWN: Sequence[Mapping[str, Any]] = (
    {},
    {"id": None, "text": "里斯本", "list": [1, {"a": [None]}], "数": 1.5},
    *({"text": text} for text in ODD_TEXTS),
)


class ObserverSuite(Suite):
    """The tests that every observer passes; override the fixture `observer`."""

    @pytest.fixture
    def observer(self) -> object:
        """Return the observer under test."""
        raise not_overridden("observer", "the plugin, an object or a module,")

    def test_it_is_a_plugin_that_observes(self, observer: object) -> None:
        """It is accepted as a plugin, and has the hook."""
        _told(observer)

    def test_it_takes_every_event_of_a_memory(self, observer: object) -> None:
        """Those of a whole session, in their order."""
        _tell(observer, events_of_a_memory())

    def test_it_takes_events_it_does_not_know(self, observer: object) -> None:
        """Newer versions tell more: other kinds, and other data of the kinds there are."""
        known = {event.kind for event in events_of_a_memory()}
        for kind in ("unheard.of", "没听说过", *sorted(known)):
            _tell(observer, [Event(kind, ALICE, START, deepcopy(data)) for data in UNKNOWN])

    def test_it_takes_events_without_what_came_before(self, observer: object) -> None:
        """It may have been installed in between, and events of many users come mixed."""
        events = list(events_of_a_memory())[::-1]
        others = [replace(event, scope=CHEN) for event in events]
        _tell(observer, [one for pair in zip(events, others, strict=True) for one in pair])

    def test_nothing_that_is_passed_in_is_changed(self, observer: object) -> None:
        """It watches, and others are told the same."""
        events = [*events_of_a_memory(), Event("unheard.of", ALICE, START, {"list": [1]})]
        before = deepcopy(events)
        _tell(observer, events)
        changed = [b.kind for b, event in zip(before, events, strict=True) if b != event]
        assert not changed, f"it changed the events {', '.join(changed)}"

    def test_it_is_told_from_several_threads(self, observer: object) -> None:
        """Each memory tells it on a thread of its own, and one process has many."""
        from_threads(lambda _: _tell(observer, events_of_a_memory()))


@cache
def events_of_a_memory() -> Sequence[Event]:
    """Return what an observer is told of a short session in English and Chinese."""
    told: list[Event] = []

    class Listens:
        @hookimpl
        def on_event(self, event: Event) -> None:
            told.append(event)

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Listens(), "listens")
    where = {"namespace": ALICE.namespace, "session": ALICE.session, "agent": ALICE.agent}
    with AgentMemory.open("memory:", plugins=plugins, **where) as memory:  # type: ignore[arg-type]
        memory.add("user", "I moved to Lisbon. 我搬到了里斯本。")
        memory.extend([Message("assistant", "Where to?"), Message("user", "柏林")])
        record = memory.remember("Prefers window seats", kind="preference")
        memory.update(record.id, importance=0.9)
        memory.recall("window seats")
        memory.tools.add(_weather)
        memory.tools.call("weather", {"city": "里斯本"})
        memory.context(query="座位")
        memory.forget(record.id)
        memory.maintain()
        memory.erase()
    return tuple(told)


def _weather(city: str) -> str:
    """Say what the weather will be."""
    return f"{city}: sun"


_weather.__name__ = "weather"


def _tell(observer: object, events: Sequence[Event]) -> None:
    told = _told(observer)
    for event in events:
        try:
            told(event=event)
        except (Exception, SystemExit) as exc:
            raise AssertionError(
                f"on_event raised {exc!r} at {event.kind!r} with {dict(event.data)!r:.200}"
            ) from exc


def _told(observer: object) -> Callable[..., Any]:
    plugins = Plugins(load_entry_points=False, environ={})
    try:
        plugins.register(observer, "observer")
    except PluginError as exc:
        raise AssertionError(f"it is no plugin: {exc}") from exc
    found = plugins.implementations("on_event")
    assert found, "it does not implement on_event"
    return found[0]
