"""A remote memory does what a local one does: sessions, usage, traces, tools, audit, care."""

from __future__ import annotations

import asyncio
import inspect
import io
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ctxplug_server.client import RemoteMemory

from ctxplug import AgentMemory, Message
from ctxplug.errors import (
    AccessError,
    CannotOpenError,
    ConflictError,
    InvalidValueError,
    NotFoundError,
    SessionStateError,
    ToolError,
    UnknownToolError,
)
from ctxplug.messages import ToolCallPart
from ctxplug.tokens.usage import Usage

Open = Callable[..., Any]


def say(memory: Any, *texts: str) -> None:
    roles = ("user", "assistant")
    memory.extend([Message(roles[i % 2], text) for i, text in enumerate(texts)])


# -- sessions ----------------------------------------------------------------------------


def test_a_session_goes_through_its_states(memory: Any) -> None:
    session = memory.session
    assert (session.state, session.head, str(session)) == ("created", 0, "trip")
    say(memory, "hello")
    assert session.state == "active"
    session.suspend("the user left 用户走了")
    with pytest.raises(SessionStateError, match="用户走了") as caught:
        memory.add("user", "more")
    error = caught.value
    assert (error.session, error.state, error.wanted) == ("trip", "suspended", None)
    assert "active" in error.legal
    with pytest.raises(SessionStateError) as caught:
        session.suspend()
    assert caught.value.wanted == "suspended"
    session.resume()
    memory.add("assistant", "more")
    session.complete()
    info = session.info()
    assert (info.id, info.state, info.messages, info.version) == ("trip", "completed", 2, 5)
    session.resume()
    session.fail("it broke")
    assert session.info().reason == "it broke"
    assert [one.state for one in memory.sessions("failed")] == ["failed"]
    assert memory.sessions(["active", "idle"]) == []
    with pytest.raises(InvalidValueError, match="no state 'asleep'"):
        memory.sessions("asleep")


def test_metadata_of_a_session(memory: Any) -> None:
    say(memory, "hello")
    assert memory.session.update({"客户": "C-1", "n": [1]}) == {"客户": "C-1", "n": [1]}
    assert memory.session.update({"n": None, "more": True}) == {"客户": "C-1", "more": True}
    assert memory.session.info().metadata == {"客户": "C-1", "more": True}
    with pytest.raises(InvalidValueError, match="dict of JSON values"):
        memory.session.update(["a"])


def test_snapshots_and_restores(memory: Any) -> None:
    say(memory, "one", "two")
    mark = memory.session.snapshot("before 之前", note="all is well")
    assert (mark.name, mark.version, mark.note) == ("before 之前", 3, "all is well")
    say(memory, "three", "four")
    assert memory.session.restore("before 之前") == 3
    assert [m.text for m in memory.messages()] == ["one", "two"]
    assert memory.session.restore(5) == 5
    assert [m.text for m in memory.messages()] == ["one", "two", "three", "four"]
    assert memory.session.snapshots() == [mark]
    for nowhere in ("never", 99):
        with pytest.raises(NotFoundError):
            memory.session.restore(nowhere)


def test_a_fork_shares_the_past_alone(open_memory: Open) -> None:
    memory = open_memory(session="trip", budget=900, agent="planner")
    say(memory, "one", "two")
    fork = memory.session.fork("other", at=1)
    say(fork, "three")
    say(memory, "four")
    assert [m.text for m in fork.messages()] == ["one", "three"]
    assert [m.text for m in memory.messages()] == ["one", "two", "four"]
    assert (fork.budget, fork.scope.agent, fork.session.id) == (900, "planner", "other")
    assert fork.session.info().parent == "trip"
    assert fork.session.info().forked_at == 1
    assert [info.id for info in memory.sessions(parent="trip")] == ["other"]
    with pytest.raises(ConflictError):
        memory.session.fork("other")
    assert memory.session.fork().session.id not in ("trip", "other")
    with pytest.raises(ConflictError):
        memory.session.erase()


def test_an_edit_keeps_some_and_adds_more(memory: Any) -> None:
    say(memory, "one", "two", "three")
    [new] = memory.session.keep([1, 3], [Message("user", "新的")], expected=3, note={"why": "x"})
    assert [m.text for m in memory.messages()] == ["one", "three", "新的"]
    assert memory.session.note == {"why": "x"}
    assert [one.version for one in memory.session.log()] == [1, 3, 5]
    assert [one.version for one in memory.session.log(kept=False)] == [1, 2, 3, 5]
    assert [one.message for one in memory.session.log(last=1)] == [new]
    assert [one.version for one in memory.session.log(after=1)] == [3, 5]
    with pytest.raises(ConflictError) as caught:
        memory.session.keep([1], expected=3)
    assert (caught.value.expected, caught.value.found) == (3, 5)
    with pytest.raises(InvalidValueError, match="not in view"):
        memory.session.keep([2])
    with pytest.raises(InvalidValueError, match="ascending"):
        memory.session.keep([3, 1])
    with pytest.raises(InvalidValueError, match="number from 0 on"):
        memory.session.log(last=-1)


def test_of_two_transitions_at_once_one_is_refused(memory: Any) -> None:
    say(memory, "hello")
    outcomes: list[str] = []

    def complete() -> None:
        try:
            memory.session.complete()
            outcomes.append("done")
        except SessionStateError as error:
            outcomes.append(error.state)

    threads = [threading.Thread(target=complete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["completed", "completed", "completed", "done"]


def test_the_a_twins_of_a_session(memory: Any) -> None:
    async def use() -> None:
        session = memory.session
        await memory.aextend([Message("user", "one"), Message("assistant", "two")])
        await session.asnapshot("s")
        assert [s.name for s in await session.asnapshots()] == ["s"]
        assert [one.version for one in await session.alog()] == [1, 2]
        await session.akeep([1])
        assert await session.arestore("s") == 3
        await session.asuspend("wait")
        assert (await session.ainfo()).state == "suspended"
        await session.aresume()
        assert await session.aupdate({"a": 1}) == {"a": 1}
        fork = await session.afork("other")
        assert len(await fork.amessages()) == 2
        await fork.session.afail("no")
        await fork.session.aerase()
        await session.acomplete()
        await session.aerase()
        assert await memory.amessages() == []

    asyncio.run(use())


# -- usage -------------------------------------------------------------------------------


def test_usage_is_recorded_and_reported(open_memory: Open) -> None:
    memory = open_memory(session="trip", model="claude-sonnet-4-5", agent="planner")
    memory.add("user", "hello")
    window = memory.context()
    given = {"input_tokens": 1_000, "output_tokens": 50, "cache_read_input_tokens": 9_000}
    recorded = memory.record_usage(given, window=window)
    assert recorded.usage == Usage(1_000, 50, 9_000, 0, "claude-sonnet-4-5")
    assert recorded.cost == pytest.approx(0.00645)
    openai = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert memory.usage.record(openai, model="nobody-knows", cost=0.25).cost == 0.25
    report = memory.usage.report(days=2)
    assert (report.total.calls, report.total.tokens) == (2, 10_065)
    assert set(report.by_session) == {"trip"}
    assert set(report.by_agent) == {"planner"}
    held = memory.usage.reserve(500, model="claude-sonnet-4-5")
    assert memory.usage.settle(held, {"input_tokens": 1, "output_tokens": 1}).usage.total == 2
    with pytest.raises(InvalidValueError, match="settled or released"):
        memory.usage.settle(held, {"input_tokens": 1, "output_tokens": 1})
    other = memory.usage.reserve(Usage(10, 10))
    memory.usage.release(other)
    memory.usage.release(other)
    memory.usage.check(5)
    with pytest.raises(InvalidValueError, match="zero or more"):
        memory.usage.check(-5)
    with pytest.raises(InvalidValueError, match="no token usage"):
        memory.record_usage({"words": 3})
    with pytest.raises(InvalidValueError, match="days"):
        memory.usage.report(0)


# -- traces ------------------------------------------------------------------------------


def test_spans_hold_what_is_done_in_them(memory: Any) -> None:
    say(memory, "Where do I live?")
    memory.remember("Lives in Lisbon")
    with memory.trace.span("plan 计划", budget=5) as outer:
        with (
            pytest.raises(ValueError, match="no"),
            memory.trace.span("inner", kind="tool") as inner,
        ):
            memory.context("Lisbon")
            raise ValueError("no")
        outer.set(found=[1, "二"])
        outer.tokens = 7
    steps = {step.name: step for step in memory.trace.steps()}
    assert steps["plan 计划"].data == {"budget": 5, "found": [1, "二"]}
    assert steps["plan 计划"].tokens == 7
    assert steps["inner"].parent == outer.id
    assert (steps["inner"].outcome, steps["inner"].error) == ("error", "ValueError: no")
    assert steps["balanced"].kind == "window"
    assert steps["balanced"].parent == inner.id
    assert {steps[n].trace for n in ("plan 计划", "inner", "balanced", "recall")} == {outer.trace}
    assert memory.trace.get(inner.id) == steps["inner"]
    with pytest.raises(NotFoundError, match="no step"):
        memory.trace.get("0" * 16)


def test_steps_that_were_measured_elsewhere(memory: Any) -> None:
    made = memory.trace.record(
        "model", "gpt-5", started_at="2026-05-01T10:00:00+00:00", duration=1.5, tokens=70,
        cost=0.25, outcome="timeout", error="too slow", name_of="x"
    )  # fmt: skip
    assert memory.trace.steps() == [made]
    assert memory.trace.steps(kind="window") == []
    assert memory.trace.steps(kind="model", until="2026-05-01") == []
    assert memory.trace.steps(last=1, since="2026-05-01", trace=made.trace) == [made]
    for wrong in ({"kind": "dance"}, {"last": -1}):
        with pytest.raises(InvalidValueError):
            memory.trace.steps(**wrong)
    with pytest.raises(InvalidValueError, match="duration"):
        memory.trace.record("model", started_at=0, duration=-1)


def test_looking_back(open_memory: Open) -> None:
    memory = open_memory(session="trip", budget=900)
    for turn in range(12):
        say(memory, f"Question {turn} 第{turn}个问题 " * 9, f"Answer {turn} " * 9)
        say(memory, "And?")
        memory.context()
    steps = memory.trace.steps(kind="window")
    assert len(steps) == 12
    replayed = [memory.trace.window(step) for step in (steps[0], steps[-1].id)]
    assert all(one.exact for one in replayed)
    assert replayed[1].window.messages == memory.context().messages
    difference = memory.trace.compare(steps[0], steps[-1].id)
    assert difference.after.compactions > difference.before.compactions
    assert difference.entered
    again = memory.trace.rerun(policy="aggressive", budget=500)
    assert not again.same
    replay = memory.trace.replay()
    while replay.step() is not None:
        assert replay.current is not None
    assert replay.index == len(memory.trace.steps()) - 1
    assert memory.trace.analyze().findings == memory.trace.analyze().findings
    with pytest.raises(InvalidValueError, match="made no window"):
        memory.trace.window(memory.trace.record("span", "x", started_at=0, duration=0).id)


def test_both_look_back_alike(both: tuple[Any, Any]) -> None:
    here, there = both
    for turn in range(8):
        say(here, f"Question {turn} " * 20, f"Answer {turn} " * 20)
        say(here, "And?")
        here.context()
    here.session.snapshot("s")
    here.session.keep([1, 3])
    say(here, "And then?")
    last = here.trace.record("span", "end", started_at=2e9, duration=0)
    here.trace.flush()
    assert there.trace.steps() == here.trace.steps()
    steps = [step.id for step in here.trace.steps(kind="window")]
    assert there.trace.window(steps[-1]).window == here.trace.window(steps[-1]).window
    assert there.trace.compare(*steps[:2]) == here.trace.compare(*steps[:2])
    assert there.trace.rerun(policy="conservative") == here.trace.rerun(policy="conservative")
    assert there.trace.analyze() == here.trace.analyze()
    replays = here.trace.replay(), there.trace.replay()
    for replay in replays:
        replay.seek(last.id)
    seen = [replay.messages() for replay in replays]
    assert [m for m in seen[0]] == [m for m in seen[1]]
    assert here.session.log(kept=False) == there.session.log(kept=False)
    assert here.session.info() == there.session.info()
    assert here.stats() == there.stats()


# -- tools -------------------------------------------------------------------------------


def test_the_tools_of_memory(memory: Any) -> None:
    assert memory.tools.list() == []
    added = memory.tools.add_memory_tools("remember", "recall")
    assert [tool.name for tool in added] == ["remember", "recall"]
    assert [tool.name for tool in memory.tools] == ["recall", "remember"]
    assert len(memory.tools) == 2
    assert set(memory.tools.names()) >= {"expand", "forget", "recall", "remember"}
    assert [d["name"] for d in memory.tools.to_anthropic()] == ["recall", "remember"]
    assert memory.tools.to_openai()[0]["function"]["name"] == "recall"
    with pytest.raises(UnknownToolError) as caught:
        memory.tools.get("fly")
    assert "recall" in caught.value.known
    memory.tools.remove("recall")
    assert [tool.name for tool in memory.tools] == ["remember"]


def test_running_tools(memory: Any) -> None:
    memory.tools.add_memory_tools()
    memory.add("user", "I like tea 我喜欢茶")
    calls = [
        ToolCallPart("c1", "remember", {"content": "Likes tea 喜欢茶", "kind": "preference"}),
        ToolCallPart("c2", "fly", {"to": "Mars"}),
        ToolCallPart("c3", "recall", {"words": 1}),
    ]
    told = memory.add(Message("assistant", calls))
    messages = memory.tools.run(told, store=True)
    results = [message.content[0] for message in messages]
    assert [(r.call_id, r.is_error) for r in results] == [("c1", False), ("c2", True), ("c3", True)]
    assert [m.id for m in memory.messages(3)] == [m.id for m in messages]
    assert memory.tools.run(told)[0].text == messages[0].text  # a call runs once
    assert [r.content for r in memory.memories()] == ["Likes tea 喜欢茶"]
    run = memory.tools.call("recall", {"query": "tea"})
    assert run.outcome == "ok"
    assert "喜欢茶" in run.text
    history = memory.tools.history()
    assert {one.call_id for one in history} == {"c1", "c2", "c3", run.call_id}
    assert [one.tool for one in memory.tools.history(tool="fly", limit=5)] == ["fly"]
    with pytest.raises(InvalidValueError, match="limit"):
        memory.tools.history(limit=-1)
    remember, forget = memory.tools.get("remember"), memory.tools.get("forget")
    assert remember.function(content="Likes cake").startswith("Remembered as ")
    with pytest.raises(ToolError):
        forget.function(memory_id="nothing")


# -- audit and access --------------------------------------------------------------------


def test_what_was_done_is_audited(memory: Any, tmp_path: Path) -> None:
    with memory.audit.purpose("support 客服", actor="Ana"):
        record = memory.remember("secret words")
    memory.forget(record.id)
    memory.audit.note("export.sent", ids=["trip"], to="archive 存档")
    entries = memory.audit.entries(["remember", "forget", "export.sent"])
    assert [entry.what for entry in entries] == ["remember", "forget", "export.sent"]
    assert (entries[0].purpose, entries[0].actor) == ("support 客服", "Ana")
    assert (entries[1].purpose, entries[1].actor) == (None, None)
    assert entries[2].data == {"to": "archive 存档"}
    assert memory.audit.entries(purpose="support 客服") == entries[:1]
    assert memory.audit.entries(id=record.id, last=1)[0].what == "forget"
    anchor = memory.audit.anchor()
    assert memory.audit.verify().ok
    assert memory.audit.verify(anchor).ok
    assert memory.audit.report().by_verb["remember"] == 1
    path = tmp_path / "audit.jsonl"
    assert memory.audit.export(path) >= 3
    assert b"secret words" not in path.read_bytes()
    with pytest.raises(CannotOpenError):
        memory.audit.export(path)
    out = io.BytesIO()
    memory.audit.export(out)
    assert out.getvalue().count(b"\n") == path.read_bytes().count(b"\n")
    with pytest.raises(InvalidValueError, match="entered by ctxplug itself"):
        memory.audit.note("remember")
    with pytest.raises(InvalidValueError, match="what purpose"):
        memory.audit.purpose()


def test_rules_of_access_hold(open_memory: Open) -> None:
    owner = open_memory(session="trip")
    say(owner, "a secret", "kept")
    agent, other = (
        open_memory(session="trip", agent="planner"),
        open_memory(session="trip", agent="x"),
    )
    rule = owner.access.grant("planner", "read", session="trip")
    assert owner.access.grant("planner", ["read"], session="trip") == rule
    assert owner.access.rules() == [rule]
    assert owner.access.allows("planner", "read")
    assert not owner.access.allows("x", "read", "trip")
    assert owner.access.allows(None, "write")
    assert len(agent.messages()) == 2
    with pytest.raises(AccessError) as caught:
        other.messages()
    assert (caught.value.agent, caught.value.verb, caught.value.session) == ("x", "read", "trip")
    with pytest.raises(AccessError):
        agent.add("user", "mine")
    denied = owner.access.deny("planner", ["read", "write"])
    with pytest.raises(AccessError):
        agent.messages()
    assert owner.access.revoke(denied, rule.id) == 2
    assert len(other.messages()) == 2
    with pytest.raises(NotFoundError, match="no access rule"):
        owner.access.revoke(rule)


# -- care --------------------------------------------------------------------------------


def test_upkeep(memory: Any) -> None:
    for _ in range(2):
        memory.remember("Prefers window seats", kind="preference")
    assert memory.consolidate(dry_run=True).changes
    done = memory.consolidate()
    assert done.counts["merged"] == 1
    assert memory.maintain().finished
    assert [report.verb for report in memory.maintenance_log()] == ["maintain", "consolidate"]
    assert len(memory.maintenance_log(1)) == 1
    assert len(memory.maintenance_log(None)) == 2
    assert memory.check().ok
    stats = memory.stats()
    assert (stats.session, sum(stats.memories.values())) == ("trip", 1)


def test_what_was_recalled_often_is_promoted(memory: Any) -> None:
    record = memory.remember("Prefers window seats 靠窗", importance=0.4)
    for _ in range(12):
        assert memory.recall("window seats")[0].record.id == record.id
    promoted = [change for change in memory.maintain().changes if change.what == "promoted"]
    assert [(change.id, change.into) for change in promoted] == [(record.id, "long")]


@pytest.mark.parametrize("before", [-5, 5, 1e9, timedelta(days=-1)])
def test_what_is_archived_is_not_left_to_a_guess(memory: Any, before: Any) -> None:
    with pytest.raises(InvalidValueError, match="before is") as caught:
        memory.archive(before)
    assert caught.value.path == "before"


def test_the_archive(memory: Any) -> None:
    say(memory, "The invoice of 2024 发票", "is filed")
    memory.remember("Invoice 2024-7", importance=0.1)
    report = memory.archive(timedelta(0))
    assert report.entries or report.records
    found = memory.search_archive("invoice")
    assert found
    assert all(one.archived for one in found)
    memory.unarchive()
    assert memory.search_archive("invoice") == []
    assert memory.messages()[0].text == "The invoice of 2024 发票"


def test_retiring_and_erasing(open_memory: Open) -> None:
    memory, old = open_memory(session="trip"), open_memory(session="old")
    say(old, "bye")
    old.session.complete()
    say(memory, "hello")
    memory.remember("Likes tea")
    assert memory.retire(timedelta(microseconds=1), dry_run=True).sessions == ("old",)
    assert memory.retire(1e-6).sessions == ("old",)
    assert [info.id for info in memory.sessions()] == ["trip"]
    with pytest.raises(InvalidValueError, match="how long"):
        memory.retire()
    receipt = memory.erase()
    assert receipt.entries
    assert receipt.records
    assert memory.messages() == []
    assert memory.memories() == []
    assert memory.verify_erased(receipt).ok
    assert memory.verify_erased(receipt.to_dict()).ok
    say(memory, "again")
    assert [m.text for m in memory.messages()] == ["again"]


# -- the surface -------------------------------------------------------------------------


LOCAL_ALONE = {"plugins", "redacts", "tell_failed"}
ROOMS = ("session", "tools", "trace", "usage", "audit", "access", "sections")
INSIDE = {  # of rooms: what serves the memory itself
    "close", "ended", "forget", "join", "keeps", "opened", "ops", "put_back", "stored", "take",
    "policy", "enabled", "host", "table", "limits", "prices", "arecover", "recover",
}  # fmt: skip


def test_nothing_of_an_agent_memory_is_missing(both: tuple[Any, Any]) -> None:
    here, there = both
    missing = {n for n in dir(here) if not n.startswith("_") and not hasattr(there, n)}
    settings = {"memory_policy", "session_policy"}
    assert missing <= LOCAL_ALONE | settings
    for room in ROOMS:
        mine, theirs = getattr(here, room), getattr(there, room)
        names = {n for n in dir(mine) if not n.startswith("_")}
        assert {n for n in names if not hasattr(theirs, n)} <= INSIDE, room


def test_verbs_take_what_the_verbs_of_an_agent_memory_take() -> None:
    def parameters(verb: Any) -> list[tuple[str, Any, Any]]:
        found = inspect.signature(verb).parameters.values()
        return [(p.name, p.kind, p.default) for p in found if p.name != "self"]

    names = [n for n, v in vars(RemoteMemory).items() if callable(v) and not n.startswith("_")]
    verbs = {n for cls in RemoteMemory.__mro__ for n in vars(cls) if not n.startswith("_")}
    looser = {"maintain"}  # `stopped` is refused
    for name in sorted(verbs | set(names)):
        mine, theirs = getattr(RemoteMemory, name), getattr(AgentMemory, name, None)
        if (
            not callable(mine)
            or theirs is None
            or (name.startswith("a") and hasattr(AgentMemory, name[1:]))
        ):
            continue
        if name in ("open", *looser):
            continue
        assert parameters(mine) == parameters(theirs), name
