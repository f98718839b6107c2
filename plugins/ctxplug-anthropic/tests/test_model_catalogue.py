"""Which model is chosen, and what is never guessed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ctxplug_anthropic import Catalogue, Model, NoModelError, select_model
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.errors import InvalidValueError
from ctxplug.tokens.prices import Prices

NOW = date(2026, 11, 1)
PRICES = Prices({"claude-sonnet-5-5": {"input": 2, "output": 10}}, environ={})


def catalogue(overrides: Any = None, prices: Prices | None = None) -> Catalogue:
    return Catalogue(overrides, prices=prices or Prices(environ={}), environ={})


def test_the_data_is_whole() -> None:
    models = list(catalogue())
    assert len(models) >= 10 and catalogue().as_of
    for model in models:
        assert 0 < model.max_output < model.context_window
        assert model.released is not None and "tools" in model.capabilities
        assert (model.price is None) == (model.price_as_of is None)
    names = {model.name for model in models}
    for use_case, chosen in catalogue().use_cases.items():
        assert set(chosen) <= names, use_case


def test_prices_are_those_of_the_price_table_and_unknown_is_not_zero() -> None:
    prices = Prices(environ={})
    for model in catalogue():
        assert model.price == prices.price_of(model.name)
        assert (model.cost(1000, 1000) is None) == (model.price is None)
    known = catalogue().get("claude-haiku-4-5")
    assert known is not None and known.cost(1_000_000, 1_000_000) == 6.0
    assert known.price_as_of == prices.as_of


@pytest.mark.parametrize(
    "name",
    [
        "claude-haiku-4-5",
        "claude-haiku-4-5-20251001",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic/Claude-Haiku-4-5",
    ],
)
def test_names_of_other_platforms_are_found(name: str) -> None:
    model = catalogue().get(name)
    assert model is not None and model.name == "claude-haiku-4-5"


def test_a_sibling_is_not_guessed() -> None:
    assert catalogue().get("claude-haiku-4-7") is None
    assert catalogue().get("gpt-5") is None


def test_the_preferred_model_is_chosen_and_the_budget_leads_to_a_cheaper_one() -> None:
    models = catalogue(prices=PRICES)
    assert models.select("chat", today=NOW).name == "claude-sonnet-5-5"
    large = {"input_tokens": 50_000, "output_tokens": 1_000, "today": NOW}
    assert models.select("chat", 1.0, **large).name == "claude-sonnet-5-5"  # $0.11
    assert models.select("chat", 0.06, **large).name == "claude-haiku-4-5"  # $0.055
    with pytest.raises(NoModelError, match="has no known price") as caught:
        models.select("chat", 0.01, **large)
    assert "would cost $0.11" in caught.value.reasons["claude-sonnet-5-5"]


def test_a_model_must_be_able_to_do_it() -> None:
    models = catalogue()
    assert models.select("extraction", requires=["sampling"], today=NOW).name == "claude-haiku-4-5"
    with pytest.raises(NoModelError, match="window of 200,000"):
        models.select("summary", input_tokens=900_000, requires=["sampling"], today=NOW)
    with pytest.raises(NoModelError, match="at most 64,000"):
        models.select("summary", output_tokens=200_000, today=NOW)
    with pytest.raises(NoModelError, match="lacks smell"):
        models.select("summary", requires=["smell"], today=NOW)


def test_a_retired_model_is_not_chosen() -> None:
    models = catalogue({"use_cases": {"old": ["claude-sonnet-4-5", "claude-haiku-4-5"]}})
    assert models.select("old", today=date(2026, 11, 29)).name == "claude-sonnet-4-5"
    assert models.select("old", today=date(2026, 11, 30)).name == "claude-haiku-4-5"


def test_an_unknown_use_case_names_the_known_ones() -> None:
    with pytest.raises(InvalidValueError, match="chat, coding"):
        select_model("poetry")
    assert isinstance(select_model("chat"), Model)


def test_the_fallback_is_the_dearest_that_is_cheaper_and_fits() -> None:
    models = catalogue()
    size = {"input_tokens": 100_000, "output_tokens": 2_000, "today": NOW}
    opus = "claude-opus-4-6"
    assert models.affordable(opus, 5.0, **size).name == opus
    assert models.affordable(opus, 0.4, **size).name == "claude-sonnet-4-6"
    assert models.affordable(opus, 0.2, **size).name == "claude-haiku-4-5"
    with pytest.raises(NoModelError):
        models.affordable(opus, 0.01, **size)
    assert models.cheaper("claude-haiku-4-5") == [] == models.cheaper("unknown")


@given(st.floats(0, 5), st.integers(0, 900_000), st.integers(1, 60_000))
def test_what_is_affordable_is_never_over_budget_and_never_dearer(
    budget: float, inputs: int, outputs: int
) -> None:
    models = catalogue(prices=PRICES)
    for name in ("claude-opus-4-6", "claude-sonnet-5-5"):
        mine = models.get(name)
        assert mine is not None
        try:
            found = models.affordable(
                name, budget, input_tokens=inputs, output_tokens=outputs, today=NOW
            )
        except NoModelError as exc:
            assert name in exc.reasons
            continue
        cost, own = found.cost(inputs, outputs), mine.cost(inputs, outputs)
        assert cost is not None and own is not None
        assert cost <= budget and inputs + outputs <= found.context_window
        assert found == mine or own > budget or inputs + outputs > mine.context_window


def test_overrides_are_laid_over_the_data(tmp_path: Path) -> None:
    data = {
        "as_of": "2026-11-02",
        "models": {
            "claude-sonnet-5-5": {"price": {"input": 2.0, "output": 10.0}},
            "claude-fable-5": None,
            "house-model": {
                "context_window": 8_000,
                "max_output": 2_000,
                "capabilities": ["tools"],
            },
        },
        "use_cases": {"chat": ["house-model"]},
    }
    path = tmp_path / "models.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    by_file = Catalogue(environ={"CTXPLUG_MODELS": str(path)})
    for models in (catalogue(data), catalogue(path), catalogue(str(path)), by_file):
        sonnet = models.get("claude-sonnet-5-5")
        assert sonnet is not None and sonnet.cost(1_000_000, 0) == 2.0
        assert sonnet.context_window == 1_000_000 and sonnet.price_as_of == "2026-11-02"
        assert models.get("claude-fable-5") is None
        assert models.select("chat", today=NOW).name == "house-model"
    again = Catalogue(
        {"use_cases": {"chat": ["claude-opus-5"]}}, environ={"CTXPLUG_MODELS": str(path)}
    )
    assert again.select("chat", today=NOW).name == "claude-opus-5"


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": []},
        {"models": {"m": {"context_window": 10}}},
        {"models": {"m": {"context_window": 0, "max_output": 1}}},
        {"models": {"m": {"context_window": "many", "max_output": 1}}},
        {"models": {"m": {"context_window": 10, "max_output": 1, "released": "May"}}},
        {"models": {"m": {"context_window": 10, "max_output": 1, "size": 3}}},
        {"models": {"m": {"context_window": 10, "max_output": 1, "price": {"input": 1}}}},
        {"models": {"m": {"context_window": 10, "max_output": 1, "capabilities": "vision"}}},
        {"use_cases": []},
        {"use_cases": {"chat": "claude-opus-5"}},
        {"use_cases": {"chat": [5]}},
        "there-is-no-such-file.json",
    ],
)
def test_data_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidValueError):
        catalogue(wrong)
