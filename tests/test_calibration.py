"""What the provider counted corrects the estimate, and the margin covers the rest."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ctxplug import codec
from ctxplug.errors import InvalidValueError
from ctxplug.tokens.calibration import Calibration, limit

FRESH = Calibration("claude-sonnet-4-5", "estimate:claude")
COUNTS = st.tuples(st.integers(1, 200_000), st.integers(1, 400_000))


def seen(*ratios: float, counted: int = 100_000) -> Calibration:
    calibration = FRESH
    for ratio in ratios:
        calibration = calibration.observe(counted, round(counted * ratio))
    return calibration


def test_without_samples_the_counters_own_margin_holds() -> None:
    assert FRESH.margin(0.1) == 0.1
    assert FRESH.limit(11_000, 0.1) == limit(11_000, 0.1) == limit(11_000, 0.1, FRESH) == 10_000
    assert FRESH.estimate(1_234) == 1_234


def test_an_exact_counter_that_is_right_leaves_no_margin() -> None:
    assert seen(1.0, 1.0, 1.0).limit(8_000, 0.0) == 8_000


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.2, 2.0])
def test_the_mean_approaches_a_steady_ratio_and_the_margin_shrinks(ratio: float) -> None:
    steps = [seen(*[ratio] * n) for n in range(1, 60)]
    off = [abs(one.ratio - ratio) for one in steps]
    margins = [one.margin(0.1) for one in steps]
    assert off == sorted(off, reverse=True) and off[-1] < 0.01
    assert margins == sorted(margins, reverse=True) and margins[-1] < 0.02
    assert 0.96 * 10_000 < steps[-1].limit(10_000, 0.1) * ratio <= 10_000


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=30))
@settings(deadline=None)
def test_the_limit_covers_the_request_that_was_just_seen(ratios: list[float]) -> None:
    """The same ratio again would fit: counted at the limit, the provider stays in budget."""
    assert seen(*ratios).limit(1_000_000, 0.0) * ratios[-1] <= 1_000_000 * 1.001


@given(st.lists(COUNTS, max_size=30), st.integers(1, 10**7), st.floats(0.0, 0.5))
@settings(deadline=None)
def test_values_stay_in_bounds_whatever_is_reported(
    pairs: list[tuple[int, int]], budget: int, prior: float
) -> None:
    calibration = FRESH
    for counted, actual in pairs:
        calibration = calibration.observe(counted, actual)
    assert calibration.samples == len(pairs)
    assert 0.25 <= calibration.ratio <= 4.0
    assert 0.0 <= calibration.margin(prior) <= 3.0
    assert 0 <= calibration.limit(budget, prior) <= 4 * budget


@given(st.lists(COUNTS, max_size=5))
def test_json_and_back_is_the_same(pairs: list[tuple[int, int]]) -> None:
    calibration = FRESH
    for counted, actual in pairs:
        calibration = calibration.observe(counted, actual)
    data = codec.decode(codec.encode(calibration.to_dict()))
    assert Calibration.from_dict(data) == calibration


@given(st.floats(0.8, 1.5), st.floats(0.0, 0.2), st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_few_requests_of_a_noisy_model_go_over(middle: float, noise: float, seed: int) -> None:
    """After ten samples, at most 8 % of 400 requests at the limit pass the budget, none by much."""
    draw = random.Random(seed)
    ratios = [middle * (1 + draw.uniform(-noise, noise)) for _ in range(410)]
    calibration, over = seen(*ratios[:10]), []
    for ratio in ratios[10:]:
        over.append(calibration.limit(100_000, 0.1) * ratio / 100_000)
        calibration = calibration.observe(50_000, round(50_000 * ratio))
    assert sum(one > 1 for one in over) <= 32
    assert max(over) <= 1 + noise


def test_a_wider_spread_keeps_more_free() -> None:
    tight, wide = seen(*[1.15, 1.25] * 20), seen(*[0.9, 1.5] * 20)
    assert wide.margin(0.1) > tight.margin(0.1) > seen(*[1.2] * 40).margin(0.1)


def test_a_sudden_change_is_followed_and_covered_at_once() -> None:
    changed = seen(*[1.0] * 50, 1.5)
    assert changed.limit(10_000, 0.1) * 1.5 <= 10_000
    assert abs(seen(*[1.0] * 50, *[1.5] * 30).ratio - 1.5) < 0.05


@pytest.mark.parametrize("pair", [(0, 10), (10, 0), (-1, 5), (5, -1)])
def test_a_request_without_tokens_teaches_nothing_and_is_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(InvalidValueError, match="tokens"):
        FRESH.observe(*pair)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"model": "m", "counter": "c", "ratio": float("nan")},
        {"model": "m", "counter": "c", "ratio": 9.0},
        {"model": "m", "counter": "c", "spread": -1.0},
        {"model": "m", "counter": "c", "samples": -1},
        {"model": "m", "counter": "c", "more": 1},
    ],
)
def test_what_is_no_calibration_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match="calibration"):
        Calibration.from_dict(data)


@given(COUNTS)
def test_observing_changes_nothing_that_was_there(pair: tuple[int, int]) -> None:
    assume(pair[0] != pair[1])
    before = seen(1.1, 1.3)
    copy = Calibration.from_dict(before.to_dict())
    assert before.observe(*pair) != before == copy
