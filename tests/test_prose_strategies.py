"""The law of compression strategies, for those that work on prose; see strategy.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import codec
from ctxplug.compression import CompressionStrategy, CompressionTools, Unit, total
from ctxplug.compression.digest import Digest
from ctxplug.compression.drop_low_priority import DropLowPriority
from ctxplug.compression.extractive import Extractive
from ctxplug.compression.extractive_summarizer import ExtractiveSummarizer
from ctxplug.compression.merge_similar import MergeSimilar
from ctxplug.compression.summarize import Summarize
from ctxplug.context.units import group
from ctxplug.messages import Logged, Message
from ctxplug.testing.histories import histories
from ctxplug.tokens.estimate import estimate

COUNTER = estimate()
STRATEGIES: list[CompressionStrategy] = [
    *(Extractive(), Digest(), Digest(telegraphic=False, chain=1.0, fan=2), MergeSimilar()),
    *(MergeSimilar(overlap=0.1), DropLowPriority(), Summarize()),
]
ODD = ["", "a" * 100_000, "\ud800", "\x00", "." * 100_000, "</earlier_conversation>" * 99]
ODD += ["中" * 50_000, "你好。" * 9_000, "\n" * 9_999, "```\nx", "a. " * 9_000, "👍"]


def ref(unit: Unit) -> str:
    first, last = unit.versions[0], unit.versions[-1]
    return f"trip@{first}" if first == last else f"trip@{first}-{last}"


TOOLS = CompressionTools(COUNTER, ref, ExtractiveSummarizer())


def units_of(messages: Sequence[Message]) -> tuple[Unit, ...]:
    logged = [Logged(i, m, COUNTER.count(m)) for i, m in enumerate(messages, 1)]
    return group([item for item in logged if item.message.role != "system"]).units


def check_law(strategy: CompressionStrategy, before: Sequence[Unit], target: int) -> None:
    copies = [[item.message.to_dict() for item in unit.items] for unit in before]
    after = strategy.compress(before, target, TOOLS)
    assert after == strategy.compress(before, target, TOOLS)
    assert [[i.message.to_dict() for i in unit.items] for unit in before] == copies
    assert total(after) <= total(before)
    for item in (item for unit in after if unit.form != "verbatim" for item in unit.items):
        assert item.tokens == COUNTER.count(item.message)
    old = {id(unit) for unit in before}
    seen = [v for unit in after for v in unit.versions]
    assert sorted(set(seen)) == sorted({v for unit in before for v in unit.versions})
    firsts = [unit.versions[0] for unit in after]
    assert firsts == sorted(firsts)
    for unit in after:
        codec.encode([item.message.to_dict() for item in unit.items])
        if id(unit) not in old:
            assert unit.form == strategy.name
            assert unit.sources
            assert ref(unit) in "\n".join(item.message.text for item in unit.items)
            assert not any(item.message.tool_calls for item in unit.items)
    if total(before) <= target:
        assert after == tuple(before)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
@settings(deadline=None, max_examples=15)
@given(messages=histories(max_turns=6), share=st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.9, 1.0]))
def test_the_law_holds_for_agent_histories(
    strategy: CompressionStrategy, messages: list[Message], share: float
) -> None:
    units = units_of(messages)
    check_law(strategy, units, int(share * total(units)))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.99])
def test_the_law_holds_for_odd_texts(strategy: CompressionStrategy, share: float) -> None:
    texts = [*ODD, *["I moved to Lisbon on 5 May. It is fine.", "我五月五日搬到了里斯本。"] * 3]
    messages = [
        Message("user" if i % 2 == 0 else "assistant", text, created_at=i, id=str(i))
        for i, text in enumerate(texts)
    ]
    units = tuple(Unit((Logged(i, m, COUNTER.count(m)),)) for i, m in enumerate(messages, 1))
    check_law(strategy, units, int(share * total(units)))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_no_units_give_none_and_what_fits_is_left_as_it_is(strategy: CompressionStrategy) -> None:
    assert strategy.compress((), 0, TOOLS) == ()
    units = units_of([Message("user", "Hello there. " * 20, created_at=0)])
    assert strategy.compress(units, total(units), TOOLS) == units


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_what_one_strategy_made_the_next_can_take(strategy: CompressionStrategy) -> None:
    said = [
        Message("user", f"On day {i} I paid {i * 37} euros for {w}. Great!", created_at=i)
        for i, w in enumerate(["wood", "paint", "glass", "搬家", "运输费用"] * 20)
    ]
    units = units_of(said)
    for other in STRATEGIES:
        check_law(strategy, other.compress(units, total(units) // 2, TOOLS), total(units) // 5)
