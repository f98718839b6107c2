"""Leak suspicion: leaks are found, and what only looks like one is not called one."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from ctxplug_server.monitoring.history import History, per_day
from ctxplug_server.monitoring.trend import (
    LEAST_SAMPLES,
    RISING,
    STEADY,
    SUSPECTED,
    TOO_SHORT,
    rising,
    said_of,
    trend_of,
)
from hypothesis import given
from hypothesis import strategies as st

MB = 2**20
Shape = Callable[[random.Random], Callable[[int], float]]


def noise(r: random.Random) -> Callable[[int], float]:
    return lambda i: 300 + r.gauss(0, 5)


def warm_up(r: random.Random) -> Callable[[int], float]:
    return lambda i: 100 + 300 * (1 - math.exp(-i / 60)) + r.gauss(0, 2)


def saw(r: random.Random) -> Callable[[int], float]:
    return lambda i: 200 + (i % 37) * 3 + r.gauss(0, 2)


def jumps(r: random.Random) -> Callable[[int], float]:
    times = [r.randrange(480) for _ in range(2)]
    return lambda i: 200 + sum(40 for time in times if time <= i)


def sluggish(r: random.Random) -> Callable[[int], float]:
    state = [0.0]

    def at(i: int) -> float:
        state[0] = 0.95 * state[0] + r.gauss(0, 5)
        return 300 + state[0]

    return at


def high_water(r: random.Random) -> Callable[[int], float]:
    state = [0.0]

    def at(i: int) -> float:
        state[0] = max(state[0], r.expovariate(1 / 40))
        return 200 + state[0]

    return at


def leak(r: random.Random) -> Callable[[int], float]:
    return lambda i: 200 + 0.25 * i + r.gauss(0, 8)


def leak_under_saw(r: random.Random) -> Callable[[int], float]:
    return lambda i: 200 + 0.5 * i + (i % 11) * 4 + r.gauss(0, 2)


def verdicts(shape: Shape, runs: int = 40) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(runs):
        value = shape(random.Random(seed))
        found[trend_of([(i * 30.0, value(i) * MB) for i in range(480)]).verdict] += 1
    return found


@pytest.mark.parametrize("shape", [noise, warm_up, saw, jumps, sluggish, high_water])
def test_what_is_no_leak_is_not_called_one(shape: Shape) -> None:
    assert verdicts(shape)[SUSPECTED] == 0


@pytest.mark.parametrize("shape", [leak, leak_under_saw])
def test_a_leak_is_suspected(shape: Shape) -> None:
    assert verdicts(shape)[SUSPECTED] >= 38


def test_a_small_rise_is_told_but_not_suspected() -> None:
    trend = trend_of([(i * 30.0, (300 + 0.01 * i) * MB) for i in range(480)])
    assert (trend.verdict, trend.suspected) == (RISING, False)
    assert trend.per_hour == pytest.approx(1.2 * MB, rel=0.01)


@given(st.lists(st.floats(0, 1e12), max_size=LEAST_SAMPLES - 1))
def test_nothing_is_said_of_few_samples(values: list[float]) -> None:
    assert trend_of(list(enumerate(values))).verdict == TOO_SHORT


@given(st.integers(LEAST_SAMPLES, 400), st.floats(0, 1e12))
def test_what_stays_the_same_is_steady(count: int, value: float) -> None:
    assert trend_of([(i, value) for i in range(count)]).verdict == STEADY


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=25))
def test_the_test_is_of_ranks_alone(values: list[float]) -> None:
    assert 0 <= rising(values) <= 1
    assert rising(values) == 1.0 or rising(values[::-1]) == 1.0  # not both ways


def test_a_verdict_has_a_sentence_in_both_languages() -> None:
    trend = trend_of([(i * 30.0, (200 + i) * MB) for i in range(480)])
    assert trend.suspected
    assert "120.0 MB an hour" in said_of(trend)
    assert "怀疑内存泄漏" in said_of(trend, "zh") and "120.0 MB" in said_of(trend, "zh")


@given(st.integers(1, 3_000), st.integers(8, 64))
def test_a_history_is_bounded_and_reaches_back_evenly(count: int, most: int) -> None:
    history = History(10.0, most=most, longest=1e9)
    for i in range(count):
        history.add(i * 10.0, float(i))
    times = [at for at, _ in history.of(0)]
    assert len(times) < most and times[0] == 0
    gaps = [b - a for a, b in pairwise(times)]
    assert all(0.9 * history.every <= gap <= history.every + 10.0 for gap in gaps)
    assert times[-1] >= (count - 1) * 10.0 - history.every


def test_a_history_forgets_what_is_too_old_and_tells_growth() -> None:
    history = History(10.0, longest=100.0)
    for i in range(50):
        history.add(i * 10.0, 2.0 * i)
    assert history.samples[0][0] == 390.0
    assert per_day(history.of(0)) == pytest.approx(0.2 * 86_400)
    assert per_day(history.of(0)[:1]) is None
    assert len(history.thinned(3)) <= 4 and history.thinned(3)[-1] == history.samples[-1]
