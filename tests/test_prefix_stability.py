"""What was sent to the model stays byte for byte what it was, until changing it pays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory, ContextWindow, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.context.policy import PRESETS, ContextPolicy
from ctxplug.context.validity import check_anthropic
from ctxplug.errors import BudgetError
from ctxplug.transcripts import read_transcript

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")
LOOK_BACK = 20  # blocks that the API looks back from a mark

WORDS = {
    "en": (
        "Please look up order {n} for customer u_{n} and tell me when it ships.",
        "Order {n} is packed; it ships on 2024-05-{d:02d} from Lisbon and costs ${n}.50.",
        "I will check order {n} first, and then its invoice.",
    ),
    "zh": (
        "请查一下客户 u_{n} 的订单 {n}，告诉我什么时候发货。",
        "订单 {n} 已经打包；五月{d}日从里斯本发货，价格是 {n}.50 元。",
        "我先查订单 {n}，然后查它的发票。",
    ),
}


def generated(language: str, turns: int) -> Iterator[Message]:
    """Yield a long agent transcript: questions, up to three tool loops each, answers."""
    ask, answer, say = WORDS[language]
    for n in range(turns):
        fill = {"n": 1000 + n * 7, "d": n % 28 + 1}
        yield Message("user", ask.format(**fill), id=f"u{n}")
        for loop in range(n % 4):
            names = [f"c{n}-{loop}-{i}" for i in range(1 + (n + loop) % 3)]
            calls = [ToolCallPart(id, "get_order", {"order": fill["n"], "id": id}) for id in names]
            yield Message("assistant", [TextPart(say.format(**fill)), *calls], id=f"a{n}-{loop}")
            for id in names:
                rows = [
                    {"order": fill["n"] + r, "state": "packed", "note": answer.format(**fill)}
                    for r in range(1 + n % 5)
                ]
                text = TextPart(json.dumps({"id": id, "rows": rows}, ensure_ascii=False))
                yield Message("tool", ToolResultPart(id, (text,), name="get_order"), id=f"r{id}")
        yield Message("assistant", answer.format(**fill), id=f"a{n}")


def tau_bench(runs: int) -> Iterator[Message]:
    """Yield recorded agent runs, chained into one session with one system message."""
    path = DATA / "tau-bench-dev" / "airline.jsonl"
    if not path.exists():
        pytest.skip("there is no tau-bench-dev in CTXPLUG_DATA or beside the checkout")
    for i, conversation in enumerate(islice(read_transcript(path), runs)):
        yield from (m for m in conversation.messages if i == 0 or m.role != "system")


def locomo() -> Iterator[Message]:
    path = DATA / "locomo-dev" / "26.json"
    if not path.exists():
        pytest.skip("there is no locomo-dev in CTXPLUG_DATA or beside the checkout")
    for conversation in read_transcript(path):
        yield from conversation.messages


TRANSCRIPTS: dict[str, tuple[Callable[[], Iterable[Message]], int]] = {
    "generated English": (lambda: generated("en", 70), 5_000),
    "generated Chinese": (lambda: generated("zh", 70), 5_000),
    "tau-bench, short": (lambda: tau_bench(8), 5_000),
    "tau-bench": (lambda: tau_bench(12), 12_000),
    "LoCoMo": (locomo, 10_000),
}


@dataclass
class Tally:
    """What was seen on the way through a transcript."""

    calls: int = 0
    appended: int = 0
    changed: int = 0


def windows(
    messages: Iterable[Message], budget: int, policy: str | ContextPolicy
) -> Iterator[ContextWindow | None]:
    """Yield the window before each assistant message; None where it does not fit."""
    with AgentMemory.open(namespace="n", session="s", budget=budget, policy=policy) as memory:
        asked = False
        for message in messages:
            if message.role == "assistant" and asked:
                try:
                    yield memory.context()
                except BudgetError:
                    yield None
            memory.add(message)
            asked = asked or message.role == "user"


def blocks(window: ContextWindow, *, cache: bool = False) -> list[tuple[str, str, bool]]:
    """Return every block of the request in order: its role, its bytes, whether it is marked."""
    request = window.to_anthropic(cache=cache)
    found: list[tuple[str, dict[str, Any]]] = [("system", b) for b in request.get("system", ())]
    for turn in request["messages"]:
        found += [(turn["role"], block) for block in turn["content"]]
    return [
        (
            role,
            json.dumps({k: v for k, v in block.items() if k != "cache_control"}, sort_keys=True),
            "cache_control" in block,
        )
        for role, block in found
    ]


def marks(window: ContextWindow) -> list[int]:
    return [i for i, (_, _, marked) in enumerate(blocks(window, cache=True)) if marked]


def questions(window: ContextWindow) -> list[str]:
    return [m.id for m in window.messages if m.role == "user"]


def follow(drive: Iterable[ContextWindow | None]) -> Tally:
    """Hold each window against the one before it."""
    tally = Tally()
    before: ContextWindow | None = None
    for window in drive:
        if window is None:
            before = None
            continue
        tally.calls += 1
        if window.report.gain is not None:
            assert window.report.gain.pays
            assert window.report.compaction
            tally.changed += 1
        elif before is not None:
            assert window.messages[: len(before.messages)] == before.messages
            sent = blocks(before)
            assert blocks(window)[: len(sent)] == sent
            check_marks(before, window)
            tally.appended += 1
        assert check_anthropic(window.to_anthropic()) == []  # four marks at most, where allowed
        before = window
    return tally


def check_marks(before: ContextWindow, window: ContextWindow) -> None:
    was, now = marks(before), marks(window)
    assert len(now) <= 4
    if questions(before) == questions(window):
        assert set(was[:-1]) <= set(now)
    fixed = int(bool(window.to_anthropic().get("system"))) + int(bool(window.report.frozen))
    assert now[:fixed] == was[:fixed]
    # The API finds what the call before wrote, looking back from one of the marks.
    assert any(was[-1] <= mark <= was[-1] + LOOK_BACK for mark in now)


@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_between_compactions_each_request_begins_with_the_one_before(transcript: str) -> None:
    messages, budget = TRANSCRIPTS[transcript]
    tally = follow(windows(messages(), budget, "balanced"))
    assert tally.changed, tally
    assert tally.appended > 5 * tally.changed, tally


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("language", WORDS)
def test_every_preset_leaves_what_was_sent_alone(name: str, language: str) -> None:
    tally = follow(windows(generated(language, 40), 3_000, name))
    assert tally.changed and tally.appended > tally.changed, tally


def test_where_the_cache_is_always_cold_changes_still_pay() -> None:
    policy = replace(PRESETS["balanced"], cache_seconds=0.0)
    tally = follow(windows(generated("en", 40), 4_000, policy))
    assert tally.changed and tally.appended > tally.changed, tally


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("budget", [4_000, 8_000, 32_000])
def test_a_long_recorded_session_keeps_its_prefix(budget: int, name: str) -> None:
    tally = follow(windows(tau_bench(100), budget, name))
    assert tally.changed, tally


def test_a_window_that_changes_without_a_reason_is_noticed() -> None:
    drive: Sequence[ContextWindow | None] = list(windows(generated("en", 4), 100_000, "balanced"))
    changed = replace(drive[-2], messages=drive[-2].messages[1:]) if drive[-2] else None
    with pytest.raises(AssertionError):
        follow([*drive[:-2], changed, drive[-1]])
