"""A session's calls made again: nothing differs unless a setting does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message, ToolCallPart, ToolResultPart
from ctxplug.context.policy import ContextPolicy
from ctxplug.errors import BudgetError, InvalidValueError, NotFoundError
from ctxplug.messages import Logged
from ctxplug.tokens.cache_meter import CacheMeter
from ctxplug.tokens.prices import CacheRatios
from ctxplug.tracing.difference import Difference
from ctxplug.tracing.sent import Place, Sent

FACTS = (
    "Where is order {n}? Tell me all about it, please, and about the depot too.",
    "订单{n}在哪里？请告诉我它的一切，还有仓库的情况，谢谢。",
    "I moved to Lisbon in May {n}; my flat is number {n} on the third floor.",
)
TOOLS = ({"name": "find", "description": "Find an order.", "input_schema": {"type": "object"}},)


def opened(target: Any = "memory:", **options: Any) -> AgentMemory:
    given = {"namespace": "acme/alice", "session": "trip", "budget": 600, "counter": "estimate"}
    return AgentMemory.open(target, **{**given, **options})


def talk(memory: AgentMemory, turns: int, **call: Any) -> None:
    for n in range(turns):
        memory.add("user", FACTS[n % 3].format(n=n))
        memory.context(**call)
        memory.add("assistant", f"It is at the depot in Porto, 在波尔图仓库, shelf {n}. " * 3)


# -- the law: the same settings give the same windows ------------------------------------

CALL = st.fixed_dictionaries(
    {},
    optional={
        "query": st.sampled_from(["order depot", "订单在哪里", "Lisbon flat"]),
        "budget": st.sampled_from([420, 600, 1_500]),
        "system": st.sampled_from(["You look orders up.", "你负责查询订单。"]),
        "tools": st.just(TOOLS),
        "reserved": st.sampled_from([20, 90]),
    },
)
DO = st.one_of(
    st.tuples(st.just("turn"), st.integers(0, 2), CALL),
    st.tuples(st.just("turn"), st.integers(0, 2), CALL),
    st.tuples(st.just("tool"), st.integers(1, 60), CALL),
    st.tuples(st.just("edit"), st.integers(1, 6), CALL),
    st.tuples(st.just("remember"), st.integers(0, 2), CALL),
    st.tuples(st.just("section"), st.integers(0, 2), CALL),
    st.tuples(st.just("snapshot"), st.integers(0, 2), CALL),
    st.tuples(st.just("restore"), st.integers(0, 2), CALL),
)


def do(memory: AgentMemory, what: str, n: int, call: dict[str, Any], count: int) -> None:
    if what == "turn":
        memory.add("user", FACTS[n].format(n=count))
        ask(memory, call)
        memory.add("assistant", f"Depot 仓库 {count}. " * 6)
    elif what == "tool":
        memory.add("user", FACTS[0].format(n=count))
        memory.add(Message("assistant", ToolCallPart(f"c{count}", "find", {"n": count})))
        rows = ", ".join(f'{{"code": "ORD-{count}-{i}", "depot": "波尔图"}}' for i in range(n))
        memory.add(Message("tool", ToolResultPart(f"c{count}", f"[{rows}]")))  # type: ignore[arg-type]
        ask(memory, call)
    elif what == "edit":
        versions = [one.version for one in memory.session.log()]
        memory.session.keep(versions[: max(1, len(versions) - n)], [Message("user", "Again 再来")])
        ask(memory, call)
    elif what == "remember":
        memory.remember(FACTS[n].format(n=count))
    elif what == "section":
        place = ("system", "turn", None)[n]
        words = f"今天的天气 {count}: sun in Porto"
        name = f"notes{count}"
        memory.sections.add(name, words, place=place, cacheable=None if n else count % 2 == 0)
        ask(memory, call)
    elif what == "snapshot":
        memory.session.snapshot(f"at{n}")
    elif any(one.name == f"at{n}" for one in memory.session.snapshots()):
        memory.session.restore(f"at{n}")
        ask(memory, call)


def ask(memory: AgentMemory, call: dict[str, Any]) -> None:
    try:
        memory.context(**call)
    except BudgetError:
        return


# A return to where a compaction had been made, and one to where a section stood.
@example(
    [("turn", 0, {})] * 6
    + [("tool", 50, {}), ("turn", 1, {}), ("snapshot", 0, {}), ("restore", 0, {})],
    "balanced",
)
@example(
    [
        ("section", 1, {"query": "order depot"}),
        ("snapshot", 0, {}),
        ("section", 0, {}),
        ("restore", 0, {"query": "order depot"}),
    ],
    "balanced",
)
@settings(max_examples=60, deadline=None)
@given(st.lists(DO, min_size=3, max_size=14), st.sampled_from(["balanced", "aggressive"]))
def test_the_same_settings_send_the_same(done: list[tuple[str, int, Any]], policy: str) -> None:
    with opened(policy=policy) as memory:
        memory.add("user", "Hello. 你好。")
        ask(memory, {})
        for count, (what, n, call) in enumerate(done):
            do(memory, what, n, call, count)
        again = memory.trace.rerun()
        assert again.same, "\n".join(map(str, again.calls))
        assert again.before == again.after
        assert again.notes == ()


def test_a_fork_sends_the_same_again_though_its_past_was_another_session() -> None:
    with opened() as memory:
        talk(memory, 14, query="order")
        fork = memory.session.fork("other")
        talk(fork, 4, query="depot")
        again = fork.trace.rerun()
        assert [call.same for call in again.calls] == [True] * 4
        assert again.after.compactions >= 1 and again.notes == ()


def test_what_was_compacted_behind_a_fork_is_no_past_of_it() -> None:
    """The call was made after the snapshot, though from messages that stand before it."""
    with opened(budget=700) as memory:
        for n in range(30):
            memory.extend(
                [Message("user", f"Question {n}: how far? " * 3), Message("assistant", "far " * 30)]
            )
        memory.add("user", "How far is it? 有多远？")
        memory.session.snapshot("asked")
        assert memory.context().report.base > memory.session.snapshots()[0].version
        fork = memory.session.fork("other", at="asked")
        talk(fork, 3)
        assert fork.trace.rerun().same


def test_what_was_learnt_of_counting_holds_again() -> None:
    with opened(model="claude-sonnet-4-5", counter=None) as memory:
        for n in range(8):
            memory.add("user", FACTS[n % 3].format(n=n))
            window = memory.context()
            memory.record_usage({"input_tokens": 2 * window.tokens, "output_tokens": 5})
            memory.add("assistant", f"It is at the depot in Porto, 在波尔图仓库, shelf {n}. " * 2)
        again = memory.trace.rerun()
        limits = {step.data["limit"] for step in memory.trace.steps(kind="window")}
        assert len(limits) > 1 and again.same


def test_after_a_reopen_with_other_defaults_the_recorded_settings_hold(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path, policy="aggressive") as memory:
        talk(memory, 10, query="order")
    with opened(path, budget=9_000) as memory:
        again = memory.trace.rerun()
        assert again.same and len(again.calls) == 10 and again.before.compactions > 0


# -- other settings ----------------------------------------------------------------------


def test_a_larger_budget_lets_messages_in_word_for_word() -> None:
    with opened() as memory:
        talk(memory, 16)
        again = memory.trace.rerun(budget=20_000)
        assert again.settings == {"budget": 20_000}
        last = again.calls[-1]
        assert last.tokens > 0 and last.parts == {"messages": last.tokens}
        forms = {(one.before, one.after) for one in (*last.entered, *last.changed)}
        assert forms and all(after == "verbatim" for _, after in forms)
        assert not last.left
        assert again.before.compactions > 0 == again.after.compactions
        assert again.after.tokens > again.before.tokens


def test_a_smaller_budget_sends_messages_out_and_may_refuse_a_call() -> None:
    with opened(budget=20_000) as memory:
        talk(memory, 16)
        again = memory.trace.rerun(budget=400)
        assert any(call.changed or call.left for call in again.calls)
        refused = memory.trace.rerun(budget=20)
        assert refused.after.failed == 16 and refused.before.failed == 0
        assert {call.after.error for call in refused.calls} == {"BudgetError"}
        assert all((call.after.needed or 0) > 20 for call in refused.calls)


def test_a_call_that_was_refused_is_made_with_room_enough() -> None:
    with opened(budget=60) as memory:
        memory.add("user", FACTS[0].format(n=1) * 9)
        with pytest.raises(BudgetError):
            memory.context(system="You look orders up.", tools=TOOLS)
        again = memory.trace.rerun(budget=5_000)
        (call,) = again.calls
        assert (again.before.failed, again.after.failed) == (1, 0)
        assert call.before.error == "BudgetError" and call.before.needed
        assert [moved.after for moved in call.entered] == ["verbatim"]
        assert call.after.parts["system"] and call.after.parts["tools"]


def test_another_policy_compacts_at_other_places() -> None:
    policy = ContextPolicy(name="early", high=0.5, low=0.2)
    with opened(budget=1_500) as memory:
        talk(memory, 20)
        again = memory.trace.rerun(policy=policy)
        assert again.settings == {"policy": "early"}
        assert again.after.compactions > again.before.compactions
        assert again.after.tokens < again.before.tokens
        assert not again.same


def test_another_model_has_its_own_counter_and_price() -> None:
    with opened(model="gpt-4o", counter=None) as memory:
        talk(memory, 6)
        again = memory.trace.rerun(model="claude-sonnet-4-5")
        assert {call.before.counter for call in again.calls} == {"tiktoken:o200k_base"}
        assert {call.after.counter for call in again.calls} == {"estimate:claude"}
        before, after = again.before.cost.dollars, again.after.cost.dollars
        assert before is not None and after is not None and before != after


def test_what_is_recalled_anew_is_of_the_time_of_the_call() -> None:
    with opened(budget=20_000) as memory:
        memory.remember("The order of Lisbon is in depot A, 甲仓库.")
        memory.add("user", "Where is the order?")
        memory.context("order depot 仓库")
        memory.remember("The order of Porto is in depot B, 乙仓库.")
        memory.add("assistant", "In depot A.")
        memory.add("user", "And the order of Porto?")
        memory.context("order depot 仓库")
        policy = ContextPolicy(name="one", recall_limit=1)
        first, second = memory.trace.rerun(policy=policy).calls
        assert len(first.before.recalled) == 1 == len(first.after.recalled)
        assert len(second.before.recalled) > 1 == len(second.after.recalled)
        assert second.recalled_out and not second.recalled_in
        assert first.after.recalled == first.before.recalled  # not what came later


def test_a_rerun_writes_nothing_and_runs_no_tool(tmp_path: Path) -> None:
    ran: list[int] = []

    def find(n: int) -> str:
        """Find an order."""
        ran.append(n)
        return "found 找到了"

    with opened(tmp_path / "a.db") as memory:
        memory.tools.add(find, side_effects=False)
        memory.add("user", "Find order 1.")
        memory.context(tools=memory.tools)
        memory.add(Message("assistant", ToolCallPart("c1", "find", {"n": 1})))
        memory.tools.run([ToolCallPart("c1", "find", {"n": 1})])
        memory.context(tools=memory.tools)
        steps = memory.trace.steps()
        head = memory.session.head
        assert len(memory.trace.rerun(budget=5_000).calls) == 2
        assert (ran, memory.session.head, memory.trace.steps()) == ([1], head, steps)


def test_summaries_of_a_model_are_extracted_instead() -> None:
    def model(messages: Any, target: int) -> str:
        raise AssertionError("a re-run calls no model")

    class Model:
        summarize = staticmethod(model)

    sums = {"strategies": ("summarize",), "summarizer": Model(), "high": 0.5, "low": 0.2}
    policy = ContextPolicy(name="sums", **sums)  # type: ignore[arg-type]
    with opened(budget=900) as memory:
        talk(memory, 10)
        again = memory.trace.rerun(policy=policy)
        assert again.after.compactions
        assert again.notes == ("summaries were extracted: a re-run calls no model",)


def test_an_unknown_policy_of_the_recording_is_named() -> None:
    with opened(policy=ContextPolicy(name="my own")) as memory:
        talk(memory, 2)
        backend = memory.backend
        other = opened(backend)
        assert "'my own', which is not known here" in other.trace.rerun().notes[0]


def test_a_model_is_named() -> None:
    with opened() as memory:
        talk(memory, 1)
        with pytest.raises(InvalidValueError, match="model is a name, not 5"):
            memory.trace.rerun(model=5)  # type: ignore[arg-type]


def test_it_says_that_there_is_nothing_to_make_again() -> None:
    with opened() as memory:
        memory.add("user", "Hello")
        with pytest.raises(NotFoundError, match="has no recorded calls"):
            memory.trace.rerun()
        memory.context()
        with pytest.raises(InvalidValueError, match="budget is a number of tokens"):
            memory.trace.rerun(budget=0)


async def test_the_async_twins_give_the_same() -> None:
    with opened() as memory:
        talk(memory, 4)
        again = await memory.trace.arerun(budget=300)
        assert again.to_dict() == memory.trace.rerun(budget=300).to_dict()
        first, last = again.calls[0].step, again.calls[-1].step
        assert first and last
        difference = await memory.trace.acompare(first, last)
        assert difference.to_dict() == memory.trace.compare(first, last).to_dict()
        assert len(await memory.trace.areplay()) == len(memory.trace.steps())


def test_a_rerun_is_json_data() -> None:
    import json

    with opened() as memory:
        talk(memory, 8, query="订单")
        data = json.loads(json.dumps(memory.trace.rerun(budget=300).to_dict()))
        assert data["settings"] == {"budget": 300} and len(data["calls"]) == 8
        assert {"read", "written", "plain", "dollars"} == set(data["after"]["cost"])


# -- two windows -------------------------------------------------------------------------


def test_two_windows_of_a_session_are_compared() -> None:
    with opened() as memory:
        talk(memory, 12)
        windows = memory.trace.steps(kind="window")
        same = memory.trace.compare(windows[3], windows[3].id)
        assert same.same and str(same).startswith("the same") and not same.moved
        other = memory.trace.compare(windows[0], windows[-1])
        newest = memory.session.log()[-2]
        assert other.entered[-1].version == newest.version
        assert other.entered[-1].id == newest.message.id
        assert {one.role for one in other.entered} == {"user", "assistant"}
        assert str(other).count("\nentered @") == len(other.entered)
        assert other.shared < other.after.tokens


def test_a_fork_is_compared_with_what_it_was_forked_from() -> None:
    with opened(budget=9_000) as memory:
        talk(memory, 3)
        fork = memory.session.fork("other")
        fork.add("user", "Only here 只在这里")
        fork.context()
        memory.add("user", "Only there 只在那里")
        memory.context()
        (mine,) = fork.trace.steps(kind="window")
        theirs = memory.trace.steps(kind="window")[-1]
        other = memory.trace.compare(theirs, mine)
        assert [len(side) for side in (other.entered, other.left, other.changed)] == [1, 1, 0]


# -- the parts ---------------------------------------------------------------------------


def said(version: int, text: str, tokens: int = 10) -> Logged:
    return Logged(version, Message("user", text, id=f"m{version}"), tokens)


def test_forms_decide_what_came_in_and_what_went_out() -> None:
    def sent(**forms: str) -> Sent:
        places = {id_: Place(n, "user", form) for n, (id_, form) in enumerate(forms.items(), 1)}
        return Sent(100, "p", "c", places=places)

    before = sent(a="verbatim", b="digest", c="drop-low-priority", d="verbatim", e="left out")
    after = sent(a="digest", b="drop-low-priority", c="verbatim", d="verbatim", e="skipped")
    difference = Difference(before, after)
    assert [one.id for one in difference.entered] == ["c"]
    assert [one.id for one in difference.left] == ["b"]
    assert [(one.id, one.before, one.after) for one in difference.changed] == [
        ("a", "verbatim", "digest")
    ]


def test_the_meter_knows_what_stands_in_front_and_when_the_cache_is_cold() -> None:
    meter = CacheMeter(ratios=CacheRatios(0.5, 2.0))
    first, second = said(1, "a"), said(2, "b")
    assert meter.request([first], front=7, key="tools") == (0, 17)
    assert meter.request([first, second], front=7, key="tools") == (17, 10)
    assert meter.request([first, second], front=7, key="tools", cold=True) == (0, 27)
    assert meter.request([first, second], front=7, key="other tools") == (0, 27)
    assert meter.cost == 0.5 * 17 + 2.0 * (17 + 10 + 27 + 27)


def test_after_a_pause_the_cache_is_cold() -> None:
    with opened(budget=9_000) as memory:
        at = datetime(2026, 1, 2, tzinfo=UTC)
        talk(memory, 3)
        from ctxplug.tokens.prices import Prices
        from ctxplug.tracing.rerun import Bill

        steps = memory.trace.steps(kind="window")
        call = memory.trace.compare(steps[0], steps[0]).after
        bill = Bill("claude-sonnet-4-5", Prices())
        from dataclasses import replace

        spent = [
            bill.enter(call, replace(steps[0], started_at=at + timedelta(seconds=later)))
            for later in (0, 299, 299 + 300)
        ]
        assert [one.read > 0 for one in spent] == [False, True, False]
        assert bill.sum.dollars == pytest.approx(sum(one.dollars or 0 for one in spent))
