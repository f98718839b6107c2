"""What the viewer is told of conversations and calls: exact, in pages, and read only once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ctxplug_server.viewing import Viewing, calls, findings, lines, overview, past_calls
from ctxplug_server.viewing.held import Held, HeldSessions

from ctxplug import AgentMemory, Message, ToolCallPart
from ctxplug.errors import InvalidValueError, NotFoundError
from ctxplug.messages import ThinkingPart, ToolResultPart
from ctxplug.plugins import installed
from ctxplug.registry import Registry
from ctxplug.storage import Backend, Stream
from ctxplug.tokens.usage import Usage

ALICE = ("acme", "alice")
MODEL = "claude-sonnet-4-5"
LONG = "客户订单 ORD-{n} 的金额是 {n}.50 欧元。 The order {n} is in Porto, in the second hall. " * 4


def talk(memory: AgentMemory, turns: int, first: int = 0) -> None:
    """Speak `turns` turns with a tool each, and ask for a window before each answer."""
    for n in range(first, first + turns):
        memory.add("user", f"Where is order {n}? 订单{n}在哪里？")
        memory.context(f"order {n}", system="You look orders up.")
        memory.add(Message("assistant", ToolCallPart(f"c{n}", "find", {"order": n})))
        memory.add(Message("tool", ToolResultPart(f"c{n}", LONG.format(n=n), name="find")))
        window = memory.context(system="You look orders up.")
        memory.record_usage(Usage(window.tokens - 60, 20, 60, model=MODEL))
        memory.add("assistant", f"Order {n} is in Porto. 订单{n}在波尔图。")


OPENED: dict[str, Any] = {
    "namespace": ALICE,
    "session": "trip",
    "budget": 1_500,
    "agent": "planner",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of twenty turns under a small budget, so that much of it was compressed."""
    path = tmp_path_factory.mktemp("written") / "agent.db"
    with AgentMemory.open(path, **OPENED) as memory:
        talk(memory, 20)
        memory.session.snapshot("v1", note="all found")
    return path


@pytest.fixture
def memory(written: Path, tmp_path: Path) -> Iterator[AgentMemory]:
    """That session, in a store of the test's own."""
    path = shutil.copy(written, tmp_path / "agent.db")
    with AgentMemory.open(path, **OPENED) as memory:
        yield memory


@pytest.fixture
def viewing(memory: AgentMemory) -> Iterator[Viewing]:
    """What is told of it."""
    viewing = Viewing(memory.backend, Registry(installed()))
    yield viewing
    viewing.close()


class Counting:
    """How many entries of conversations a store was asked for."""

    def __init__(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entries = 0
        read = type(backend).read

        def counted(this: Any, stream: Stream, **options: Any) -> Any:
            found = read(this, stream, **options)
            if not stream.session.startswith("ctxplug:"):
                self.entries += len(found)
            return found

        monkeypatch.setattr(type(backend), "read", counted)

    def taken(self) -> int:
        """Return the count, and begin anew."""
        count, self.entries = self.entries, 0
        return count


def of(viewing: Viewing, session: str = "trip") -> Held:
    return viewing.held(ALICE, session)


def page(viewing: Viewing, start: int, limit: int, session: str = "trip") -> dict[str, Any]:
    with of(viewing, session).working() as held:
        return lines.lines(held, start, limit)


def text_of(item: dict[str, Any]) -> str:
    return "\n".join([item["text"], *(result["text"] for result in item["results"])]).strip("\n")


def call(viewing: Viewing, number: int, **what_if: Any) -> dict[str, Any]:
    with of(viewing).working() as held:
        return past_calls.call_data(held, number, what_if.get("budget"), what_if.get("policy"))


# -- lines -------------------------------------------------------------------------------


def test_lines_are_the_log_in_whatever_pages_they_are_asked_for(
    viewing: Viewing, memory: AgentMemory
) -> None:
    whole = page(viewing, 0, 500)
    assert whole["whole"]
    assert whole["total"] == len(whole["items"])
    said = [item for item in whole["items"] if item["kind"] == "message"]
    assert [text_of(item) for item in said] == [message.text for message in memory.messages()]
    assert [item["row"] for item in whole["items"]] == list(range(whole["total"]))
    assert {item["mark"] for item in whole["items"] if item["kind"] == "mark"} == {
        "compaction",
        "snapshot",
    }
    for start, limit in ((60, 7), (0, 3), (whole["total"] - 2, 100), (33, 1)):
        assert page(viewing, start, limit)["items"] == whole["items"][start : start + limit]
    end = page(viewing, -5, 100)
    assert end["items"] == whole["items"][-5:]
    assert end["start"] == whole["total"] - 5


def test_a_line_tells_calls_results_thoughts_and_who(memory: AgentMemory, viewing: Viewing) -> None:
    parts = [ThinkingPart("hidden"), ToolCallPart("x1", "find", {"城市": "里斯本"})]
    memory.add(Message("assistant", parts))
    memory.add(Message("tool", ToolResultPart("x1", "没有", name="find", is_error=True)))
    asked, failed = page(viewing, -2, 2)["items"]
    assert asked["thinking"] == "hidden"
    assert asked["calls"] == [{"id": "x1", "name": "find", "arguments": '{"城市":"里斯本"}'}]
    assert failed["results"] == [{"id": "x1", "name": "find", "text": "没有", "error": True}]
    assert failed["failed"]
    assert not asked["failed"]
    assert asked["agent"] == "planner"


def test_a_long_text_is_cut_in_the_list_and_whole_alone(
    memory: AgentMemory, viewing: Viewing
) -> None:
    text = "长" * 30_000 + "end"
    memory.add("user", text)
    (line,) = page(viewing, -1, 1)["items"]
    assert line["cut"]
    assert len(line["text"]) < 5_000
    with of(viewing).working() as held:
        told = past_calls.message_of(held, line["version"], None, None, None, "en")
    assert told["text"] == text
    assert not told["cut"]


def test_a_second_page_reads_that_page_alone(
    viewing: Viewing, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(memory.backend, monkeypatch)
    total = page(viewing, 0, 10)["total"]
    assert total > 60
    page(viewing, 0, 500)
    counting.taken()
    page(viewing, 50, 10)
    assert counting.taken() <= 10 + 1  # and the newest, to know that nothing was added


def test_the_first_page_of_a_long_log_reads_no_more_than_it_needs(
    memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.extend([Message("user", f"note {n}") for n in range(1_000)])
    counting = Counting(memory.backend, monkeypatch)
    told = page(Viewing(memory.backend, Registry(installed())), 0, 50)
    assert counting.taken() < 150
    assert not told["whole"]
    assert told["total"] >= 1_000
    assert len(told["items"]) == 50


def test_what_is_added_is_read_on(
    viewing: Viewing, memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = page(viewing, 0, 500)
    counting = Counting(memory.backend, monkeypatch)
    memory.add("user", "And order 99? 还有订单99呢？")
    after = page(viewing, -1, 1)
    assert after["total"] == before["total"] + 1
    assert after["items"][0]["text"] == "And order 99? 还有订单99呢？"
    assert counting.taken() < 20


def test_a_session_that_was_erased_and_begun_anew_is_read_anew(
    viewing: Viewing, memory: AgentMemory
) -> None:
    assert page(viewing, 0, 1)["total"] > 60
    memory.session.erase()
    with pytest.raises(NotFoundError):
        page(viewing, 0, 1)
    for n in range(100):
        memory.add("user", f"new {n}")
    told = page(viewing, 0, 500)
    assert [item["text"] for item in told["items"]] == [f"new {n}" for n in range(100)]


def test_what_is_no_conversation_is_not_found(viewing: Viewing) -> None:
    for name in ("nope", "ctxplug:usage", "ctxplug:trace:trip"):
        with pytest.raises(NotFoundError), of(viewing, name).working():
            pass


def test_as_many_sessions_are_kept_as_there_is_room_for(
    viewing: Viewing, memory: AgentMemory
) -> None:
    held = HeldSessions(most=3)
    for n in range(5):
        stream = Stream(ALICE, f"s{n}")
        held.of(None, stream, lambda s=stream: Held(memory.backend, viewing.reading(None), s))
    assert len(held) == 3
    heavy = HeldSessions(weight=10)
    trip, other = (Stream(ALICE, name) for name in ("trip", "s1"))
    one = heavy.of(None, trip, lambda: Held(memory.backend, viewing.reading(None), trip))
    with one.working():
        one.read()
    assert one.weight > 10
    heavy.of(None, other, lambda: Held(memory.backend, viewing.reading(None), other))
    assert len(heavy) == 1


# -- calls -------------------------------------------------------------------------------


def test_columns_are_what_was_recorded(viewing: Viewing, memory: AgentMemory) -> None:
    with of(viewing).working() as held:
        told = calls.calls(held, 0, 500)
        part = calls.calls(held, 10, 5)
    windows = memory.trace.steps(kind="window")
    assert told["total"] == len(windows) == 40
    assert [one["tokens"] for one in told["items"]] == [step.tokens for step in windows]
    assert all(sum(one["parts"].values()) == one["tokens"] for one in told["items"])
    paid = [one for one in told["items"] if one["cost"]]
    assert len(paid) == 20
    assert {(one["cached"], one["output"]) for one in paid} == {(60, 20)}
    assert all(one["input"] == one["tokens"] for one in paid)
    assert part["items"] == told["items"][10:15]


def test_a_call_is_told_piece_by_piece_and_every_message_has_a_fate(viewing: Viewing) -> None:
    with of(viewing).working() as held:
        held.read()
        said = [row for row in held.outline.rows if held.outline.said(row.version)]
    fates: set[str] = set()
    for number in (1, 7, 23, 40):
        told = call(viewing, number)
        assert told["exact"]
        assert sum(piece["tokens"] for piece in told["pieces"]) == told["tokens"]
        assert sum(told["parts"].values()) == told["tokens"] <= told["limit"]
        assert sum(run[5] for run in told["fates"]) == len(said)
        covered = [
            row.version for row in said for r in told["fates"] if r[0] <= row.version <= r[1]
        ]
        assert covered == [row.version for row in said]
        fates |= {run[2] for run in told["fates"]}
    assert {"verbatim", "answer", "later", "merged"} <= fates
    cached = call(viewing, 8)["cached"]
    assert 0 < cached["tokens"] < call(viewing, 8)["tokens"]


def test_compactions_are_those_behind_the_call(viewing: Viewing, memory: AgentMemory) -> None:
    made = memory.trace.steps(kind="compaction")
    told = call(viewing, 40)["compactions"]
    assert [one["number"] for one in told] == [step.data["number"] for step in made]
    assert [one["behind"] for one in told] == [step.data["version"] for step in made]
    assert call(viewing, 1)["compactions"] == []


def test_another_budget_says_what_it_would_have_sent(viewing: Viewing) -> None:
    with of(viewing).working() as held:
        columns = calls.calls(held, 0, 100)["items"]
    number = max(columns, key=lambda one: one["tokens"])["number"]
    then, now = call(viewing, number), call(viewing, number, budget=900)
    assert now["source"] == "played"
    assert now["budget"] == 900
    assert now["tokens"] <= 900 < then["tokens"]
    assert call(viewing, 40, policy="aggressive")["policy"] == "aggressive"
    with pytest.raises(InvalidValueError, match="policy is one of"):
        call(viewing, 40, policy="lazy")
    with pytest.raises(NotFoundError, match="40 model calls"):
        call(viewing, 41)


def test_the_window_is_what_was_sent(viewing: Viewing, memory: AgentMemory) -> None:
    step = memory.trace.steps(kind="window")[-1]
    sent = memory.trace.window(step).window
    with of(viewing).working() as held:
        told = past_calls.window_data(held, 40, None, None, 0, 500)
    text = "\n".join(text_of(item) for item in told["items"] if item["role"])
    for message in sent.messages:
        assert message.text.strip("\n") in text


def test_why_is_said_in_both_languages(viewing: Viewing) -> None:
    run = next(run for run in call(viewing, 40)["fates"] if run[2] == "merged")
    with of(viewing).working() as held:
        english = past_calls.message_of(held, run[0], 40, None, None, "en")
        chinese = past_calls.message_of(held, run[0], 40, None, None, "zh")
    assert english["fate"] == chinese["fate"] == "merged"
    assert any("Compaction 1, before turn" in sentence for sentence in english["why"])
    assert any("第 1 次压缩" in sentence for sentence in chinese["why"])
    assert english["text"] != english["sent"]["text"]
    assert english["sent_tokens"] > 0


def test_an_overview_counts_the_session(viewing: Viewing, memory: AgentMemory) -> None:
    with of(viewing).working() as held:
        held.read()
        told = overview.overview(held, viewing.titles)
        size = overview.size(held)
    assert (told["messages"], told["calls"], told["recorded"]) == (80, 40, 40)
    assert told["title"].startswith("Where is order 0?")
    assert told["budget"] == 1_500
    assert [one["name"] for one in told["snapshots"]] == ["v1"]
    assert (size["messages"], size["turns"], size["whole"]) == (80, 40, True)


def test_a_session_that_was_not_traced_is_told_from_its_log(
    memory: AgentMemory, viewing: Viewing
) -> None:
    with AgentMemory.open(
        memory.backend, namespace=ALICE, session="quiet", budget=1_500, trace=False
    ) as quiet:
        talk(quiet, 12)
    with of(viewing, "quiet").working() as held:
        told = past_calls.call_data(held, 24, None, None)
        columns = calls.calls(held, 0, 100)
    assert told["source"] == "log"
    assert told["compactions"]
    assert sum(run[5] for run in told["fates"]) == 48
    assert not any(one["recorded"] for one in columns["items"])


def test_a_fork_has_the_steps_of_its_past(memory: AgentMemory, viewing: Viewing) -> None:
    fork = memory.session.fork("other", at="v1")
    talk(fork, 2, first=50)
    fork.close()
    with of(viewing, "other").working() as held:
        columns = calls.calls(held, 0, 100)
    assert columns["total"] == 44
    assert all(one["recorded"] for one in columns["items"])


def test_what_was_found_in_an_erased_session_is_not_told_of_the_next(tmp_path: Path) -> None:
    opening: dict[str, Any] = {"namespace": ALICE, "session": "trip", "trace": False}
    with AgentMemory.open(tmp_path / "agent.db", namespace=ALICE, session="other") as keeper:
        viewing = Viewing(keeper.backend, Registry(installed()))
        for text in ("one", "two"):
            with AgentMemory.open(tmp_path / "agent.db", **opening) as memory:
                memory.add("user", text)
                with viewing.held(ALICE, "trip").working() as held:
                    findings.findings(held, viewing.jobs, None, "en")
                memory.session.erase()
        assert len(viewing.jobs._jobs) == 2  # of two logs that are as long, each has its own
        viewing.close()
