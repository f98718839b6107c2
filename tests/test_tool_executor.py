"""Calls of a turn: each has one result, in order, whatever a tool does."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message
from ctxplug.errors import (
    ClosedError,
    InvalidMessageError,
    StorageFullError,
    ToolError,
    UnsupportedError,
)
from ctxplug.messages import ImagePart, TextPart, ToolCallPart, ToolResultPart
from ctxplug.tools import PendingCall, ToolPolicy, ToolRule

SECRET = "sk-live-4242-hunter2"
FOREVER = 60.0


def opened(target: Any = "memory:", **options: Any) -> AgentMemory:
    options = {"namespace": "acme/alice", "session": "trip", "counter": "estimate", **options}
    return AgentMemory.open(target, **options)


@pytest.fixture
def memory() -> Iterator[AgentMemory]:
    with opened() as memory:
        yield memory


def calls(*named: tuple[str, Mapping[str, Any]], start: int = 0) -> list[ToolCallPart]:
    return [ToolCallPart(f"call_{start + i}", name, args) for i, (name, args) in enumerate(named)]


def result_of(message: Message) -> ToolResultPart:
    (part,) = message.content
    assert isinstance(part, ToolResultPart)
    return part


def texts(messages: Sequence[Message]) -> list[str]:
    return [result_of(message).text for message in messages]


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def greet(name: str) -> str:
    """Greet somebody."""
    await asyncio.sleep(0)
    return f"你好, {name}"


# -- one result per call, in order ------------------------------------------------------


def test_sync_and_async_tools_run_together_for_a_sync_caller(memory: AgentMemory) -> None:
    memory.tools.add(add)
    memory.tools.add(greet)
    done = memory.tools.run(calls(("greet", {"name": "王芳"}), ("add", {"a": 2, "b": 3})))
    assert texts(done) == ["你好, 王芳", "5"]
    assert [result_of(m).call_id for m in done] == ["call_0", "call_1"]
    assert [result_of(m).name for m in done] == ["greet", "add"]
    assert all(m.role == "tool" and not result_of(m).is_error for m in done)


async def test_sync_and_async_tools_run_together_for_an_async_caller(memory: AgentMemory) -> None:
    loops = []

    async def where() -> str:
        """Say where it runs."""
        loops.append(asyncio.get_running_loop())
        return "here"

    memory.tools.add(add)
    memory.tools.add(where)
    done = await memory.tools.arun(calls(("add", {"a": 2}), ("where", {})))
    assert texts(done) == ["3", "here"]
    assert loops == [asyncio.get_running_loop()]


async def test_a_sync_caller_inside_an_event_loop_is_served(memory: AgentMemory) -> None:
    memory.tools.add(greet)
    assert texts(memory.tools.run(calls(("greet", {"name": "Bo"})))) == ["你好, Bo"]


def test_calls_of_one_turn_run_at_once(memory: AgentMemory) -> None:
    barrier = threading.Barrier(3, timeout=10)

    def meet() -> str:
        """Wait for the two others."""
        barrier.wait()
        return "met"

    memory.tools.add(meet)
    assert texts(memory.tools.run(calls(*[("meet", {})] * 3))) == ["met"] * 3


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_results_keep_the_order_of_the_calls_whichever_ends_first(order: list[int]) -> None:
    turns = [threading.Event() for _ in range(len(order) + 1)]
    turns[0].set()

    def step(place: int) -> int:
        """End when it is its turn."""
        assert turns[order.index(place)].wait(10)
        turns[order.index(place) + 1].set()
        return place

    with opened() as memory:
        memory.tools.add(step)
        done = memory.tools.run(calls(*[("step", {"place": i}) for i in range(len(order))]))
    assert texts(done) == [str(i) for i in range(len(order))]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_two_hundred_calls_at_once(memory: AgentMemory, kind: str) -> None:
    together = threading.Barrier(200, timeout=20)
    here, all_here = [], asyncio.Event()

    async def async_wait(n: int) -> int:
        """Wait for all others."""
        here.append(n)
        if len(here) == 200:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 20)
        return n

    def sync_wait(n: int) -> int:
        """Wait for all others."""
        together.wait()
        return n

    memory.tools.add(async_wait if kind == "async" else sync_wait)
    done = await memory.tools.arun(calls(*[(f"{kind}_wait", {"n": i}) for i in range(200)]))
    assert texts(done) == [str(i) for i in range(200)]
    assert len(memory.tools.history(limit=None)) == 200


def test_results_are_stored_only_when_asked(memory: AgentMemory) -> None:
    memory.tools.add(add)
    memory.add("user", "2 + 3?")
    said = memory.add(Message("assistant", calls(("add", {"a": 2, "b": 3}))))
    memory.tools.run(said, store=True)
    memory.tools.run(calls(("add", {"a": 1}), start=5))
    assert [m.role for m in memory.messages()] == ["user", "assistant", "tool"]
    assert memory.context().to_anthropic()["messages"][-1]["content"][0]["tool_use_id"] == "call_0"


def test_two_calls_of_one_id_are_refused_before_anything_runs(memory: AgentMemory) -> None:
    ran = []

    def note() -> None:
        """Take note."""
        ran.append(1)

    memory.tools.add(note)
    with pytest.raises(InvalidMessageError, match=r"calls\[1\] has the id 'same'"):
        memory.tools.run([ToolCallPart("same", "note"), ToolCallPart("same", "note")])
    assert not ran


# -- a call id runs once -----------------------------------------------------------------


def test_a_call_that_has_ended_is_not_run_again(tmp_path: Path) -> None:
    ran = []

    def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        return f"paid {amount}"

    for _ in range(2):  # the second time with a memory that has to read the log
        with opened(tmp_path / "agent.db") as memory:
            memory.tools.add(pay)
            for _ in range(2):
                assert texts(memory.tools.run(calls(("pay", {"amount": 5})))) == ["paid 5"]
    assert ran == [5]


def test_a_call_id_that_was_another_calls_is_refused(memory: AgentMemory) -> None:
    memory.tools.add(add)
    memory.tools.run(calls(("add", {"a": 1})))
    (again,) = memory.tools.run(calls(("add", {"a": 7})))
    assert result_of(again).is_error
    assert "was used for another call" in result_of(again).text
    assert [run.outcome for run in memory.tools.history()] == ["invalid", "ok"]
    assert texts(memory.tools.run(calls(("add", {"a": 1})))) == ["2"]


def test_one_call_given_to_many_at_once_runs_once(tmp_path: Path) -> None:
    ran = []

    def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        time.sleep(0.05)
        return f"paid {amount}"

    memories = [opened(tmp_path / "agent.db") for _ in range(4)]
    found: list[list[str]] = []
    for memory in memories:
        memory.tools.add(pay)

    def run(memory: AgentMemory) -> None:
        found.append(texts(memory.tools.run(calls(("pay", {"amount": 5})))))

    threads = [threading.Thread(target=run, args=(m,)) for m in memories for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for memory in memories:
        memory.close()
    assert found == [["paid 5"]] * 12
    assert ran == [5]


def test_erasing_begins_anew(memory: AgentMemory) -> None:
    memory.tools.add(add)
    memory.tools.run(calls(("add", {"a": 1})))
    memory.erase()
    assert memory.tools.history() == []
    assert texts(memory.tools.run(calls(("add", {"a": 7})))) == ["8"]


# -- what comes in (case 42) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("add", {"a": "1"}, "a: "),
        ("add", {"a": 1, "c": 2}, "c: "),
        ("add", {}, "a: "),
        ("add", {"a": "x" * 1_000_000}, "bytes"),
        ("subtract", {"a": 1}, "no tool 'subtract'"),
    ],
)
def test_what_does_not_fit_is_told_and_does_not_run(
    memory: AgentMemory, name: str, arguments: Mapping[str, Any], says: str
) -> None:
    memory.tools.add(add)
    good, bad = memory.tools.run(calls(("add", {"a": 1}), (name, arguments)))
    assert result_of(good).text == "2"
    assert result_of(bad).is_error
    assert says in result_of(bad).text
    run = memory.tools.history()[-1 if memory.tools.history()[0].outcome == "ok" else 0]
    assert (run.outcome, run.attempts) == ("invalid", 0)


def test_arguments_that_are_no_json_are_told(memory: AgentMemory) -> None:
    memory.tools.add(add)
    call = ToolCallPart("call_0", "add", {}, raw_arguments='{"a": 1')
    (bad,) = memory.tools.run([call])
    assert result_of(bad).is_error
    assert "not JSON" in result_of(bad).text


# -- what comes out (case 41) --------------------------------------------------------------


@dataclass
class Point:
    x: int
    tags: frozenset[str]


def of_generator() -> Iterator[str]:
    yield "one "
    yield "二"


async def of_async_generator() -> AsyncIterator[int]:
    yield 1
    yield 2


PNG = b"\x89PNG\r\n\x1a\n0000"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ("", ""),
        ("text\udc80", "text\udc80"),
        ("价格".encode(), "价格"),
        (b"\xff\xfe\x00", "[3 bytes, in base64]\n//4A"),
        ({"价格": [1, 2.5, None], 3: "x"}, '{"价格": [1, 2.5, null], "3": "x"}'),
        (float("nan"), '"nan"'),
        (Point(1, frozenset({"b", "a"})), '{"x": 1, "tags": ["a", "b"]}'),
        ([TextPart("a"), TextPart("b")], "a\nb"),
        (10**5000, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_tool_returns_becomes_text(
    memory: AgentMemory, value: Any, text: str | None
) -> None:
    def give() -> Any:
        """Give it."""
        return value

    async def agive() -> Any:
        """Give it."""
        return value

    memory.tools.add(give)
    memory.tools.add(agive)
    done = memory.tools.run(calls(("give", {}), ("agive", {})))
    assert not any(result_of(m).is_error for m in done)
    assert text is None or texts(done) == [text, text]


def test_generators_are_read_to_their_end(memory: AgentMemory) -> None:
    def lines() -> Iterator[str]:
        """Give lines."""
        return of_generator()

    async def numbers() -> AsyncIterator[int]:
        """Give numbers."""
        async for number in of_async_generator():
            yield number

    async def late() -> Iterator[str]:
        """Give a generator."""
        return of_generator()

    for tool in (lines, numbers, late):
        memory.tools.add(tool)
    done = memory.tools.run(calls(("lines", {}), ("numbers", {}), ("late", {})))
    assert texts(done) == ["one 二", "[1, 2]", "one 二"]


def test_images_and_results_are_kept_as_they_are(memory: AgentMemory) -> None:
    def picture() -> bytes:
        """Take a picture."""
        return PNG

    def own() -> ToolResultPart:
        """Give a result."""
        return ToolResultPart("mine", (TextPart("no luck"),), is_error=True)

    memory.tools.add(picture)
    memory.tools.add(own)
    first, second = memory.tools.run(calls(("picture", {}), ("own", {})))
    assert result_of(first).content == (ImagePart(data=PNG, media_type="image/png"),)
    assert (result_of(second).call_id, result_of(second).is_error) == ("call_1", True)
    assert [run.outcome for run in memory.tools.history()] in (["error", "ok"], ["ok", "error"])


def test_a_value_that_cannot_be_read_is_an_error(memory: AgentMemory) -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError(SECRET)

    async def odd() -> Any:
        """Give something odd."""
        return Odd()

    memory.tools.add(odd)
    run = memory.tools.call("odd")
    assert (run.outcome, run.text) == ("error", "The tool 'odd' failed with ValueError.")


@pytest.mark.parametrize("megabytes", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_a_large_output_is_shown_in_part_and_kept_whole(tmp_path: Path, megabytes: int) -> None:
    whole = "".join(f"row {i}: 价格 {i * 7} EUR\n" for i in range(megabytes * 40_000))
    whole += "x" * (megabytes * 1_000_000 - len(whole)) + " the end"

    def export() -> str:
        """Export."""
        return whole

    with opened(tmp_path / "agent.db") as memory:
        memory.tools.add(export)
        run = memory.tools.call("export")
        assert run.message is not None
        assert memory.counter.count(run.message) <= 2_100
        assert "row 0: " in run.text
        assert "the end" in run.text
        assert f"[see {run.result}]" in run.text
        assert memory.original(str(run.result))[0].tool_results[0].text == whole
        memory.add("user", "export it")
        memory.add(Message("assistant", ToolCallPart(run.call_id, "export")))
        memory.add(run.message)
        assert memory.context().tokens < 4_000
        assert memory.expand(str(run.result), start=7).startswith("row 0: ")
    with opened(tmp_path / "agent.db") as memory:
        (found,) = memory.tools.history()
        assert memory.original(str(found.result))[0].tool_results[0].text == whole
        again = memory.tools.run([ToolCallPart(run.call_id, "export")])
        assert texts(again) == [run.text]


def test_an_output_stays_expandable_for_a_message_that_an_edit_kept(memory: AgentMemory) -> None:
    def export(n: int) -> str:
        """Export."""
        return f"row {n}\n" * 20_000

    memory.tools.add(export)
    for n in range(2):
        memory.add("user", f"export {n}")
        said = memory.add(Message("assistant", calls(("export", {"n": n}), start=n)))
        memory.tools.run(said, store=True)
    kept = [one.version for one in memory.session.log()][:3]
    first, second = (str(run.result) for run in reversed(memory.tools.history()))
    memory.session.keep(kept)
    assert memory.expand(first, start=0).startswith("[tool] row 0")
    with pytest.raises(LookupError):
        memory.expand(second)
    assert memory.original(second)


def test_an_endless_generator_is_stopped(memory: AgentMemory) -> None:
    def endless() -> Iterator[str]:
        """Never end."""
        while True:
            yield "x" * 1_000_000

    memory.tools.add(endless)
    run = memory.tools.call("endless")
    assert run.outcome == "ok"
    assert "a result takes at most" in memory.original(str(run.result))[0].text[-100:]


# -- failures and secrets (case 39) --------------------------------------------------------


class Leak(Exception):
    """An error whose text holds a secret."""


def leak(key: str) -> str:
    """Fail."""
    raise Leak(f"cannot log in with {SECRET} {key}")


def test_a_secret_in_an_error_is_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def aleak() -> str:
        """Fail."""
        try:
            raise Leak(SECRET)
        except Leak as exc:
            raise SystemExit(SECRET) from exc

    path = tmp_path / "agent.db"
    with opened(path) as memory:
        memory.tools.add(leak)
        memory.tools.add(aleak)
        done = memory.tools.run(calls(("leak", {"key": "k"}), ("aleak", {})), store=True)
        assert texts(done) == [
            "The tool 'leak' failed with Leak.",
            "The tool 'aleak' failed with SystemExit.",
        ]
        assert all(result_of(m).is_error for m in done)
        seen = repr((done, memory.tools.history(), memory.messages()))
    assert SECRET not in seen
    assert SECRET not in caplog.text + "".join(capsys.readouterr())
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_a_caller_may_look_at_what_was_raised(memory: AgentMemory) -> None:
    memory.tools.add(leak)
    run = memory.tools.call("leak", {"key": "k"})
    assert isinstance(run.failure, Leak)
    assert SECRET not in repr(run)
    assert memory.tools.history()[0].failure is None


def test_a_tool_error_is_told_to_the_model(memory: AgentMemory) -> None:
    def book(day: str) -> str:
        """Book."""
        raise ToolError(f"No seats are left on {day}; try the day after.")

    memory.tools.add(book)
    assert memory.tools.call("book", {"day": "5 May"}).text == (
        "No seats are left on 5 May; try the day after."
    )


# -- trying again --------------------------------------------------------------------------


@pytest.mark.parametrize(("idempotent", "attempts"), [(True, 3), (False, 1)])
def test_only_what_is_idempotent_is_tried_again(
    memory: AgentMemory, idempotent: bool, attempts: int
) -> None:
    tried = []

    def flaky() -> str:
        """Fail twice."""
        tried.append(1)
        if len(tried) < 3:
            raise ConnectionError
        return "at last"

    memory.tools.add(flaky, idempotent=idempotent)
    run = memory.tools.call("flaky")
    assert (len(tried), run.attempts) == (attempts, attempts)
    assert run.outcome == ("ok" if idempotent else "error")


def test_a_tool_that_says_no_is_not_asked_again(memory: AgentMemory) -> None:
    tried = []

    def never() -> str:
        """Say no."""
        tried.append(1)
        raise ToolError("No.")

    memory.tools.add(never, idempotent=True)
    assert memory.tools.call("never").attempts == len(tried) == 1


# -- time ----------------------------------------------------------------------------------


def hang() -> str:
    """Hang."""
    time.sleep(FOREVER)
    return "late"


async def ahang() -> str:
    """Hang."""
    await asyncio.sleep(FOREVER)
    return "late"


async def stubborn() -> str:
    """Hang, whatever is asked."""
    for _ in range(5):
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            continue
    return "late"


@pytest.mark.parametrize("tool", [hang, ahang, stubborn], ids=lambda f: f.__name__)
def test_what_hangs_is_given_up_and_the_others_are_not(memory: AgentMemory, tool: Any) -> None:
    memory.tools.add(tool, timeout=0.2)
    memory.tools.add(add)
    late, fine = memory.tools.run(calls((tool.__name__, {}), ("add", {"a": 1})))
    assert result_of(late).is_error
    assert "gave no answer within 0.2 seconds" in result_of(late).text
    assert result_of(fine).text == "2"
    run = memory.tools.history()[0]
    assert (run.tool, run.outcome) == (tool.__name__, "timeout")
    assert 0.2 <= run.duration < FOREVER / 2


def test_a_deadline_is_over_all(memory: AgentMemory) -> None:
    memory.tools.add(ahang, idempotent=True)
    memory.tools.add(add)
    done = memory.tools.run(calls(("ahang", {}), ("add", {"a": 1})), deadline=0.2)
    assert [result_of(m).is_error for m in done] == [True, False]
    assert memory.tools.call("add", {"a": 1}, deadline=0).outcome in ("timeout", "refused")


def test_a_tool_of_which_many_calls_hang_is_not_started_again(memory: AgentMemory) -> None:
    release = threading.Event()

    def wait() -> str:
        """Wait."""
        release.wait(FOREVER)
        return "ok"

    memory.tools.add(wait, timeout=0.1)
    memory.tools.run(calls(*[("wait", {})] * 16))
    run = memory.tools.call("wait")
    assert (run.outcome, run.attempts) == ("error", 1)
    assert "16 earlier calls of it still hang" in run.text
    release.set()
    deadline = time.monotonic() + 10
    while memory.tools.call("wait").outcome != "ok":
        assert time.monotonic() < deadline


def test_an_async_tool_that_calls_back_synchronously_is_told_how(memory: AgentMemory) -> None:
    raised = []

    async def nested() -> str:
        """Call another tool, wrongly."""
        try:
            memory.tools.call("add", {"a": 1})
        except UnsupportedError as exc:
            raised.append(str(exc))
        return (await memory.tools.acall("add", {"a": 1})).text

    memory.tools.add(add)
    memory.tools.add(nested)
    assert memory.tools.call("nested").text == "2"
    assert "await memory.tools.arun" in raised[0]


# -- how many at once ----------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["concurrency", "per_user"])
@pytest.mark.parametrize("kind", ["async", "sync"])
def test_no_more_run_at_once_than_may(limit: str, kind: str) -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def count(change: int) -> None:
        nonlocal running, most
        with lock:
            running += change
            most = max(most, running)

    async def async_work() -> None:
        """Work."""
        count(1)
        await asyncio.sleep(0.01)
        count(-1)

    def sync_work() -> None:
        """Work."""
        count(1)
        time.sleep(0.01)
        count(-1)

    policy = ToolPolicy(**{limit: 5})
    with opened(tool_policy=policy) as memory:
        memory.tools.add(async_work if kind == "async" else sync_work)
        done = memory.tools.run(calls(*[(f"{kind}_work", {})] * 40))
    assert texts(done) == ["null"] * 40
    assert most == 5


def test_one_user_who_waits_does_not_hold_up_another(tmp_path: Path) -> None:
    release = threading.Event()

    def wait() -> str:
        """Wait."""
        release.wait(10)
        return "ok"

    policy = ToolPolicy(concurrency=3, per_user=2)
    alice = opened(tmp_path / "agent.db", tool_policy=policy)
    bob = opened(tmp_path / "agent.db", tool_policy=policy, namespace="acme/bob")
    alice.tools.add(wait)
    bob.tools.add(add)
    running = threading.Thread(target=lambda: alice.tools.run(calls(*[("wait", {})] * 6)))
    running.start()
    try:
        assert bob.tools.call("add", {"a": 1}).outcome == "ok"
    finally:
        release.set()
        running.join()
    assert [run.outcome for run in alice.tools.history()] == ["ok"] * 6
    alice.close()
    bob.close()


def test_who_waits_too_long_for_a_place_is_refused() -> None:
    policy = ToolPolicy(concurrency=1, queue_timeout=0.1)
    release = threading.Event()

    def wait() -> str:
        """Wait."""
        release.wait(0.5)
        return "ok"

    with opened(tool_policy=policy) as memory:
        memory.tools.add(wait)
        done = memory.tools.run(calls(("wait", {}), ("wait", {})))
        release.set()
        assert [result_of(m).is_error for m in done] == [False, True]
        assert "did not run" in result_of(done[1]).text
        assert memory.tools.call("wait").outcome == "ok"


# -- who may -------------------------------------------------------------------------------


def test_rules_are_kept_and_approvals_asked_for_in_order() -> None:
    asked: list[tuple[str, Any]] = []

    def approve(pending: PendingCall) -> bool:
        asked.append((pending.name, pending.arguments["a"]))
        return pending.arguments["a"] < 3

    policy = ToolPolicy(
        rules=[
            ToolRule("ask", "add"),
            ToolRule("deny", "add", when=lambda arguments: arguments["b"] == 13),
        ]
    )
    with opened(tool_policy=policy) as memory:
        memory.tools.add(add)
        wanted = calls(("add", {"a": 1}), ("add", {"a": 2, "b": 13}), ("add", {"a": 3}))
        done = memory.tools.run(wanted, approve=approve)
        assert [result_of(m).is_error for m in done] == [False, True, True]
        assert asked == [("add", 1), ("add", 3)]
        assert sorted(r.outcome for r in memory.tools.history()) == ["ok", "refused", "refused"]
        assert memory.tools.call("add", {"a": 1}).outcome == "refused"  # nobody to ask
        assert len(asked) == 2


@pytest.mark.parametrize("answer", ["yes", 1, None, ValueError("no")])
async def test_only_true_is_a_yes(answer: Any) -> None:
    def approve(pending: PendingCall) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def approve_later(pending: PendingCall) -> Any:
        return approve(pending)

    async def yes(pending: PendingCall) -> bool:
        return True

    with opened(tool_policy=ToolPolicy(default="ask", approve=approve)) as memory:
        memory.tools.add(add)
        assert memory.tools.call("add", {"a": 1}).outcome == "refused"
        assert memory.tools.call("add", {"a": 1}, approve=approve_later).outcome == "refused"
        assert (await memory.tools.acall("add", {"a": 1})).outcome == "refused"
        refused = await memory.tools.acall("add", {"a": 1}, approve=approve_later)
        assert refused.outcome == "refused"
        assert (await memory.tools.acall("add", {"a": 1}, approve=yes)).outcome == "ok"
        assert memory.tools.call("add", {"a": 1}, approve=yes).outcome == "ok"


# -- history -------------------------------------------------------------------------------


async def test_history_tells_every_run(tmp_path: Path) -> None:
    with opened(tmp_path / "agent.db", agent="planner") as memory:
        memory.tools.add(add, version="7")
        memory.tools.add(leak)
        memory.tools.call("add", {"a": 1}, call_id="first")
        memory.tools.call("leak", {"key": "k"})
    with opened(tmp_path / "agent.db", session="other") as memory:
        assert memory.tools.history() == []
        leaked, added = await memory.tools.ahistory(session="trip")
        assert memory.tools.history(session="trip", tool="add") == [added]
        assert memory.tools.history(session="trip", limit=1) == [leaked]
        assert (added.call_id, added.version, added.outcome) == ("first", "7", "ok")
        assert added.arguments == {"a": 1}
        assert (added.agent, added.session, added.attempts) == ("planner", "trip", 1)
        assert memory.original(f"trip{added.result}")[0].tool_results[0].text == "2"
        assert leaked.error == "The tool 'leak' failed with Leak."
    with opened(tmp_path / "agent.db", namespace="acme/bob") as memory:
        assert memory.tools.history(session="trip") == []


def test_a_closed_memory_runs_nothing(memory: AgentMemory) -> None:
    memory.tools.add(add)
    memory.close()
    for verb in (lambda: memory.tools.call("add", {"a": 1}), memory.tools.history):
        with pytest.raises(ClosedError):
            verb()


def test_nothing_runs_that_cannot_be_recorded(
    memory: AgentMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def pay() -> None:
        """Pay."""
        ran.append(1)

    def full(*ops: Any) -> list[int]:
        raise StorageFullError("No space is left.")

    memory.tools.add(pay)
    with monkeypatch.context() as patch:
        patch.setattr(memory.backend, "write", full)
        with pytest.raises(StorageFullError):
            memory.tools.call("pay")
    assert not ran
    assert memory.tools.call("pay").outcome == "ok"


# -- cancelling ----------------------------------------------------------------------------


async def test_a_cancelled_caller_leaves_every_call_with_its_end(tmp_path: Path) -> None:
    entered = asyncio.Event()
    stopped = []

    async def work() -> str:
        """Work for long."""
        entered.set()
        try:
            await asyncio.sleep(FOREVER)
        finally:
            stopped.append(1)
        return "done"

    with opened(tmp_path / "agent.db") as memory:
        memory.tools.add(work)
        memory.tools.add(add)
        wanted = calls(("work", {}), ("add", {"a": 1}))
        task = asyncio.ensure_future(memory.tools.arun(wanted))
        await entered.wait()
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert stopped == [1]
        outcomes = {run.call_id: run.outcome for run in memory.tools.history()}
        assert outcomes == {"call_0": "interrupted", "call_1": "ok"}
        again = await memory.tools.arun(wanted)
        assert [result_of(m).is_error for m in again] == [True, False]
        assert stopped == [1]


@pytest.mark.parametrize("steps", [0, 1, 2, 4, 8, 16, 32, 64])
async def test_cancelled_at_any_step_a_call_runs_at_most_once(tmp_path: Path, steps: int) -> None:
    ran = []

    async def pay() -> str:
        """Pay."""
        ran.append(1)
        await asyncio.sleep(0.001)
        return "paid"

    with opened(tmp_path / "agent.db") as memory:
        memory.tools.add(pay)
        task = asyncio.ensure_future(memory.tools.arun(calls(("pay", {}))))
        for _ in range(steps):
            await asyncio.sleep(0.0002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        (end,) = await asyncio.wait_for(memory.tools.arun(calls(("pay", {}))), 10)
        assert len(ran) <= 1
        assert (result_of(end).text == "paid") or "interrupted" in result_of(end).text
        assert len(memory.tools.history()) == 1


def test_redaction_comes_before_anything_is_stored_or_told(tmp_path: Path) -> None:
    from ctxplug import hookimpl
    from ctxplug.plugins import Plugins

    class Redactor:
        @hookimpl
        def redact(self, text: str, scope: Any) -> str:
            return text.replace(SECRET, "[removed]")

    plugins = Plugins(load_entry_points=False, environ={})
    plugins.register(Redactor(), name="redactor")

    def echo(key: str) -> dict[str, str]:
        """Say it again."""
        return {"key": key}

    with opened(tmp_path / "agent.db", plugins=plugins) as memory:
        memory.tools.add(echo)
        run = memory.tools.call("echo", {"key": SECRET})
        assert json.loads(run.text) == {"key": "[removed]"}
        assert memory.tools.history()[0].arguments == {"key": "[removed]"}
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()
