"""Stepping through a session: forwards, backwards, to where a condition holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.messages import Logged
from ctxplug.tracing.past import Moment
from ctxplug.tracing.replay import Change, Replay
from ctxplug.tracing.step import KINDS, Step

START = datetime(2026, 5, 1, tzinfo=UTC)


class Told:
    """A past that is given as it is: a message a second, of versions 1, 2, 3, ..."""

    def __init__(self, *texts: str) -> None:
        self.said = [
            Logged(n, Message("user", text, created_at=START + timedelta(seconds=n)), 1)
            for n, text in enumerate(texts, 1)
        ]

    def messages(self, upto: int, *, after: int = 0) -> Sequence[Logged]:
        return [one for one in self.said if after < one.version <= upto]

    def moments(self, after: int, upto: int | None) -> Sequence[Moment]:
        end = len(self.said) if upto is None else upto
        return [
            Moment(m.version, m.message.created_at) for m in self.said if after < m.version <= end
        ]

    def window(self, step: str) -> Any:
        return f"the window of {step}"


def step(n: int, kind: str = "span", **fields: Any) -> Step:
    """Return the step that begins half a second after message `n`."""
    at = START + timedelta(seconds=n + 0.5)
    given = {"name": "", "parent": None, "duration": 0.1, "outcome": "ok", "session": "trip"}
    return Step(
        id=fields.pop("id", f"{n:016x}"),
        trace="0" * 32,
        kind=kind,
        started_at=at,
        **{**given, **fields},
    )


def window(n: int, **fields: Any) -> Step:
    data = {"head": n, **fields.pop("data", {})}
    return step(n, "window", data=data, **fields)


@pytest.fixture
def replay() -> Replay:
    past = Told("Where is order 7?", "It is in Porto.", "订单在哪里？", "在波尔图。", "谢谢")
    steps = [
        window(1, tokens=50),
        step(
            1, "tool", id="aa", name="find", parent=f"{1:016x}", data={"arguments": {"Nº": "ORD-7"}}
        ),
        step(2, "model", name="gpt-4o", tokens=120, cost=0.5),
        window(3, tokens=90),
        step(3, "tool", id="bb", name="find", outcome="timeout", error="ToolTimeoutError: 3 s"),
        window(5, tokens=200),
    ]
    return Replay(steps, past, session="trip")


# -- moving ------------------------------------------------------------------------------


def test_it_begins_before_the_first_step_and_goes_to_the_last_and_back(replay: Replay) -> None:
    assert (replay.index, replay.current, replay.messages()) == (-1, None, [])
    forward = [one.id for one in replay]
    assert forward == [one.id for one in replay.steps] and replay.step() is None
    assert replay.index == 5, "the cursor stays on the last step"
    backward = [replay.steps[5].id]
    while (one := replay.back()) is not None:
        backward.append(one.id)
    assert backward == forward[::-1] and replay.back() is None and replay.index == -1


def test_seek_takes_an_index_an_id_or_the_beginning_of_one(replay: Replay) -> None:
    assert replay.seek(3) is replay.steps[3]
    assert replay.seek("aa") is replay.steps[1]
    assert replay.seek("b") is replay.steps[4]
    assert replay.seek(-1) is None and replay.current is None
    for where in (6, -2, "zz", ""):
        with pytest.raises(NotFoundError, match="no step"):
            replay.seek(where)
    with pytest.raises(NotFoundError, match="are several steps '0000'"):
        replay.seek("0000")
    with pytest.raises(InvalidValueError, match="by its id or its index"):
        replay.seek(True)


def test_rewind_and_what_is_around(replay: Replay) -> None:
    replay.seek("aa")
    assert [one.kind for one in replay.parents] == ["window"]
    replay.rewind()
    assert replay.parents == () and len(replay) == 6


def test_steps_that_name_each_other_as_parents_are_survived() -> None:
    odd = [step(1, id="a", parent="b"), step(2, id="b", parent="a")]
    cursor = Replay(odd, Told())
    cursor.step()
    assert len(cursor.parents) == 2


# -- breakpoints -------------------------------------------------------------------------


def stops(replay: Replay, *, back: bool = False) -> list[int]:
    found = []
    while (replay.run_back() if back else replay.run()) is not None:
        found.append(replay.index)
    return found


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"kind": "window"}, [0, 3, 5]),
        ({"name": "find"}, [1, 4]),
        ({"error": True}, [4]),
        ({"error": False}, [0, 1, 2, 3, 5]),
        ({"error": "timeout"}, [4]),
        ({"error": "tooltimeout"}, [4]),
        ({"error": "disk"}, []),
        ({"tokens_over": 90}, [2, 5]),
        ({"tokens_over": 89, "kind": "window"}, [3, 5]),
        ({"text": "ord-7"}, [1]),
        ({"text": "ＯＲＤ－７"}, [1]),
        ({"text": "porto"}, [2, 3]),  # the window has what came since the last one
        ({"text": "订单"}, [3]),
        ({"text": re.compile(r"order \d")}, [0]),
        ({"when": lambda one: one.cost}, [2]),
        ({"kind": "tool", "error": True, "text": "3 S"}, [4]),
        ({"kind": "retry"}, []),
    ],
)
def test_run_stops_where_all_conditions_hold(
    replay: Replay, conditions: dict[str, Any], expected: list[int]
) -> None:
    replay.break_on(**conditions)
    assert stops(replay) == expected
    assert replay.index == 5 and replay.stopped_by == ()
    last = [5] if 5 in expected else []
    assert stops(replay, back=True) == [n for n in reversed(expected) if n not in last]
    assert replay.index == -1


def test_several_breakpoints_and_taking_them_away(replay: Replay) -> None:
    first, second = replay.break_on(kind="model"), replay.break_on(tokens_over=100)
    replay.run()
    assert replay.index == 2 and replay.stopped_by == (first, second) == replay.holds()
    replay.clear(first)
    replay.rewind()
    replay.run()
    assert replay.stopped_by == (second,) and str(second) == "tokens_over=100"
    replay.clear()
    assert replay.run() is None and replay.index == 5


def test_a_breakpoint_has_a_condition(replay: Replay) -> None:
    for wrong in ({}, {"text": ""}, {"when": "x"}, {"error": ""}, {"changed": "cost"}):
        with pytest.raises(InvalidValueError):
            replay.break_on(**wrong)  # type: ignore[arg-type]
    for field in ("kind", "name", "text", "error", "tokens_over"):
        with pytest.raises(InvalidValueError, match="not 'windw'" if field == "kind" else field):
            replay.break_on(**{field: "windw" if field == "kind" else [5]})  # type: ignore[arg-type]
    assert replay.breakpoints == []


@given(
    st.lists(st.sampled_from(KINDS), max_size=12),
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(["step", "back", "run", "run_back"]), max_size=20),
)
def test_the_cursor_is_that_of_a_plain_list(kinds: list[str], kind: str, moves: list[str]) -> None:
    steps = [step(n, one) for n, one in enumerate(kinds)]
    cursor, place = Replay(steps, Told()), -1
    cursor.break_on(kind)
    hits = [n for n, one in enumerate(kinds) if one == kind]
    for move in moves:
        moved = getattr(cursor, move)()
        later, earlier = [n for n in hits if n > place], [n for n in hits if n < place]
        if move == "step":
            returned = place + 1 < len(steps)
            place = min(place + 1, len(steps) - 1)
        elif move == "back":
            place = max(place - 1, -1)
            returned = place >= 0
        elif move == "run":
            returned = bool(later)
            place = later[0] if later else len(steps) - 1
        else:
            returned = bool(earlier)
            place = earlier[-1] if earlier else -1
        assert cursor.index == place and (moved is not None) == returned
        assert moved is (steps[place] if returned else None)


# -- watched values ----------------------------------------------------------------------


def test_what_is_watched_is_told_where_it_changes(replay: Replay) -> None:
    assert replay.watch("messages", lambda now: len(now.messages())) == 0
    replay.watch("kind", lambda now: now.current and now.current.kind)
    replay.step()
    assert replay.values == {"messages": 1, "kind": "window"}
    assert replay.changes == (Change("messages", 0, 1), Change("kind", None, "window"))
    assert str(replay.changes[0]) == "messages: 0 -> 1"
    replay.step()
    assert [change.name for change in replay.changes] == ["kind"]
    replay.break_on(kind="window")
    replay.run()
    assert Change("messages", 1, 3) in replay.changes, "since where the cursor stood before"
    replay.unwatch("messages")
    with pytest.raises(NotFoundError):
        replay.unwatch("messages")


def test_a_change_is_a_condition_too(replay: Replay) -> None:
    replay.watch("spent", lambda now: sum(s.cost or 0 for s in now.steps[: now.index + 1]))
    replay.break_on(changed="spent")
    assert stops(replay) == [2]
    assert replay.values["spent"] == 0.5


def test_a_watch_that_raises_stops_nothing(replay: Replay) -> None:
    replay.watch("bad", lambda now: now.current.tokens)  # type: ignore[union-attr]
    assert "AttributeError" in replay.values["bad"]
    replay.step()
    assert replay.values["bad"] == 50
    with pytest.raises(InvalidValueError, match="function of the replay"):
        replay.watch("none", 3)  # type: ignore[arg-type]


# -- messages and windows ----------------------------------------------------------------


def test_messages_stand_as_they_did(replay: Replay) -> None:
    assert [replay.seek(n) and replay.version for n in range(6)] == [1, 1, 2, 3, 3, 5]
    replay.seek(2)
    assert [message.text for message in replay.news()] == ["It is in Porto."]
    replay.seek(5)
    assert len(replay.messages()) == 5 and [m.text for m in replay.news()] == ["在波尔图。", "谢谢"]


def test_the_window_is_the_last_that_was_sent(replay: Replay) -> None:
    with pytest.raises(NotFoundError, match="No window was made in 'trip' up to here"):
        replay.window()
    replay.seek(2)
    assert replay.window() == f"the window of {1:016x}"


# -- of a memory -------------------------------------------------------------------------


def test_a_session_is_stepped_through_and_every_window_is_exact() -> None:
    def find(number: int) -> str:
        """Find an order."""
        if number == 3:
            raise ValueError("gone 不见了")
        return "in Porto 在波尔图"

    with AgentMemory.open("memory:", namespace="acme/alice", session="trip", budget=420) as memory:
        memory.tools.add(find, side_effects=False)
        for n in range(7):
            memory.add("user", f"Where is order {n}? 订单{n}在哪里？" + " Please tell me." * 12)
            memory.context("order")
            call = ToolCallPart(f"c{n}", "find", {"number": n})
            memory.add(Message("assistant", call))
            memory.tools.run([call])
            memory.add("assistant", f"In Porto, 在波尔图 {n}. " * 6)
        before = memory.trace.replay()
        memory.context()
        cursor = memory.trace.replay()
        assert len(before) < len(cursor), "what is recorded later is not in it"
        cursor.break_on(kind="window")
        seen = 0
        while cursor.run() is not None:
            seen += 1
            replayed = cursor.window()
            assert replayed.exact
            assert cursor.messages()[-1].id == replayed.window.messages[-1].id
        assert seen == 8
        cursor.clear()
        cursor.rewind()
        cursor.break_on(error="ValueError")
        failed = cursor.run()
        assert failed and failed.name == "find" and failed.data["arguments"] == {"number": 3}
        assert cursor.messages()[-1].tool_calls[0].id == "c3", "the result is not there yet"


def test_an_edit_is_seen_from_where_it_was_made() -> None:
    with AgentMemory.open("memory:", namespace="acme/alice", session="trip") as memory:
        memory.add("user", "My PIN is 4711")
        memory.context()
        memory.session.keep([], [Message("user", "Hello 你好")])
        memory.context()
        cursor = memory.trace.replay()
        cursor.step()
        assert [message.text for message in cursor.messages()] == ["My PIN is 4711"]
        cursor.step()
        assert [message.text for message in cursor.messages()] == ["Hello 你好"]
        cursor.back()
        assert [message.text for message in cursor.messages()] == ["My PIN is 4711"]
