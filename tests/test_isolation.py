"""Guards fail closed, observers fail unnoticed; neither takes its host along."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ctxplug import isolation
from ctxplug.errors import GuardError
from ctxplug.events import Event
from ctxplug.hookspecs import hookimpl
from ctxplug.isolation import (
    BREAKER_FAILURES,
    BREAKER_PAUSE,
    BREAKER_TIMEOUTS,
    BREAKER_WINDOW,
    QUEUE_LENGTH,
    Guard,
    Observer,
)
from ctxplug.plugins import Implementation, Plugins
from ctxplug.scope import Scope

SCOPE = Scope(("acme", "alice"), "trip", "planner")
LONG = 30.0  # seconds: never waited for, unless something is broken


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def implementation(hook: str, function: Callable[..., Any]) -> Implementation:
    """Register a plugin with this one hook and return its implementation from the door."""
    function.__name__ = hook
    plugin = type("Plugin", (), {hook: staticmethod(hookimpl(function))})()
    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(plugin, "sample")
    (found,) = plugins.implementations(hook)
    return found


def event(kind: str = "message.added") -> Event:
    return Event(kind, SCOPE, datetime(2026, 1, 2, tzinfo=UTC), {"n": 1})


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What a hanging plugin waits for; set when the test is over."""
    gate = threading.Event()
    yield gate
    gate.set()


class Redactor:
    """A redaction plugin that does what `mood` says."""

    def __init__(self, gate: threading.Event) -> None:
        self.mood: Any = "answer"
        self.calls = 0
        self.gate = gate
        self.clock = Clock()

    def guard(self, seconds: float = LONG) -> Guard:
        def redact(text: str, scope: Scope) -> Any:
            self.calls += 1
            if self.mood == "hang":
                self.gate.wait(LONG)
            if isinstance(self.mood, BaseException):
                raise self.mood
            return f"[{text}]"

        return Guard(implementation("redact", redact), seconds=seconds, clock=self.clock)


@pytest.fixture
def redactor(release: threading.Event) -> Redactor:
    return Redactor(release)


def ask(guard: Guard) -> Any:
    return guard(text="我的密码", scope=SCOPE)


def refused(guard: Guard) -> str:
    with pytest.raises(GuardError) as caught:
        ask(guard)
    assert caught.value.plugin == "sample"
    return str(caught.value)


# -- guards ------------------------------------------------------------------------


def test_a_guard_gives_the_answer_of_its_plugin(redactor: Redactor) -> None:
    assert ask(redactor.guard()) == "[我的密码]"


@pytest.mark.parametrize("answer", [None, False, ""])
def test_an_empty_answer_is_an_answer(answer: object) -> None:
    def judge_memory(record: object, scope: Scope) -> object:
        return answer

    assert Guard(implementation("judge_memory", judge_memory))(record=1, scope=SCOPE) is answer


@pytest.mark.parametrize("error", [ValueError("我的密码"), SystemExit(3), KeyboardInterrupt()])
def test_a_guard_that_raises_refuses_without_repeating_the_text(
    redactor: Redactor, error: BaseException
) -> None:
    redactor.mood = error
    message = refused(redactor.guard())
    assert f"raised {type(error).__name__}; nothing was stored" in message
    assert "'sample' guards writes with redact" in message
    assert "密码" not in message


def test_the_error_of_a_guard_keeps_its_cause(redactor: Redactor) -> None:
    redactor.mood = ValueError("why")
    with pytest.raises(GuardError) as caught:
        ask(redactor.guard())
    assert caught.value.__cause__ is redactor.mood


def test_a_guard_that_hangs_is_refused(redactor: Redactor) -> None:
    redactor.mood = "hang"
    assert "gave no answer within 0.05 s" in refused(redactor.guard(seconds=0.05))


def test_a_late_answer_is_not_the_answer_of_a_later_call(redactor: Redactor) -> None:
    guard = redactor.guard(seconds=0.05)
    redactor.mood = "hang"
    refused(guard)
    redactor.gate.set()
    redactor.mood = "answer"
    patient = redactor.guard()
    assert patient(text="next", scope=SCOPE) == "[next]"


def test_after_repeated_failures_a_guard_pauses(redactor: Redactor) -> None:
    guard = redactor.guard()
    redactor.mood = ValueError()
    for _ in range(BREAKER_FAILURES):
        assert "raised ValueError" in refused(guard)
    redactor.mood = "answer"
    assert f"is paused for {BREAKER_PAUSE:.0f} s more" in refused(guard)
    redactor.clock.now += BREAKER_PAUSE - 1
    assert "is paused for 1 s more" in refused(guard)
    assert redactor.calls == BREAKER_FAILURES


def test_a_paused_guard_recovers(redactor: Redactor) -> None:
    guard = redactor.guard()
    redactor.mood = ValueError()
    for _ in range(BREAKER_FAILURES):
        refused(guard)
    redactor.clock.now += BREAKER_PAUSE
    redactor.mood = "answer"
    assert ask(guard) == "[我的密码]"
    redactor.mood = ValueError()
    assert "raised ValueError" in refused(guard)  # one failure alone is no reason to pause
    assert "raised ValueError" in refused(guard)


def test_a_guard_that_fails_its_trial_pauses_again_at_once(redactor: Redactor) -> None:
    guard = redactor.guard()
    redactor.mood = ValueError()
    for _ in range(BREAKER_FAILURES):
        refused(guard)
    redactor.clock.now += BREAKER_PAUSE
    assert "raised ValueError" in refused(guard)
    assert "is paused" in refused(guard)
    assert redactor.calls == BREAKER_FAILURES + 1


def test_one_call_at_a_time_is_the_trial(redactor: Redactor) -> None:
    guard = redactor.guard()
    redactor.mood = ValueError()
    for _ in range(BREAKER_FAILURES):
        refused(guard)
    redactor.clock.now += BREAKER_PAUSE
    redactor.mood = "hang"
    trial = threading.Thread(target=ask, args=(guard,))
    trial.start()
    while redactor.calls == BREAKER_FAILURES:
        trial.join(0.001)
    assert "is paused" in refused(guard)
    redactor.gate.set()
    trial.join(LONG)
    assert ask(guard) == "[我的密码]"


def test_repeated_hangs_pause_a_guard_and_start_no_more_threads(redactor: Redactor) -> None:
    guard = redactor.guard(seconds=0.02)
    redactor.mood = "hang"
    for _ in range(BREAKER_TIMEOUTS):
        assert "gave no answer" in refused(guard)
    for _ in range(20):
        assert "is paused" in refused(guard)
    assert redactor.calls == BREAKER_TIMEOUTS


def test_failures_far_apart_do_not_pause_a_guard(redactor: Redactor) -> None:
    guard = redactor.guard()
    redactor.mood = ValueError()
    for _ in range(3 * BREAKER_FAILURES):
        assert "raised ValueError" in refused(guard)
        redactor.clock.now += BREAKER_WINDOW / (BREAKER_FAILURES - 1) + 1


def test_an_answer_of_the_wrong_type_counts_as_a_failure(redactor: Redactor) -> None:
    guard = redactor.guard()
    for _ in range(BREAKER_FAILURES):
        ask(guard)
        error = guard.reject(7)
        assert isinstance(error, GuardError)
        assert "answered with int; nothing was stored" in str(error)
    assert "is paused" in refused(guard)


def test_one_guard_pauses_for_itself_only(redactor: Redactor, release: threading.Event) -> None:
    broken, whole = redactor.guard(), Redactor(release).guard()
    redactor.mood = ValueError()
    for _ in range(BREAKER_FAILURES):
        refused(broken)
    assert "is paused" in refused(broken)
    assert ask(whole) == "[我的密码]"


# -- observers ---------------------------------------------------------------------


def observer(function: Callable[[Event], Any]) -> Observer:
    def on_event(event: Event) -> None:
        function(event)

    return Observer(implementation("on_event", on_event))


def test_an_observer_sees_every_event_in_order() -> None:
    seen: list[str] = []
    watching = observer(lambda e: seen.append(e.kind))
    for i in range(1_000):
        watching.notify(event(f"event-{i}"))
    assert watching.flush(LONG)
    assert seen == [f"event-{i}" for i in range(1_000)]
    assert (watching.dropped, watching.failed) == (0, 0)


def test_an_observer_that_raises_is_logged_and_hears_the_next_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    def listen(told: Event) -> None:
        seen.append(told.kind)
        if told.kind == "bad":
            raise ZeroDivisionError
        if told.kind == "exit":
            raise SystemExit(3)

    watching = observer(listen)
    with caplog.at_level(logging.ERROR, logger="ctxplug"):
        for kind in ("good", "bad", "exit", "last"):
            watching.notify(event(kind))
        assert watching.flush(LONG)
    assert seen == ["good", "bad", "exit", "last"]
    assert watching.failed == 2
    assert [r.getMessage() for r in caplog.records] == [
        "plugin 'sample' failed to observe 'bad'",
        "plugin 'sample' failed to observe 'exit'",
    ]


def test_an_observer_that_hangs_holds_up_nobody(release: threading.Event) -> None:
    entered = threading.Event()

    def hang(_: Event) -> None:
        entered.set()
        release.wait(LONG)

    watching, other = observer(hang), observer(lambda _: None)
    watching.notify(event())
    assert entered.wait(LONG)
    for _ in range(10):  # each returns while the first event still hangs
        watching.notify(event())
        other.notify(event())
    assert not release.is_set()
    assert other.flush(LONG)
    assert not watching.flush(0.01)
    release.set()
    assert watching.flush(LONG)


def test_a_full_queue_drops_the_oldest_events_and_counts_them(release: threading.Event) -> None:
    entered, seen = threading.Event(), []

    def slow(told: Event) -> None:
        entered.set()
        release.wait(LONG)
        seen.append(told.kind)

    watching = observer(slow)
    watching.notify(event("first"))
    assert entered.wait(LONG)
    for i in range(QUEUE_LENGTH + 5):
        watching.notify(event(str(i)))
    assert watching.dropped == 5
    release.set()
    assert watching.flush(LONG)
    assert seen == ["first", *map(str, range(5, QUEUE_LENGTH + 5))]


def test_flushing_an_observer_that_heard_nothing_succeeds() -> None:
    assert observer(lambda _: None).flush(0)


def test_an_idle_observer_ends_its_thread_and_wakes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "IDLE_SECONDS", 0.01)
    threads: list[threading.Thread] = []
    watching = observer(lambda _: threads.append(threading.current_thread()))
    watching.notify(event())
    assert watching.flush(LONG)
    threads[0].join(LONG)
    assert not threads[0].is_alive()
    watching.notify(event())
    assert watching.flush(LONG)
    assert len(threads) == 2


def test_what_an_observer_does_to_an_event_changes_nothing() -> None:
    told = Event("message.added", SCOPE, datetime(2026, 1, 2, tzinfo=UTC), {"tags": ["茶"]})
    watching = observer(lambda e: e.data["tags"].clear())
    watching.notify(told)
    assert watching.flush(LONG)
    assert (told.data, watching.failed) == ({"tags": ["茶"]}, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_observer_works_in_a_forked_child() -> None:
    seen: list[str] = []
    watching = observer(lambda e: seen.append(e.kind))
    watching.notify(event("parent"))
    assert watching.flush(LONG)
    child = os.fork()
    if child == 0:
        watching.notify(event("child"))
        os._exit(0 if watching.flush(LONG) and seen == ["parent", "child"] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert seen == ["parent"]
