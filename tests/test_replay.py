from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from ctxplug import AgentMemory, Message, TextPart, ToolCallPart, ToolResultPart
from ctxplug.errors import InvalidValueError
from ctxplug.plugins import Plugins
from ctxplug.replay import ReplaySummary, TurnReport, replay, summarize
from ctxplug.transcripts import Conversation, read_transcript

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "trip_planner.jsonl"
DATA = Path(os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")
PLUGINS = Plugins(load_entry_points=False)
LOCOMO = ("26", "30", "41", "42", "43")


def _data(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"there is no {'/'.join(parts)} in CTXPLUG_DATA or beside the checkout")
    return path


def _open(name: str = "s", budget: int = 4_000) -> AgentMemory:
    return AgentMemory.open(
        "memory:", namespace="replay", session=name, budget=budget, plugins=PLUGINS
    )


def _replay(conversation: Conversation, budget: int) -> list[TurnReport]:
    with _open(conversation.name, budget) as memory:
        return list(replay(conversation, memory))


def _all(file: Path, budget: int, limit: int | None = None) -> Iterator[TurnReport]:
    for conversation in islice(read_transcript(file), limit):
        yield from _replay(conversation, budget)


def _assert_good(turns: list[TurnReport], budget: int) -> ReplaySummary:
    assert [turn.reasons for turn in turns if turn.outcome == "invalid"] == []
    assert all(turn.tokens_sent <= budget for turn in turns)
    assert all(turn.needed > budget for turn in turns if turn.outcome == "over budget")
    return summarize(turns)


# -- the sample --------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1], ids=["English", "Chinese"])
def test_a_small_budget_forces_things_out_of_the_sample(number: int) -> None:
    conversation = list(read_transcript(SAMPLE))[number]
    turns = _replay(conversation, 1_200)
    summary = _assert_good(turns, 1_200)
    assert summary.valid == len(turns) == sum(m.role == "assistant" for m in conversation.messages)
    assert turns[-1].compressed + turns[-1].left_out > 0
    assert summary.tokens_sent < 0.8 * summary.tokens_in


def test_with_room_for_everything_everything_is_sent() -> None:
    for conversation in read_transcript(SAMPLE):
        turns = _replay(conversation, 100_000)
        assert all(turn.tokens_sent == turn.tokens_in for turn in turns)
        assert all((turn.compressed, turn.left_out, turn.mended) == (0, 0, 0) for turn in turns)
        assert turns[-1].kept == len(conversation.messages) - 1


def test_afterwards_the_memory_holds_the_conversation() -> None:
    (conversation, _) = read_transcript(SAMPLE)
    with _open(budget=1_200) as memory:
        for _turn in replay(conversation, memory):
            pass
        assert memory.messages() == list(conversation.messages)


# -- what a turn says --------------------------------------------------------------


def test_a_turn_that_cannot_fit_is_a_report_and_the_replay_goes_on() -> None:
    said = [Message("user", "word " * 400), Message("assistant", "ok")]
    said += [Message("user", "短"), Message("assistant", "好")]
    first, second = _replay(Conversation("big", tuple(said)), 300)
    assert first.outcome == "over budget" and first.needed > 300 and first.tokens_sent == 0
    assert "300" in first.reasons[0]
    assert second.outcome == "valid" and second.tokens_sent <= 300
    summary = summarize([first, second])
    assert (summary.over_budget, summary.valid, summary.turns) == (1, 1, 2)
    assert summary.tokens_in == second.tokens_in


def test_an_assistant_that_speaks_first_has_no_window_yet() -> None:
    said = (Message("assistant", "Hello?"), Message("user", "Yes."), Message("assistant", "Good."))
    first, second = _replay(Conversation("x", said), 1_000)
    assert (first.outcome, second.outcome) == ("no user yet", "valid")
    assert summarize([first, second]).no_user_yet == 1


def test_a_dangling_call_is_mended_and_the_window_valid() -> None:
    said = (
        Message("user", "Go"),
        Message("assistant", ToolCallPart("c1", "f", {})),
        Message("user", "Never mind."),
        Message("assistant", "All right."),
    )
    _, second = _replay(Conversation("x", said), 1_000)
    assert (second.outcome, second.mended) == ("valid", 1)


def test_turns_are_numbered_and_count_the_whole_history() -> None:
    said = (
        Message("system", "Be brief."),
        Message("user", "天气？"),
        Message("assistant", ToolCallPart("c1", "weather", {"city": "成都"})),
        Message("tool", ToolResultPart("c1", (TextPart("22 °C"),))),
        Message("assistant", "22 °C."),
    )
    turns = _replay(Conversation("x", said), 1_000)
    assert [(turn.turn, turn.kept) for turn in turns] == [(1, 2), (2, 4)]
    assert [turn.tokens_in for turn in turns] == [turn.tokens_sent for turn in turns]


def test_an_unknown_provider_is_an_error() -> None:
    with _open() as memory, pytest.raises(InvalidValueError, match="'acme'"):
        list(replay(Conversation("x", (Message("user", "x"),)), memory, providers=["acme"]))


def test_the_summary_of_nothing_is_zero() -> None:
    summary = summarize([])
    assert (summary.turns, summary.tokens_in, summary.reduction, summary.p95_ms) == (0, 0, 0.0, 0.0)
    assert json.dumps(summary.to_dict())


# -- real transcripts --------------------------------------------------------------


def test_some_agent_runs_stay_valid_at_4000_tokens() -> None:
    summary = _assert_good(list(_all(_data("tau-bench-dev", "airline.jsonl"), 4_000, 6)), 4_000)
    assert summary.valid > 30


def test_part_of_a_long_chat_stays_valid_at_2000_tokens() -> None:
    (whole,) = read_transcript(_data("locomo-dev", "30.json"))
    part = Conversation(whole.name, whole.messages[-250:])
    summary = _assert_good(_replay(part, 2_000), 2_000)
    assert summary.valid > 100 and summary.over_budget == 0


@pytest.mark.slow
@pytest.mark.parametrize("budget", [2_500, 4_000, 8_000])
def test_all_agent_runs_stay_valid(budget: int) -> None:
    turns = list(_all(_data("tau-bench-dev", "airline.jsonl"), budget))
    summary = _assert_good(turns, budget)
    assert summary.turns == 1_163


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCOMO)
def test_all_long_chats_stay_valid_at_8000_tokens(name: str) -> None:
    (conversation,) = read_transcript(_data("locomo-dev", f"{name}.json"))
    summary = _assert_good(_replay(conversation, 8_000), 8_000)
    assert summary.over_budget == 0 and summary.valid >= summary.turns - 1
    assert summary.reduction > 0.1
