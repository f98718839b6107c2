"""The conformance suite of compression strategies: the law in `ctxplug.compression.strategy`.

Subclass it, override one fixture, and inherit the tests::

    class TestMyStrategy(CompressionStrategySuite):
        @pytest.fixture
        def strategy(self):
            return MyStrategy()
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ctxplug.compression import VERBATIM, CompressionStrategy, CompressionTools, Unit, total
from ctxplug.context.law import broken_law
from ctxplug.context.units import group
from ctxplug.messages import Logged, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.testing.histories import FEATURES, START, histories
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
QUICK = FEATURES - {"huge", "system", "pinned"}  # size has a test of its own
ROWS = [{"id": f"r_{i}", "客户": "王芳", "total": i * 7, "ok": True} for i in range(12)]
LOG = "10:00:01 started job 7\n" + "10:00:02 waiting\n" * 20 + "10:00:03 ERROR 磁盘已满\n"
PROSE = "Ms. Ann Lee paid $1,250.00 for invoice 4711 on 2024-05-15, and was content with it. "
CHINESE = "王芳经理在五月十五日支付了发票 4711 的 1,250.00 元，并且对服务非常满意。"
RESULTS = (
    *(json.dumps(ROWS), json.dumps(ROWS, ensure_ascii=False)[:300], str(ROWS), LOG),
    *(json.dumps({"rows": ROWS, "note": PROSE * 4}), PROSE * 6, CHINESE * 8, PROSE * 6 + "!"),
)
ODD_TEXTS = (
    *("", " ", "\n" * 60, "\0" * 90, "\ud800" * 70, "测试\ud83d" * 40, "\u202e\u2028\x85" * 40),
    *("[" * 3_000, '{"a":' * 3_000, '[{"a":1},' * 300, '{"a": NaN, "a": 1}', '"' * 99, "'{" * 99),
    *("1" * 9_000, "9" * 5_000 + ",", '3 x "a"\n' * 50, "^1\n#2{a}\n/2", "[#9{a}\n1\n2", "e\u0301"),
    *('[{"": {"": ""}}, {"": {"": ""}}]' * 9, "a,b:c{d}e[f]" * 40, "  x\t" * 99, "<|endoftext|>"),
)

# The fixture makes strategies that keep nothing between examples: that is what is tested.
_ANY = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def tools_for_tests() -> CompressionTools:
    """Return tools that estimate tokens and refer to the log of a session "trip"."""
    return CompressionTools(COUNTER, ref)


def ref(unit: Unit) -> str:
    """Return the reference of a unit, such as "trip@12" or "trip@3-40"."""
    first, last = unit.versions[0], unit.versions[-1]
    return f"trip@{first}" if first == last else f"trip@{first}-{last}"


def units_of(messages: Sequence[Message]) -> tuple[Unit, ...]:
    """Return the units of a history, as a strategy gets them; system messages are left out."""
    logged = [Logged(i + 1, m, COUNTER.count(m)) for i, m in enumerate(messages)]
    spoken = [item for item in logged if item.message.role != "system"]
    return group(spoken, opening=False).units


def called(*results: str | ToolResultPart, say: str = "", start: int = 0) -> list[Message]:
    """Return an assistant's message that calls once for each of `results`, and the results."""
    calls = [ToolCallPart(f"c{start}_{i}", "look_up", {"n": i}) for i in range(len(results))]
    text = [TextPart(say)] if say else []
    messages = [Message("assistant", (*text, *calls), created_at=START, id=f"a{start}")]
    for call, result in zip(calls, results, strict=True):
        if isinstance(result, str):
            result = ToolResultPart(call.id, (TextPart(result),), name=call.name)
        part = ToolResultPart(call.id, result.content, result.is_error, call.name, result.extra)
        messages.append(Message("tool", part, created_at=START, id=f"t{call.id}"))
    return messages


@st.composite
def working_histories(draw: st.DrawFn) -> list[Message]:
    """Draw a history with results worth compressing among those that are not."""
    messages = [Message("user", "Look it up. 查一下。", created_at=START, id="u")]
    texts = st.sampled_from(RESULTS) | st.sampled_from(ODD_TEXTS) | st.text(max_size=300)
    for results in draw(st.lists(st.lists(texts, min_size=1, max_size=3), max_size=6)):
        messages += called(
            *results, say=draw(st.sampled_from(("", PROSE * 5))), start=len(messages)
        )
    return messages


class CompressionStrategySuite:
    """The laws of `ctxplug.compression.strategy.CompressionStrategy`."""

    @pytest.fixture
    def strategy(self) -> CompressionStrategy:
        """Override: return the strategy under test."""
        raise NotImplementedError

    def test_it_is_a_strategy_with_a_name(self, strategy: CompressionStrategy) -> None:
        """It has `name` and `compress`, and is not called verbatim."""
        assert isinstance(strategy, CompressionStrategy)
        assert strategy.name and strategy.name != VERBATIM

    def test_no_units_give_no_units(self, strategy: CompressionStrategy) -> None:
        """Nothing in, nothing out."""
        assert tuple(strategy.compress((), 0, tools_for_tests())) == ()

    @_ANY
    @given(messages=histories(features=QUICK), share=st.sampled_from((0, 2, 20, 50, 80, 99)))
    def test_the_law_holds_for_agent_histories(
        self, strategy: CompressionStrategy, messages: list[Message], share: int
    ) -> None:
        """Every rule, for histories with calls, thinking, images and opaque parts."""
        event("changed" if check_law(strategy, units_of(messages), share) else "unchanged")

    @_ANY
    @given(messages=working_histories(), share=st.sampled_from((0, 2, 20, 50, 80, 99)))
    def test_the_law_holds_for_large_and_odd_results(
        self, strategy: CompressionStrategy, messages: list[Message], share: int
    ) -> None:
        """Every rule, for results that are worth compressing and results that are broken."""
        event("changed" if check_law(strategy, units_of(messages), share) else "unchanged")

    @pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
    def test_any_text_is_survived(self, strategy: CompressionStrategy, text: str) -> None:
        """Rule 5: odd texts as results, as the assistant's words and as the user's."""
        for padded in (text, text + PROSE * 9, json.dumps([text] * 40)):
            messages = [
                *called(padded, say=padded),
                Message("user", padded, id="u", created_at=START),
            ]
            check_law(strategy, units_of(messages), 0)

    def test_a_long_line_is_survived(self, strategy: CompressionStrategy) -> None:
        """Rule 5: 50,000 characters on one line."""
        for piece in ("x", "中", "a b ", '{"a":1},', "1,"):
            check_law(strategy, units_of(called(piece * (50_000 // len(piece)))), 0)

    @pytest.mark.slow
    @pytest.mark.parametrize("piece", ["x", "中", "a b ", '{"a":1},', "1,", "Abc.", "/a", "'a"])
    def test_a_megabyte_on_one_line_is_survived(
        self, strategy: CompressionStrategy, piece: str
    ) -> None:
        """Rule 5, in time: a strategy that is not linear is felt here."""
        check_law(strategy, units_of(called(piece * (1_000_000 // len(piece)))), 0)

    @_ANY
    @given(messages=working_histories())
    def test_nothing_is_changed_where_the_target_is_met(
        self, strategy: CompressionStrategy, messages: list[Message]
    ) -> None:
        """Rule 3: a strategy stops once the target is met."""
        units = units_of(messages)
        assert tuple(strategy.compress(units, total(units), tools_for_tests())) == units


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
    assert [_said(unit) for unit in again] == [_said(unit) for unit in result], "not deterministic"
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


def _said(unit: Unit) -> tuple[object, ...]:
    return unit.form, unit.sources, [repr(item.message.to_dict()) for item in unit.items]
