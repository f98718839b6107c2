"""Steps: what is recorded of what a memory does, and past windows made again from the log."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message, ToolCallPart, hookimpl
from ctxplug.context.sections import Section
from ctxplug.errors import BudgetError, InvalidValueError, NotFoundError
from ctxplug.plugins import Plugins
from ctxplug.storage import Append, Backend, Stream
from ctxplug.storage.as_of import AsOf
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.tracing.policy import TracePolicy
from ctxplug.tracing.step import Step

NS = ("acme", "alice")
PLUGINS = Plugins(load_entry_points=False)
TOOLS = [{"name": "find", "description": "Finds.", "input_schema": {"type": "object"}}]


def opened(target: Any = "memory:", **options: Any) -> AgentMemory:
    options = {"counter": "estimate", "plugins": PLUGINS, "session": "trip", **options}
    return AgentMemory.open(target, namespace=NS, **options)


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made: Backend = InMemoryBackend()
    if request.param == "sqlite":
        made = SqliteBackend(tmp_path / "agent.db")
    with made:
        yield made


def names(steps: list[Step]) -> list[str]:
    return [f"{step.kind} {step.name}".strip() for step in steps]


# -- what is recorded ----------------------------------------------------------------------


def test_each_verb_is_a_step_with_its_numbers() -> None:
    memory = opened()
    memory.add("user", "Where do I live? 我住在哪里？")
    record = memory.remember("Lives in Lisbon", kind="fact")
    window = memory.context("where do I live", system="Be brief.", tools=TOOLS)
    memory.recall("Lisbon", k=3)
    memory.record_usage({"input_tokens": 90, "output_tokens": 9}, model="claude-sonnet-4-5")
    memory.forget(record.id)
    steps = memory.trace.steps()
    assert names(steps) == [
        "remember remember",
        "window balanced",
        "recall recall",
        "model claude-sonnet-4-5",
        "recall recall",
        "remember forget",
    ]
    by_name = {step.kind: step for step in reversed(steps)}
    seen = by_name["window"]
    assert (seen.tokens, seen.data["head"]) == (window.tokens, window.report.head)
    assert seen.data["query"] == "where do I live" and seen.data["recalled"] == [record.id]
    assert sum(seen.data["tokens"].values()) == window.tokens and len(seen.data["hash"]) == 64
    inner = next(step for step in steps if step.parent == seen.id)
    assert inner.kind == "recall" and inner.data["found"] == [record.id]
    model = by_name["model"]
    assert model.tokens == 99 and model.cost == pytest.approx((90 * 3 + 9 * 15) / 1e6)
    assert model.data["usage"]["input"] == 90 and model.duration > 0
    asked = next(step for step in steps if step.data.get("k") == 3)
    assert asked.data["query"] == "Lisbon" and record.id in asked.data["found"]
    assert by_name["remember"].data["id"] == record.id
    assert all(step.ok and step.session == "trip" for step in steps)


def test_the_steps_of_a_turn_are_one_trace() -> None:
    memory = opened()
    for turn in range(3):
        memory.add("user", f"Turn {turn}")
        memory.context()
        memory.add("assistant", "Yes.")
        memory.context("more")
    traces = [step.trace for step in memory.trace.steps(kind="window")]
    assert traces[0::2] == traces[1::2] and len(set(traces)) == 3
    assert names(memory.trace.steps(trace=traces[-1], kind="window")) == ["window balanced"] * 2


def test_a_compaction_stands_inside_its_window() -> None:
    memory = opened(budget=600)
    for n in range(40):
        memory.add("user", f"Message {n} says that the parcel {n * 7919} is in town.")
        memory.context()
        memory.add("assistant", f"Parcel {n * 7919}: noted, and thank you very much for it.")
    steps = memory.trace.steps()
    windows = {step.id: step for step in steps if step.kind == "window"}
    compactions = [step for step in steps if step.kind == "compaction"]
    assert compactions
    for number, step in enumerate(compactions, 1):
        assert step.parent is not None
        window = windows[step.parent]
        assert window.data["base"] == step.data["version"] and step.data["number"] == number
        assert window.started_at <= step.started_at and step.ended_at <= window.ended_at
        assert step.data["before"] > step.data["after"] == step.tokens


def test_what_fails_is_a_step_that_says_why() -> None:
    memory = opened()
    memory.add("user", "word " * 500)
    with pytest.raises(BudgetError) as caught:
        memory.context(budget=100)
    with pytest.raises(NotFoundError):
        memory.forget("nothing")
    window, forget = memory.trace.steps()
    assert (window.outcome, window.data["needed"]) == ("error", caught.value.needed)
    assert window.error is not None and window.error.startswith("BudgetError: ")
    assert (forget.outcome, forget.name) == ("error", "forget")
    with pytest.raises(InvalidValueError, match="made no window"):
        memory.trace.window(window)


def test_tool_runs_are_steps_and_what_they_do_is_theirs() -> None:
    memory = opened()
    tries = []

    def look_up(place: str) -> str:
        """Look a place up."""
        memory.recall(place)
        tries.append(place)
        if len(tries) == 1:
            raise ValueError("secret of the tool")
        return "found"

    memory.tools.add(look_up, idempotent=True)
    with memory.trace.span("turn") as span:
        run = memory.tools.call("look_up", {"place": "里斯本"})
    steps = memory.trace.steps()
    (tool,) = [step for step in steps if step.kind == "tool"]
    assert (tool.name, tool.parent, tool.outcome) == ("look_up", span.id, "ok")
    assert tool.data["run"] == run.id and tool.data["arguments"] == {"place": "里斯本"}
    assert [s.parent for s in steps if s.kind == "recall"] == [tool.id] * 2
    assert [s.data["attempt"] for s in steps if s.kind == "retry"] == [2]
    assert "secret" not in repr(steps)


# -- spans ---------------------------------------------------------------------------------


async def test_spans_nest_across_tasks_and_threads() -> None:
    memory = opened()
    memory.add("user", "Hello")

    async def fetch(name: str) -> None:
        async with memory.trace.span(name):
            await asyncio.sleep(0)
            await memory.arecall(name)

    async with memory.trace.span("plan", goal="两件事") as plan:
        await asyncio.gather(fetch("one"), fetch("two"))
        await asyncio.to_thread(memory.recall, "three")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, memory.recall, "four").result()

            def alone() -> None:
                with memory.trace.span("five", parent=plan):
                    memory.recall("five")

            pool.submit(alone).result()
    memory.recall("six")
    steps = {step.id: step for step in await memory.trace.asteps()}

    def above(step: Step) -> str | None:
        return steps[step.parent].name if step.parent else None

    recalls = {s.data["query"]: above(s) for s in steps.values() if s.kind == "recall"}
    expected = {"one": "one", "two": "two", "three": "plan", "four": "plan", "five": "five"}
    assert recalls == {**expected, "six": None}
    spans = {s.name: above(s) for s in steps.values() if s.kind == "span"}
    assert spans == {"plan": None, "one": "plan", "two": "plan", "five": "plan"}
    inside = {s.trace for s in steps.values() if s.data.get("query") != "six"}
    assert inside == {plan.trace}
    assert (await memory.trace.aget(plan.id)).data == {"goal": "两件事"}


def test_a_span_ends_as_what_is_inside_does() -> None:
    memory = opened()
    memory.add("user", "x")
    with pytest.raises(ZeroDivisionError), memory.trace.span("sum"):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), memory.trace.span("long"):
        raise KeyboardInterrupt
    with memory.trace.span("own") as span:
        span.outcome, span.error, span.tokens, span.cost = "refused", "not today", 7, 0.5
        span.set(rows=[1, {"a": None}])
    failed, given_up, own = memory.trace.steps()
    assert (failed.outcome, failed.error) == ("error", "ZeroDivisionError: division by zero")
    assert (given_up.outcome, given_up.error) == ("cancelled", "KeyboardInterrupt")
    assert (own.outcome, own.tokens, own.cost) == ("refused", 7, 0.5)
    assert own.data == {"rows": [1, {"a": None}]}
    with pytest.raises(InvalidValueError, match="what"):
        memory.trace.span("bad", what=object())
    with pytest.raises(InvalidValueError, match="kinds"):
        memory.trace.span("bad", kind="dance")


def test_what_was_measured_elsewhere_can_be_entered() -> None:
    memory = opened()
    memory.add("user", "x")
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    told = memory.trace.record(
        "model", "llama", started_at=at, duration=2.5, tokens=40, cost=0.1, stop_reason="stop"
    )
    late = memory.trace.record("tool", "find", started_at=at + timedelta(1), duration=0)
    assert memory.trace.get(told.id) == told
    assert (told.ended_at - at).total_seconds() == 2.5 and told.data == {"stop_reason": "stop"}
    assert memory.trace.steps(since=at + timedelta(hours=1)) == [late]
    assert memory.trace.steps(until="2026-05-01T13:00Z", kind="model") == [told]
    assert memory.trace.steps(last=1) == [late]
    assert Step.from_dict(told.to_dict()) == told
    for bad in ({"duration": -1.0}, {"duration": float("nan")}):
        with pytest.raises(InvalidValueError):
            memory.trace.record("tool", started_at=at, **bad)
    with pytest.raises(NotFoundError, match="no step"):
        memory.trace.get("0" * 16)


# -- how much of it ------------------------------------------------------------------------


def test_a_share_of_traces_is_kept_whole_and_all_that_failed() -> None:
    memory = opened(trace=0.25)
    for turn in range(200):
        memory.add("user", f"Turn {turn}")
        memory.context()
        memory.recall("turn")
        with pytest.raises(NotFoundError):
            memory.forget("nothing")
    steps = memory.trace.steps()
    assert len([step for step in steps if not step.ok]) == 200
    kept = {step.trace for step in steps if step.kind == "window"}
    assert 20 < len(kept) < 90
    assert {step.trace for step in steps if step.kind == "recall"} == kept


def test_tracing_can_be_off() -> None:
    memory = opened(trace=False)
    memory.add("user", "x")
    memory.context()
    with pytest.raises(NotFoundError):
        memory.forget("nothing")
    assert memory.trace.steps() == []
    assert not [i for i in memory.backend.sessions(NS) if i.session.startswith("ctxplug:trace")]
    for wrong in (2, -0.1, "yes"):
        with pytest.raises(InvalidValueError):
            opened(trace=wrong)


def everything(backend: Backend) -> str:
    """Return all that is stored of the trace."""
    entries = backend.read(Stream(NS, "ctxplug:trace:trip"))
    return repr([entry.body for entry in entries])


def test_without_text_nothing_that_was_said_is_in_a_step() -> None:
    backend = InMemoryBackend()
    memory = opened(backend, trace=TracePolicy(text=False))
    memory.add("user", "canary one")
    memory.context("canary two", system="canary three", tools=[{**TOOLS[0], "name": "canary4"}])
    with pytest.raises(ValueError), memory.trace.span("own", note="canary five"):
        raise ValueError("canary six")
    memory.trace.flush()
    assert "canary" not in everything(backend)
    (window,) = memory.trace.steps(kind="window")
    replayed = memory.trace.window(window)
    assert not replayed.exact and any("system prompt" in note for note in replayed.notes)


class Redactor:
    """Takes canaries out; fails at what it must not see."""

    @hookimpl
    def redact(self, text: str, scope: Any) -> str:
        if "poison" in text:
            raise RuntimeError("no")
        return text.replace("canary", "[name]")


def test_redactors_come_before_steps_are_stored_and_fail_closed() -> None:
    plugins = Plugins(load_entry_points=False)
    plugins.register(Redactor(), "redactor")
    backend = InMemoryBackend()
    memory = opened(backend, plugins=plugins, trace=TracePolicy(redact=lambda t: t.upper()))
    memory.add("user", "Hello")
    memory.context("canary two", system="canary three")
    memory.recall("poison")
    memory.trace.flush()
    assert "canary" not in everything(backend) and "poison" not in everything(backend)
    queries = [step.data["query"] for step in memory.trace.steps(kind="recall")]
    assert queries[0] == "[NAME] TWO" and queries[-1].startswith("[withheld")
    (window,) = memory.trace.steps(kind="window")
    assert not memory.trace.window(window).exact


def look_up(id: str, note: str) -> str:
    """Look something up."""
    return f"{id} {note}"


@pytest.mark.parametrize(
    "policy", [TracePolicy(text=False), TracePolicy(redact=lambda t: t.replace("canary", "[X]"))]
)
def test_nothing_is_spared_because_of_the_key_it_stands_under(policy: TracePolicy) -> None:
    """Neither the arguments of a tool, nor what an application says of a call of its own."""
    memory = opened(trace=policy)
    memory.tools.add(look_up, side_effects=False)
    memory.add("user", "Go on")
    call = ToolCallPart("c1", "look_up", {"id": "canary 1", "note": "canary 2"})
    memory.add(Message("assistant", call))
    memory.tools.run([call])
    with memory.trace.span("call", kind="model", prompt="canary 3", asked={"role": "canary 4"}):
        pass
    memory.trace.record("tool", "search", started_at=0, duration=1, result=["canary 5", "金丝雀"])
    memory.context(system="Be brief.", tools=[{**TOOLS[0], "input_schema": schema("canary 6")}])
    memory.trace.flush()
    entries = memory.backend.read(Stream(NS, "ctxplug:trace:trip"))
    stored = "".join(str(entry.body) for entry in entries)
    assert "canary" not in stored and "look_up" in stored


def schema(text: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"id": {"type": "string", "description": text}}}


def test_what_a_redactor_returns_instead_of_text_is_not_stored() -> None:
    memory = opened(trace=TracePolicy(redact=lambda text: None))  # type: ignore[arg-type,return-value]
    memory.add("user", "Hello")
    memory.context("hello", system="Be brief.")
    (window,) = memory.trace.steps(kind="window")
    assert window.data["query"].startswith("[withheld")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost", float("nan")),
        ("cost", "much"),
        ("tokens", "many"),
        ("error", 5),
        ("outcome", None),
        ("name", object()),
        ("data", {"o": object()}),
        ("data", {"n": float("inf"), "文": "字"}),
    ],
)
def test_a_step_that_cannot_be_stored_keeps_nothing_else_from_the_store(
    backend: Backend, name: str, value: Any
) -> None:
    memory = opened(backend)
    memory.add("user", "Hello")
    with memory.trace.span("own") as span:
        setattr(span, name, value)
    for number in range(20):  # enough that steps go along with a write
        with memory.trace.span("fine", number=number):
            memory.add("user", f"第{number}")
    assert len(memory.messages()) == 21
    own, *others = memory.trace.steps()
    assert own.id == span.id and "unstored" in own.data
    assert [step.data["number"] for step in others] == list(range(20))
    assert all(type(step.outcome) is str for step in [own, *others])


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration": "1"},
        {"duration": float("inf")},
        {"tokens": "9"},
        {"tokens": True},
        {"cost": float("nan")},
        {"outcome": None},
        {"error": 5},
        {"parent": 5},
        {"parent": "no id"},
        {"trace": "zz"},
        {"name": 7},
    ],
)
def test_what_is_no_measure_of_a_step_is_refused(wrong: dict[str, Any]) -> None:
    memory = opened(trace=0.5)
    with pytest.raises(InvalidValueError, match=rf"{next(iter(wrong))}.* not "):
        memory.trace.record(
            **{"kind": "span", "name": "x", "started_at": 0, "duration": 1, **wrong}
        )
    assert memory.trace.steps() == []


@pytest.mark.parametrize("wrong", [{"sample": "all"}, {"sample": 2}, {"redact": "canary"}])
def test_a_trace_policy_is_one(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(wrong))):
        TracePolicy(**wrong)


def test_long_texts_are_cut() -> None:
    memory = opened()
    memory.add("user", "x")
    memory.recall("long " * 10_000)
    (step,) = memory.trace.steps(kind="recall")
    assert len(step.data["query"]) < 2_100 and "more characters" in step.data["query"]


# -- where steps are kept ------------------------------------------------------------------


def test_steps_are_stored_with_writes_and_when_closed(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path) as memory:
        memory.add("user", "x")
        memory.context()
    with opened(path) as memory, opened(path, session="other") as other:
        assert names(memory.trace.steps()) == ["window balanced"]
        assert names(other.trace.steps(session="trip")) == ["window balanced"]
        other.recall("x")  # nothing was said there: looking begins no session
    with opened(path) as memory:
        assert not [i for i in memory.backend.sessions(NS) if "other" in i.session]


def test_reading_alone_stores_steps_in_the_end(backend: Backend) -> None:
    memory = opened(backend)
    memory.add("user", "x")
    for _ in range(200):
        memory.recall("x")
    stored = backend.read(Stream(NS, "ctxplug:trace:trip"), kinds=["steps"])
    assert sum(len(entry.body["steps"]) for entry in stored) > 100
    assert len(memory.trace.steps()) == 200


def test_erasing_takes_the_steps_too(backend: Backend) -> None:
    memory = opened(backend)
    memory.add("user", "canary")
    memory.context("canary")
    memory.trace.flush()
    memory.recall("canary")
    memory.erase()
    memory.close()
    assert NS not in backend.namespaces()


def test_what_another_memory_erases_is_kept_anew(backend: Backend) -> None:
    """The parts of windows are kept once: and once more where somebody has erased them."""
    memory, other = opened(backend), opened(backend)
    for _ in range(2):
        memory.add("user", "Where? 在哪里？")
        memory.context(system="Be brief.", tools=TOOLS)
        memory.trace.flush()
        (window,) = memory.trace.steps(kind="window")
        memory.trace.flush()
        assert memory.trace.window(window).exact
        other.session.erase()


class Unwritable(InMemoryBackend):
    """Refuses to be written to, in words of its own, once it is `full`."""

    full = False
    tries = 0

    def write(self, *ops: Any) -> list[int]:
        self.tries += 1
        if self.full:
            raise RuntimeError("the disk is gone")
        return super().write(*ops)


def test_steps_that_cannot_be_stored_stop_nobody_and_wait_on() -> None:
    backend = Unwritable()
    memory = opened(backend)
    memory.add("user", "Hello")
    backend.full, backend.tries = True, 0
    for number in range(300):
        with memory.trace.span("own", number=number):
            memory.context()
    assert backend.tries < 20
    backend.full = False
    assert [s.data["number"] for s in memory.trace.steps(kind="span")] == list(range(300))


def test_a_store_that_cannot_be_written_to_can_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with opened(path) as memory:
        memory.add("user", "x")
        memory.context()
    with opened(f"sqlite:///{path}?mode=ro") as memory:
        memory.context()
        (step,) = memory.trace.steps()
        assert memory.trace.window(step).exact


def test_many_threads_lose_no_step() -> None:
    memory = opened()
    memory.add("user", "x")
    threads = [
        threading.Thread(target=lambda: [memory.recall("x") for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memory.trace.steps()) == 400
    assert len({step.id for step in memory.trace.steps()}) == 400


# -- past windows --------------------------------------------------------------------------

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["turn", "turn", "turn", "tool", "keep", "remember", "other", "reopen"]),
        st.integers(0, 5),
    ),
    min_size=5,
    max_size=40,
)


class Player:
    """Plays actions, and keeps what each window held."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.memory = opened(backend, budget=500)
        self.sent: dict[str, tuple[Any, ...]] = {}
        self.n = 0

    def play(self, what: str, number: int) -> None:
        self.n += 1
        memory = self.memory
        if what == "reopen":
            memory.close()
            self.memory = opened(self.backend, budget=500)
        elif what == "keep":
            log = memory.session.log()
            users = [i for i, logged in enumerate(log) if logged.message.role == "user"]
            if users:
                end = users[-1 - number % len(users)]
                memory.session.keep([logged.version for logged in log[: end + 1]])
                self.window()
        elif what == "remember":
            memory.remember(f"The code {self.n} of room {number} is {self.n * 101}")
        elif what == "tool":
            self.turn(number)
            memory.add(
                Message.from_openai(
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": f"c{self.n}",
                                "type": "function",
                                "function": {"name": "find", "arguments": "{}"},
                            }
                        ],
                    }
                )[0]
            )
            if number % 2:
                self.window()
            memory.extend(
                Message.from_openai(
                    {"role": "tool", "tool_call_id": f"c{self.n}", "content": "row 价格 " * 90}
                )
            )
            self.window()
        else:
            self.turn(number, budget=900 if what == "other" else 500)

    def turn(self, number: int, budget: int = 500) -> None:
        self.memory.add("user", f"{self.n}: please look at parcel {self.n * 7919}. 请看包裹。")
        query = f"parcel {number}" if number % 3 == 0 else None
        sections = [Section("rules", f"Rule {number}", cacheable=True)] if number == 5 else []
        if number == 4:
            sections.append(Section("now", f"It is {self.n}", place="system"))
        self.window(
            query,
            budget=budget,
            system="Be brief." if number % 2 else None,
            tools=TOOLS if number > 3 else (),
            sections=sections,
        )
        if number != 2:
            self.memory.add("assistant", f"Parcel {self.n * 7919} is in town, says the list. 好。")

    def window(self, query: str | None = None, **options: Any) -> None:
        window = self.memory.context(query, **options)
        (step,) = self.memory.trace.steps(kind="window", last=1)
        self.sent[step.id] = tuple((m.role, m.name, m.content) for m in window.messages)


@pytest.mark.parametrize("make", [InMemoryBackend])
@given(actions=ACTIONS)
@settings(max_examples=40, deadline=None)
def test_any_past_window_is_made_again(
    make: Callable[[], Backend], actions: list[tuple[str, int]]
) -> None:
    backend = make()
    player = Player(backend)
    for action in actions:
        player.play(*action)
    player.memory.close()
    reader = opened(backend, budget=777)
    for step_id, sent in player.sent.items():
        replayed = reader.trace.window(step_id)
        assert replayed.exact, replayed.notes
        assert tuple((m.role, m.name, m.content) for m in replayed.window.messages) == sent
        step = reader.trace.get(step_id)
        assert replayed.window.tokens == step.tokens
        assert len(replayed.window.report.fates) > 0


def test_another_process_makes_past_windows_again(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with SqliteBackend(path) as backend:
        player = Player(backend)
        for n in range(60):
            player.play("tool" if n % 3 else "turn", n % 6)
        player.memory.close()
    code = """
import sys
from ctxplug import AgentMemory
with AgentMemory.open(sys.argv[1], namespace="acme/alice", session="trip") as memory:
    steps = memory.trace.steps(kind="window")
    print(len(steps), sum(memory.trace.window(step).exact for step in steps))
"""
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == [str(len(player.sent))] * 2


def test_a_window_that_is_not_the_same_any_more_is_told(tmp_path: Path) -> None:
    memory = opened()
    memory.add("user", "Hello")
    memory.context()
    (step,) = memory.trace.steps(kind="window")
    changed = Step.from_dict({**step.to_dict(), "data": {**step.data, "hash": "0" * 64}})
    replayed = memory.trace.window(changed)
    assert (
        not replayed.exact and replayed.expected == "0" * 64 and replayed.hash == step.data["hash"]
    )


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [None, 0, 1, 2, 5])
def test_a_log_as_of_a_version(backend: Backend, newest_first: bool, limit: int | None) -> None:
    stream = Stream(NS, "s")
    now = datetime.now(UTC)
    for n in range(1, 11):
        backend.write(
            Append(stream=stream, kind="even" if n % 2 == 0 else "odd", body={}, created_at=now)
        )
    for base in (0, 3, 8, 9):
        past = AsOf(backend, 6, base)
        for kinds in (None, ["even"]):
            for after, before in ((0, None), (4, None), (2, 8), (0, 9), (6, None)):
                allowed = [n for n in range(1, 11) if n <= 6 or n == base]
                allowed = [n for n in allowed if after < n and (before is None or n < before)]
                allowed = [n for n in allowed if kinds is None or n % 2 == 0]
                allowed = allowed[::-1] if newest_first else allowed
                found = past.read(
                    stream,
                    after=after,
                    before=before,
                    limit=limit,
                    newest_first=newest_first,
                    kinds=kinds,
                )
                assert [entry.version for entry in found] == allowed[:limit]
    assert AsOf(backend, 6).head(stream) == 6
