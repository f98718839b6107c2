"""The price table: dated, overridable, and unknown where it does not know."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import InvalidValueError
from ctxplug.tokens.prices import CacheRatios, Price, Prices, cost
from ctxplug.tokens.usage import Usage

PRICES = Prices(environ={})
COUNT = st.integers(0, 10**7)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("Claude-Opus-4-5", "claude-opus-4-5"),
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
    ],
)
def test_a_vendor_in_front_and_a_version_behind_are_overlooked(name: str, model: str) -> None:
    assert PRICES.price_of(name) == PRICES.price_of(model) is not None


@pytest.mark.parametrize(
    "name",
    [None, "", "gpt-4o-audio-preview", "gpt-5.99", "claude-sonnet", "o3-deep-research", "通义千问"],
)
def test_a_model_that_is_not_in_the_table_has_no_price_rather_than_a_siblings(name: Any) -> None:
    assert PRICES.price_of(name) is None
    assert cost(Usage(1_000, 1_000, model=name), PRICES.price_of(name)) is None


def test_a_version_with_its_own_price_has_it() -> None:
    old, new = PRICES.price_of("gpt-4o-2024-05-13"), PRICES.price_of("gpt-4o")
    assert old and new and (old.input, new.input) == (5, 2.5)


def test_the_table_is_dated_and_every_price_in_it_makes_sense() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", PRICES.as_of)
    names = list(PRICES)
    assert len(names) > 30
    for name in names:
        price = PRICES.price_of(name)
        assert price and 0 < price.input < price.output <= 200, name
        assert price.cache_read is None or price.cache_read < price.input, name
        assert price.long is None or price.long.input > price.input, name
        if name.startswith("claude"):
            assert price.cache_write and price.cache_write_1h, name
            assert price.input < price.cache_write < price.cache_write_1h, name


def test_a_call_costs_the_sum_of_its_parts() -> None:
    price = Price(input=3, output=15, cache_read=0.3, cache_write=3.75, cache_write_1h=6)
    usage = Usage(1_000, 100, 10_000, 2_000, cache_write_1h_tokens=500)
    assert cost(usage, price) == pytest.approx(
        (1_000 * 3 + 100 * 15 + 10_000 * 0.3 + 1_500 * 3.75 + 500 * 6) / 1e6
    )


def test_what_has_no_cache_price_costs_as_much_as_plain_input() -> None:
    usage = Usage(1, 0, 1, 1, cache_write_1h_tokens=1)
    assert cost(usage, Price(input=1.0, output=2.0)) == pytest.approx(3e-6)


def test_long_input_has_its_own_price_from_the_token_after_the_mark() -> None:
    price = PRICES.price_of("gemini-2.5-pro")
    assert price is not None
    at, beyond = Usage(200_000, model="x"), Usage(0, 0, 200_001)
    assert cost(at, price) == pytest.approx(0.25)
    assert cost(beyond, price) == pytest.approx(200_001 * 0.25 / 1e6)


@given(COUNT, COUNT, COUNT, COUNT)
def test_no_call_costs_more_than_its_tokens_at_the_dearest_rate(
    plain: int, output: int, read: int, written: int
) -> None:
    usage = Usage(plain, output, read, written, cache_write_1h_tokens=written // 2)
    for model in ("claude-sonnet-4-5", "gpt-4o", "gemini-2.5-pro", "gpt-3.5-turbo"):
        price = PRICES.price_of(model)
        assert price is not None
        found = cost(usage, price)
        assert found is not None and 0 <= found <= usage.total * price.dearest / 1e6 + 1e-9


# -- overriding --------------------------------------------------------------------


def test_overrides_add_replace_and_remove() -> None:
    prices = Prices(
        {"My-Model": {"input": 1.0, "output": 2.0}, "gpt-4o": Price(9, 9), "gpt-4": None},
        environ={},
    )
    assert prices.price_of("my-model") == Price(1.0, 2.0)
    assert prices.price_of("openai/gpt-4o-2024-08-06") == Price(9, 9)
    assert prices.price_of("gpt-4") is None and "gpt-4" not in list(prices)
    assert PRICES.price_of("gpt-4") is not None


def test_a_file_named_by_the_environment_is_laid_over_the_table(tmp_path: Path) -> None:
    file = tmp_path / "价格.json"
    models = {"通义千问": {"input": 0.5, "output": 1.5}, "gpt-4o": {"input": 1, "output": 2}}
    file.write_text(json.dumps({"as_of": "2031-01-01", "models": models}), encoding="utf-8")
    prices = Prices({"gpt-4o": Price(7, 8)}, environ={"CTXPLUG_PRICES": str(file)})
    assert prices.as_of == "2031-01-01"
    assert prices.price_of("通义千问") == Price(0.5, 1.5)
    assert prices.price_of("gpt-4o") == Price(7, 8)  # what the program says comes first
    assert prices.price_of("claude-haiku-4-5") == PRICES.price_of("claude-haiku-4-5")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": {"m": {"input": 1}}}', "not json"])
def test_a_file_that_is_no_price_table_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(InvalidValueError):
        Prices(environ={"CTXPLUG_PRICES": str(file)})


def test_a_file_that_is_not_there_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="CTXPLUG_PRICES"):
        Prices(environ={"CTXPLUG_PRICES": str(tmp_path / "none.json")})


@pytest.mark.parametrize(
    "price",
    [
        {"input": -1, "output": 1},
        {"input": "1", "output": 1},
        {"input": 1, "output": float("nan")},
        {"input": 1, "output": True},
        {"input": 1, "output": None},
        {"input": 1, "output": 1, "cached": 0.1},
        {"input": 1, "output": 1, "above": 5},
        {"input": 1, "output": 1, "long": {"input": 2, "output": 2}},
        3.0,
    ],
    ids=repr,
)
def test_a_price_that_makes_no_sense_is_refused(price: Any) -> None:
    with pytest.raises(InvalidValueError):
        Prices({"m": price}, environ={})


# -- ratios ------------------------------------------------------------------------


def test_cache_prices_relative_to_input_are_known_even_where_the_price_is_not() -> None:
    assert PRICES.ratios_of("nobody-knows") == CacheRatios(0.1, 1.25, 2.0)
    claude, gpt = PRICES.ratios_of("claude-sonnet-4-5"), PRICES.ratios_of("gpt-4o")
    assert (claude.read, claude.write, claude.write_1h) == pytest.approx((0.1, 1.25, 2.0))
    assert (gpt.read, gpt.write, gpt.write_1h) == pytest.approx((0.5, 1.0, 1.0))
    assert Prices({"free": Price(0, 0)}, environ={}).ratios_of("free") == CacheRatios()


def test_prices_are_values() -> None:
    price = Price(1, 2)
    assert replace(price, input=3) == Price(3, 2) != price
