"""memory.trace.analyze and `ctxplug trace analyze` on real stores: windows are made again."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ctxplug import AgentMemory, Message
from ctxplug.cli.app import app
from ctxplug.context.policy import ContextPolicy
from ctxplug.messages import TextPart, ToolCallPart, ToolResultPart
from ctxplug.tracing.analysis import Analysis

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))  # as when one of them is run

import failure_analysis as benchmark
import failure_injection as injection


def ask(memory: AgentMemory, name: str, answer: str, **arguments: Any) -> None:
    """Make a window, then a call as a model would from it, and its answer."""
    memory.context()
    call_id = f"call_{memory.session.head}"
    memory.add(Message("assistant", ToolCallPart(call_id, name, arguments)))
    memory.add(Message("tool", ToolResultPart(call_id, (TextPart(answer),))))


def lose(memory: AgentMemory, value: str = "ORD-77812", error: str = "Error: not found") -> int:
    """Say `value`, take it out of view, then call for it in vain; return its version."""
    memory.add("user", f"My order is {value}.")
    held = memory.session.head
    memory.add("assistant", "Noted.")
    memory.add("user", "Where is it?")
    memory.session.keep([one.version for one in memory.session.log() if one.version != held])
    ask(memory, "look_up", error, order_id=value)
    memory.add("assistant", "I cannot find it.")
    return held


@pytest.mark.parametrize(
    ("value", "error"), [("ORD-77812", "Error: not found"), ("DD20240501-88", "错误：找不到订单")]
)
def test_a_value_cut_by_an_edit_is_found_in_a_window_made_again(value: str, error: str) -> None:
    with AgentMemory.open("memory:", namespace="acme/ann", session="s") as memory:
        held = lose(memory, value, error)
        analysis = memory.trace.analyze()
    assert analysis.cause is not None and analysis.cause.kind == "lost_value"
    assert analysis.cause.data["values"] == [value]
    assert held in analysis.cause.versions


def test_a_value_cut_by_compaction_and_only_then() -> None:
    """The same calls from a budget that holds everything, and from one that does not."""

    def played(budget: int) -> Analysis:
        policy = ContextPolicy(strategies=("drop-low-priority",), keep_last=0)
        memory = AgentMemory.open("memory:", namespace="acme/ann", budget=budget, policy=policy)
        memory.add("user", "Find what I wrote of KX7-44190-QQ. " + "It was long ago. " * 30)
        for n in range(12):
            memory.add("assistant", f"Part {n}. " + "One more thing of no weight. " * 12)
            memory.add("user", f"Go on with {n}. " + "And another thing, whatever it is. " * 9)
            memory.context()
        ask(memory, "open_file", "{}", code="KX7-44190-QQ")
        window = memory.trace.steps(kind="window")[-1]
        shown = "\n".join(m.text for m in memory.trace.window(window).window.messages)
        analysis = memory.trace.analyze()
        assert bool(analysis.of("lost_value")) == ("KX7-44190-QQ" not in shown)
        return analysis

    assert not played(50_000).of("lost_value")
    assert "drop-low-priority" in played(400).of("lost_value")[0].why


def test_nothing_is_written_and_a_new_process_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/ann", session="s") as memory:
        lose(memory)
        first = memory.trace.analyze().to_dict()
    before = path.read_bytes()
    with AgentMemory.open(path, namespace="acme/ann", session="other") as memory:
        assert memory.trace.analyze("s").to_dict() == first
        assert asyncio.run(memory.trace.aanalyze("s")).to_dict() == first
        assert memory.trace.analyze().findings == ()
    assert path.read_bytes() == before


def test_a_slow_tool_is_compared_with_other_sessions() -> None:
    with AgentMemory.open("memory:", namespace="acme/ann", session="a") as memory:
        for n in range(6):
            memory.trace.record("tool", "look_up", started_at=1_000 + n, duration=0.2 + n / 50)
        memory.trace.flush()
        with memory.beside(session="b") as other:
            step = other.trace.record("tool", "look_up", started_at=2_000, duration=9.0)
            (finding,) = other.trace.analyze().of("slow_step")
            assert finding.steps == (step.id,)
        assert not memory.trace.analyze().of("slow_step")


def test_a_session_marked_as_failed_says_why() -> None:
    with AgentMemory.open("memory:", namespace="acme/ann", session="s") as memory:
        lose(memory)
        memory.session.fail("the customer gave up")
        summaries = [f.summary for f in memory.trace.analyze().of("failure")]
    assert any("the customer gave up" in summary for summary in summaries)


def test_what_went_well_in_a_session_marked_as_completed_is_believed() -> None:
    with AgentMemory.open("memory:", namespace="acme/ann", session="s") as memory:
        memory.add("user", "My order is ORD-77812.")
        memory.add("assistant", "Thank you.")
        memory.add("user", "Where is it?")
        memory.session.keep([2, 3])
        ask(memory, "look_up", "in Porto", id="ORD-77812")
        assert memory.trace.analyze().of("lost_value")
        memory.session.complete()
        assert not memory.trace.analyze().of("lost_value")
        memory.session.resume()
        assert memory.trace.analyze().of("lost_value")


def test_without_a_trace_the_messages_are_still_looked_at() -> None:
    with AgentMemory.open("memory:", namespace="a", session="s", trace=False) as memory:
        memory.add("user", "look")
        ask(memory, "look_up", "错误：服务不可用", id=1)
        analysis = memory.trace.analyze()
    assert analysis.of("tool_error") and "No steps" in analysis.notes[0]


# -- the command ---------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> str:
    path = tmp_path / "agent.db"
    with AgentMemory.open(path, namespace="acme/ann", session="bad") as memory:
        lose(memory)
        with memory.beside(session="good") as other:
            other.add("user", "hello")
            other.context()
            other.add("assistant", "Hello.")
    return str(path)


def run(*args: str) -> Any:
    return CliRunner().invoke(app, ["trace", "analyze", *args])


def test_the_command_tells_what_why_and_what_to_do(store: str) -> None:
    done = run(store, "-s", "bad")
    assert done.exit_code == 0
    for piece in ("lost_value", "ORD-77812", "why", "do"):
        assert piece in done.output
    assert "Nothing stands out" in run(store, "-s", "good").output


def test_the_command_as_json_by_kind_and_for_a_check(store: str) -> None:
    whole = json.loads(run(store, "-s", "bad", "--json").output)
    assert whole["cause"] == "lost_value"
    some = json.loads(run(store, "-s", "bad", "--json", "--kind", "tool_error").output)
    assert {finding["kind"] for finding in some["findings"]} == {"tool_error"}
    causes = json.loads(run(store, "-s", "bad", "--json", "--causes").output)
    assert "failure" not in {finding["kind"] for finding in causes["findings"]}
    assert run(store, "-s", "bad", "--check").exit_code == 1
    assert run(store, "-s", "good", "--check").exit_code == 0


def test_an_unknown_kind_is_refused_with_those_there_are(store: str) -> None:
    done = run(store, "-s", "bad", "--kind", "oops")
    assert done.exit_code == 1 and "lost_value" in done.output + done.stderr


# -- the benchmark -------------------------------------------------------------------------


def _recorded(name: str) -> Any:
    """Return a run in Chinese and English: ids in answers, a lookup for each, the last again."""
    ids = ["DD2024-1001", "DD2024-1002", "DD2024-1003"]
    messages = [
        Message("system", "Help. 请帮助用户。"),
        Message("user", "我是 user_90210，查我的订单"),
    ]

    def asked(tool: str, answer: Any, **arguments: Any) -> None:
        call = ToolCallPart(f"c{len(messages)}", tool, arguments)
        messages.append(Message("assistant", call))
        text = json.dumps(answer, ensure_ascii=False)
        messages.append(Message("tool", ToolResultPart(call.id, (TextPart(text),))))

    asked("orders", {"订单": ids}, user_id="user_90210")
    for one in ids:
        asked("look_up", {"订单号": one, "状态": "已发货"}, order_id=one)
    messages.append(Message("assistant", "三个订单都已发货。"))
    messages.append(Message("user", "第二个订单取消吧"))
    asked("cancel", {"done": True}, order_id=ids[1])
    messages.append(Message("assistant", "已取消。"))
    messages.append(Message("user", "谢谢"))
    messages.append(Message("assistant", "不客气。"))
    return injection.untouched(name, messages)


@pytest.mark.parametrize("fault", injection.FAULTS)
def test_every_fault_is_named_in_a_run_of_another_domain(fault: str) -> None:
    player = benchmark.Player(alone=False, tight=5.0)
    for n in range(6):  # what durations are compared with
        player.play(_recorded(f"before-{n}"))
    named = 0
    for n in range(6):
        case = injection.injected(_recorded(f"run-{n}"), fault)
        assert case is not None and case.fault == fault
        played = player.play(case)
        analysis = played.memory.trace.analyze()
        named += any(benchmark.hits(finding, case, played) for finding in analysis.findings)
    assert named == 6


def test_a_run_that_nobody_touched_has_no_cause() -> None:
    player = benchmark.Player(alone=True, tight=5.0)
    for n in range(6):
        played = player.play(_recorded(f"good-{n}"))
        assert played.memory.trace.analyze().causes == ()
        assert played.lacked == []


def test_a_fault_is_the_same_each_time_and_leaves_the_rest_alone() -> None:
    case = _recorded("run")
    for fault in injection.FAULTS:
        first, second = injection.injected(case, fault), injection.injected(case, fault)
        assert first.style == second.style and first.place == second.place
        assert [t.message.text for t in first.turns] == [t.message.text for t in second.turns]
        before = first.place[0]
        assert [replace(t, cut=None) for t in first.turns[:before]] == list(case.turns[:before])


@pytest.mark.slow
def test_the_goals_are_met_on_recorded_runs() -> None:
    file = benchmark.agent_runs()
    if file is None:
        pytest.skip("there is no tau-bench-dev/airline.jsonl; set CTXPLUG_DATA")
    failed, good = (benchmark.cases(file, reward) for reward in (0, 1))
    assert benchmark.goals(benchmark.measure(failed, good, alone=False))
