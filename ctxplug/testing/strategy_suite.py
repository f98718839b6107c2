"""The conformance suite of compression strategies: the law in `ctxplug.compression.strategy`.

Subclass it, override one fixture, and inherit the tests::

    class TestMyStrategy(CompressionStrategySuite):
        @pytest.fixture
        def strategy(self):
            return MyStrategy()

What is broken is said by the test of its rule; those that search for more check every rule
at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug.compression import CompressionStrategy, Unit, total
from ctxplug.context.law import broken_law
from ctxplug.messages import Message
from ctxplug.testing.histories import START, histories
from ctxplug.testing.strategy_data import (
    COUNTER,
    ODD_TEXTS,
    PROSE,
    QUICK,
    RESULTS,
    called,
    ref,
    tools_for_tests,
    units_of,
    working_histories,
)
from ctxplug.testing.strategy_laws import StrategyLaws, said
from ctxplug.testing.suite import answering, examples, not_overridden

__all__ = [
    "RESULTS",
    "CompressionStrategySuite",
    "called",
    "check_law",
    "tools_for_tests",
    "units_of",
]

_ANY = examples(40)


class CompressionStrategySuite(StrategyLaws):
    """The laws of `ctxplug.compression.strategy.CompressionStrategy`."""

    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        """Return the strategy under test."""
        raise not_overridden("strategy", "the compression strategy")

    @_ANY
    @given(messages=histories(features=QUICK), share=st.sampled_from((0, 2, 20, 50, 80, 99)))
    def test_the_law_holds_for_agent_histories(
        self, strategy: CompressionStrategy, messages: list[Message], share: int
    ) -> None:
        """Every rule, for histories with calls, thinking, images and opaque parts."""
        check_law(strategy, units_of(messages), share)

    @_ANY
    @given(messages=working_histories(), share=st.sampled_from((0, 2, 20, 50, 80, 99)))
    def test_the_law_holds_for_large_and_odd_results(
        self, strategy: CompressionStrategy, messages: list[Message], share: int
    ) -> None:
        """Every rule, for results that are worth compressing and results that are broken."""
        check_law(strategy, units_of(messages), share)

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    def test_any_text_is_survived(self, strategy: CompressionStrategy, text: str) -> None:
        """Rule 5: odd texts as results, as the assistant's words and as the user's."""
        for padded in (text, text + PROSE * 9, json.dumps([text] * 40)):
            messages = [
                *called(padded, say=padded),
                Message("user", padded, id="u", created_at=START),
            ]
            with answering(f"the text {text[:20]!a}"):
                check_law(strategy, units_of(messages), 0)

    def test_a_long_line_is_survived(self, strategy: CompressionStrategy) -> None:
        """Rule 5: 50,000 characters on one line."""
        for piece in ("x", "中", "a b ", '{"a":1},', "1,"):
            with answering(f"50,000 characters of {piece!r} on one line"):
                check_law(strategy, units_of(called(piece * (50_000 // len(piece)))), 0)

    @pytest.mark.slow
    @pytest.mark.parametrize("piece", ["x", "中", "a b ", '{"a":1},', "1,", "Abc.", "/a", "'a"])
    def test_a_megabyte_on_one_line_is_survived(
        self, strategy: CompressionStrategy, piece: str
    ) -> None:
        """Rule 5, in time: a strategy that is not linear is felt here."""
        check_law(strategy, units_of(called(piece * (1_000_000 // len(piece)))), 0)


def check_law(strategy: CompressionStrategy, units: Sequence[Unit], share: int) -> bool:
    """Return whether compressing `units` to `share` percent of their tokens changed them.

    Fails unless the law was kept.
    """
    target, tools, before = total(units) * share // 100, tools_for_tests(), deepcopy(units)
    result = tuple(strategy.compress(units, target, tools))
    broken = broken_law(units, result, strategy.name, COUNTER)
    assert not broken, broken
    assert units == before, "it changed what it was given"
    again = tuple(strategy.compress(before, target, tools))
    assert list(map(said, again)) == list(map(said, result)), "not deterministic"
    originals = {unit.versions: unit for unit in units}
    for unit in result:
        original = originals.get(unit.versions)
        if unit == original:
            continue
        assert unit.form == strategy.name
        assert unit.sources, "a changed unit names its sources"
        texts = "\n".join(item.message.text for item in unit.items)
        assert ref(original or unit) in texts, "a changed unit carries its reference"
    return result != tuple(units)
