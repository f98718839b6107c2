"""Rates: what passes at once, what has to wait, and for how long."""

from __future__ import annotations

import pytest
from ctxplug_server import ServerSettings
from ctxplug_server.limiting import Limits, Rate, Rates
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import InvalidValueError


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@given(
    count=st.integers(1, 20),
    seconds=st.sampled_from([1, 60, 3_600]),
    pauses=st.lists(st.floats(0, 0.5), min_size=1, max_size=80),
)
def test_never_more_than_twice_the_rate_and_never_less_than_it(
    count: int, seconds: float, pauses: list[float]
) -> None:
    clock = Clock()
    rates = Rates(Rate(count, seconds), clock)
    passed: list[float] = []
    for pause in pauses:
        clock.now += pause * seconds
        wait = rates.wait("小明")
        if wait is None:
            passed.append(clock.now)
            continue
        recent = sum(at > clock.now - seconds for at in passed)
        assert recent >= count, "who kept to the rate is let through"
        assert 0 < wait <= seconds / count + 1e-6
        clock.now += wait
        assert rates.wait("小明") is None, "who waited as told is let through"
        passed.append(clock.now)
    for at in passed:
        assert sum(at - seconds < one <= at for one in passed) <= 2 * count


def test_one_caller_takes_nothing_from_another() -> None:
    rates = Rates(Rate(1, 60), Clock())
    assert rates.wait("a") is None
    assert rates.wait("a") == pytest.approx(60)
    assert rates.wait("b") is None


def test_callers_who_are_owed_nothing_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctxplug_server.limiting.REMEMBERED", 3)
    clock = Clock()
    rates = Rates(Rate(1, 10), clock)
    for name in "abc":
        assert rates.wait(name) is None
    clock.now += 5
    assert rates.wait("d") is None
    assert rates.wait("a") == pytest.approx(5), "it is still to wait"
    clock.now += 6
    assert rates.wait("e") is None
    assert rates.wait("d") == pytest.approx(4)


@pytest.mark.parametrize(
    "rate", ["", "5", "0/second", "5/week", "-1/minute", "5 per second", "x/day"]
)
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(InvalidValueError, match="rate is a rate such as"):
        Limits(ServerSettings(rate=rate))


@pytest.mark.parametrize("rate", ["5/second", "5/minutes", " 5 / hour ", "5/days", None])
def test_what_is_a_rate_is_read(rate: str | None) -> None:
    assert Limits(ServerSettings(rate=rate)).passes("a") is None
