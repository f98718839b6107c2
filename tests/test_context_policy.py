"""When a window is compacted and how far: the net gain, the presets, endless sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import log2
from typing import Any

import pytest
from orders import compactions, open_on, stands_for, turn

from ctxplug import AgentMemory, ContextWindow, Message
from ctxplug.compression import CompressionTools, Unit, total
from ctxplug.context.gate import reckon, warmth
from ctxplug.context.policy import PRESETS, ContextPolicy
from ctxplug.storage.in_memory import InMemoryBackend

# -- the gate -------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [100, 2_000, 50_000])
@pytest.mark.parametrize("suffix", [0, 10_000, 50_000])
@pytest.mark.parametrize("calls", [1, 20, 300])
@pytest.mark.parametrize("warm", [0.0, 1.0])
def test_the_gain_is_that_of_the_formula(
    removed: int, suffix: int, calls: int, warm: float
) -> None:
    r, w = 0.1, 1.25
    expected = removed * (w + r * (calls - 1)) - warm * (w - r) * (suffix + removed)
    gain = reckon(removed, suffix, calls=calls, warm=warm)
    assert gain.gain == pytest.approx(expected)
    assert gain.pays == (expected > 0)
    assert reckon(removed, suffix, calls=calls, warm=warm, forced=True).pays


def test_an_edit_of_a_warm_prefix_breaks_even_where_it_should() -> None:
    # R = 11.5 S / dT: 2k before 50k needs 288 calls, 50k before 10k needs 2.3.
    assert not reckon(2_000, 50_000, calls=287, warm=1.0).pays
    assert reckon(2_000, 50_000, calls=289, warm=1.0).pays
    assert not reckon(50_000, 10_000, calls=2, warm=1.0).pays
    assert reckon(50_000, 10_000, calls=3, warm=1.0).pays


def test_an_edit_of_a_cold_prefix_always_pays() -> None:
    assert reckon(1, 1_000_000, calls=1, warm=0.0).pays
    assert warmth(299.0, 300.0) == 1.0
    assert warmth(300.0, 300.0) == 0.0
    assert warmth(None, 300.0) == 0.0  # nothing was sent yet


def test_the_gain_in_the_report_counts_from_the_first_changed_unit() -> None:
    memory = open_on(InMemoryBackend(), budget=2_000)
    gains = [w.report.gain for w in agent(memory, range(60)) if w.report.gain]
    assert len(gains) > 1
    for entry, gain in zip(compactions(memory), gains, strict=True):
        assert entry.body["gain"] == gain.to_dict()
        left = total_of(entry.body["units"], memory)
        assert 0 < gain.suffix <= left and gain.removed > 0


def total_of(units: Sequence[dict[str, Any]], memory: AgentMemory) -> int:
    tokens = 0
    for unit in units:
        for item in unit.get("items", ()):
            tokens += item["tokens"]
        for version in unit.get("verbatim", ()):
            (message,) = memory.original(f"@{version}")
            tokens += memory.counter.count(message)
    return tokens


def agent(memory: AgentMemory, turns: Sequence[int]) -> Iterator[ContextWindow]:
    for n in turns:
        for message in turn(n):
            if message.role == "assistant":
                yield memory.context()
            memory.add(message)


class Watching:
    """A strategy that does nothing, and counts how often it was asked to."""

    name = "watching"
    calls = 0

    def compress(
        self, units: Sequence[Unit], target: int, tools: CompressionTools
    ) -> tuple[Unit, ...]:
        self.calls += 1
        return tuple(units)


def test_a_compaction_that_would_not_pay_is_not_tried_at_every_call() -> None:
    watching = Watching()
    policy = ContextPolicy(strategies=(watching,), high=0.3, low=0.1, cold=0.3, keep_last=0)
    memory = open_on(InMemoryBackend(), policy=policy, budget=4_000)
    memory.extend([message for n in range(20) for message in turn(n)])
    tokens = memory.context().tokens
    assert tokens > 0.3 * memory.context().report.limit
    assert watching.calls == 1
    for _ in range(5):
        memory.context()
    assert watching.calls == 1
    while memory.context().tokens < tokens + memory.context().report.limit // 20:
        memory.add("user", "And another thing about Lisbon, while we are at it.")
    memory.context()
    assert watching.calls == 2
    assert not compactions(memory)


# -- when, and how far ------------------------------------------------------------------


def shares(policy: str | ContextPolicy, turns: int = 150) -> tuple[float, float, float, int]:
    """Return the fullest window, the first before and after compaction, and how many there were.

    All as shares of the limit.
    """
    memory = open_on(InMemoryBackend(), policy=policy, budget=2_000)
    before, after, fullest = [], [], 0.0
    previous = None
    for window in agent(memory, range(turns)):
        share = window.tokens / window.report.limit
        fullest = max(fullest, share)
        if window.report.compaction and previous is not None:
            before.append(previous)
            after.append(share)
        previous = share
    return fullest, max(before), max(after), len(after)


def test_presets_compact_when_and_as_far_as_they_say() -> None:
    seen = {name: shares(name) for name in PRESETS}
    for name, (fullest, before, after, count) in seen.items():
        policy = PRESETS[name]
        assert fullest <= policy.high + 0.1 and fullest <= 1.0, name
        assert before <= policy.high, name
        assert after <= policy.low + 0.15, name
        assert count, name
    assert seen["aggressive"][0] < seen["balanced"][0] < seen["conservative"][0]
    assert seen["aggressive"][2] < seen["balanced"][2] < seen["conservative"][2]
    assert seen["conservative"][1] > 0.9


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].keep_last])
def test_a_preset_keeps_the_newest_units_word_for_word(name: str) -> None:
    memory = open_on(InMemoryBackend(), policy=name, budget=3_000)
    kept = PRESETS[name].keep_last
    seen = 0
    for window in agent(memory, range(60)):
        if not window.report.compaction:
            continue
        seen += 1
        closed = [unit for unit in window.report.frozen][:-1]  # the last is the question
        newest = closed[-kept:]
        assert [unit.form for unit in newest if unit.items[0].message.role != "user"]
        assert {unit.form for unit in newest} == {"verbatim"}
    assert seen


def test_results_of_kept_tools_and_pins_are_never_changed() -> None:
    policy = ContextPolicy(keep_tools=("get_order",), keep_last=0)
    memory = open_on(InMemoryBackend(), policy=policy, budget=1_500)
    memory.add(Message("user", "My name is Ana.", pinned=True, id="pin"))
    said = [message for n in range(6) for message in turn(n)]
    memory.extend([*said, *(m for n in range(6, 60) for m in turn(n, tools=False))])
    memory.add("user", "Now?")
    window = memory.context()
    assert window.report.compaction
    sent = {message.id: message for message in window.messages}
    assert sent["pin"].text == "My name is Ana."
    for message in said:
        if message.tool_calls or message.tool_results:
            assert sent[message.id] == message


def test_a_cold_cache_lets_a_window_be_compacted_early() -> None:
    def after(assistant_spoke: timedelta) -> ContextWindow:
        memory = open_on(InMemoryBackend(), budget=2_000)
        now = datetime.now(UTC)
        while memory.context().tokens < 0.75 * 1_800 if memory.messages() else True:
            n = len(memory.messages())
            memory.extend(
                [replace(m, created_at=now - assistant_spoke) for m in turn(n, tools=False)]
            )
        memory.add("user", "And now?")
        return open_on(memory.backend, budget=2_000).context()  # as after a restart

    warm, cold = after(timedelta(seconds=10)), after(timedelta(hours=1))
    assert not warm.report.compaction
    assert cold.report.compaction
    assert cold.report.gain is not None and cold.report.gain.warm == 0.0


# -- endless sessions ----------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What is in the window after so many turns."""

    turns: int
    digests: int
    digest_tokens: int
    units: int
    versions: int


def endless(turns: int, every: int, budget: int) -> list[Row]:
    memory = open_on(InMemoryBackend(), budget=budget)
    rows = []
    for n in range(turns):
        messages = turn(n, tools=n % 3 == 0, chinese=n % 2 == 0)
        memory.extend(messages[:-1])
        window = memory.context()
        memory.add(messages[-1])
        if (n + 1) % every == 0:
            digests = [unit for unit in window.report.frozen if unit.form == "digest"]
            units = len(window.report.frozen) + len(window.report.recent)
            row = Row(n + 1, len(digests), total(digests), units, len(stands_for(window)))
            rows.append(row)
    return rows


def check_endless(rows: Sequence[Row], budget: int) -> None:
    assert rows[-1].digests
    for row in rows:
        assert row.versions > 2 * row.turns  # nothing is forgotten
        assert row.digests <= 4 * (1 + log2(row.turns))
        assert row.digest_tokens <= PRESETS["balanced"].low * budget
        assert row.units <= budget // 15


@pytest.mark.parametrize("budget", [2_000, 8_000])
def test_the_digest_of_a_long_session_stays_under_the_low_mark(budget: int) -> None:
    check_endless(endless(600, 100, budget), budget)


@pytest.mark.slow
@pytest.mark.parametrize("budget", [2_000, 32_000])
def test_ten_thousand_turns_stay_within_the_budget(budget: int) -> None:
    check_endless(endless(10_000, 500, budget), budget)
