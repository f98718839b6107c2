"""Tools that hang, crash or are killed: their processes go, and every call keeps one result."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxplug import AgentMemory
from ctxplug.errors import InvalidToolError
from ctxplug.messages import ToolCallPart
from ctxplug.testing.children import run_python, start_python

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed by group")

TOOLS = '''
import asyncio, os, subprocess, sys, time
from datetime import date
from pathlib import Path

def add(a: int, b: int = 1) -> dict:
    """Add."""
    print("this is no result")
    return {"和": a + b, "pid": os.getpid()}

async def greet(name: str) -> str:
    """Greet."""
    await asyncio.sleep(0)
    return "你好, " + name

def weekday(day: date) -> str:
    """Tell the day of the week."""
    return day.strftime("%A")

def hang(file: str) -> str:
    """Hang, with a grandchild that hangs and holds every pipe that it can get."""
    script = "import time; time.sleep(120)"
    grandchild = subprocess.Popen([sys.executable, "-c", script], close_fds=False)
    Path(file).write_text(f"{os.getpid()} {grandchild.pid}")
    time.sleep(120)
    return "late"

def leave(file: str) -> str:
    """Leave a process behind."""
    if (child := os.fork()) == 0:
        time.sleep(120)
    Path(file).write_text(str(child))
    return "left"

def crash(file: str) -> str:
    """Crash, with a forked child that holds the pipe of the answer."""
    if (child := os.fork()) == 0:
        time.sleep(120)
    Path(file).write_text(str(child))
    os.kill(os.getpid(), 9)

def fail() -> str:
    """Fail."""
    raise RuntimeError("sk-live-4242-hunter2")

def large() -> str:
    """Give 50 MB."""
    return "价" * 10 + "x" * 50_000_000 + "end"
'''

PARENT = """
import os, sys, threading
from ctxplug import AgentMemory
from ctxplug.messages import ToolCallPart
sys.path.insert(0, sys.argv[2])
import tools_of_test as tools

def pay(amount: int) -> str:
    '''Pay.'''
    with open(sys.argv[3], "a") as file:
        file.write(f"paid {amount}\\n")
    if amount > 1:
        os.write(1, b"ready\\n")
        threading.Event().wait()
    return f"paid {amount}"

memory = AgentMemory.open(sys.argv[1], namespace="acme/alice", session="trip", counter="estimate")
memory.tools.add(pay)
memory.tools.add(tools.hang, isolation="process")
print(memory.tools.run([ToolCallPart("one", "pay", {"amount": 1})])[0].text, flush=True)
calls = [ToolCallPart("two", "pay", {"amount": 2}), ToolCallPart("three", "pay", {"amount": 1})]
if len(sys.argv) > 4:
    calls.append(ToolCallPart("four", "hang", {"file": sys.argv[4]}))
memory.tools.run(calls)
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import importlib
    import sys

    (tmp_path / "tools_of_test.py").write_text(TOOLS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tools_of_test", raising=False)
    return importlib.import_module("tools_of_test")


@pytest.fixture
def memory() -> Iterator[AgentMemory]:
    with opened("memory:") as memory:
        yield memory


def opened(target: str | Path) -> AgentMemory:
    return AgentMemory.open(target, namespace="acme/alice", session="trip", counter="estimate")


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # one that has ended and was not waited for yet does not live
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:  # it ended between opening the file and reading it
        return False
    except FileNotFoundError:
        return not Path("/proc").exists()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# -- a process of its own ------------------------------------------------------------------


def test_functions_run_in_a_process_of_their_own(memory: AgentMemory, tools: Any) -> None:
    for tool in (tools.add, tools.greet, tools.weekday, tools.fail):
        memory.tools.add(tool, isolation="process")
    added = memory.tools.call("add", {"a": 2, "b": 3})
    assert added.text.startswith('{"和": 5, ')
    assert str(os.getpid()) not in added.text
    assert memory.tools.call("greet", {"name": "王芳"}).text == "你好, 王芳"
    assert memory.tools.call("weekday", {"day": "2026-05-01"}).text == "Friday"
    failed = memory.tools.call("fail")
    assert (failed.outcome, failed.text) == ("error", "The tool 'fail' failed with RuntimeError.")


def test_a_large_output_comes_whole_from_a_process(memory: AgentMemory, tools: Any) -> None:
    memory.tools.add(tools.large, isolation="process")
    run = memory.tools.call("large")
    whole = memory.original(str(run.result))[0].tool_results[0].text
    assert (len(whole), whole[:10], whole[-3:]) == (50_000_013, "价" * 10, "end")
    assert len(run.text) < 20_000


@pytest.mark.parametrize("how", ["timeout", "deadline", "cancel"])
async def test_what_hangs_is_gone_with_all_that_it_started(
    memory: AgentMemory, tools: Any, tmp_path: Path, how: str
) -> None:
    memory.tools.add(tools.hang, isolation="process", timeout=1.0 if how == "timeout" else 60.0)
    file = tmp_path / "pids"
    deadline = 1.0 if how == "deadline" else None
    call = memory.tools.acall("hang", {"file": str(file)}, deadline=deadline)
    task = asyncio.ensure_future(call)
    while not (file.exists() and file.read_text()):
        await asyncio.sleep(0.01)
    pids = [int(pid) for pid in file.read_text().split()]
    if how == "cancel":
        assert all(map(lives, pids))
        task.cancel()
    await asyncio.wait((task,), timeout=10)
    assert until(lambda: not any(map(lives, pids)))
    outcome = memory.tools.history()[0].outcome
    assert outcome == ("interrupted" if how == "cancel" else "timeout")


@pytest.mark.parametrize("name", ["leave", "crash"])
def test_what_a_tool_leaves_running_goes_with_it(
    memory: AgentMemory, tools: Any, tmp_path: Path, name: str
) -> None:
    memory.tools.add(getattr(tools, name), isolation="process")
    run = memory.tools.call(name, {"file": str(tmp_path / "pid")})
    assert run.text == ("left" if name == "leave" else "The tool 'crash' failed with ProcessEnded.")
    pid = int((tmp_path / "pid").read_text())
    assert until(lambda: not lives(pid))


def test_a_function_that_no_process_can_import_is_told(memory: AgentMemory) -> None:
    def local() -> str:
        """Work here only."""
        return "here"

    try:
        memory.tools.add(local, isolation="process")
    except InvalidToolError as exc:
        text = str(exc)
    else:
        text = memory.tools.call("local").text
    assert "cannot run in a process of its own" in text


# -- kill -9 -------------------------------------------------------------------------------


@pytest.mark.parametrize("in_process", [False, True], ids=["thread", "process"])
def test_a_killed_agent_leaves_one_result_for_every_call(
    tmp_path: Path, tools: Any, in_process: bool
) -> None:
    path, paid, pids = (str(tmp_path / name) for name in ("agent.db", "paid", "pids"))
    extra = [pids] if in_process else []
    with start_python(PARENT, path, str(tmp_path), paid, *extra, stdout=-1) as child:
        assert child.stdout
        assert child.stdout.readline() == b"paid 1\n"
        assert child.stdout.readline() == b"ready\n"
        with opened(path) as memory:  # while it lives, its calls are left alone
            assert until(lambda: len(memory.tools.history()) == 2)
            assert not memory.tools.recover()
            if in_process:
                assert until(lambda: Path(pids).exists() and bool(Path(pids).read_text()))
        child.send_signal(signal.SIGKILL)
    if in_process:
        orphan = int(Path(pids).read_text().split()[0])
        assert until(lambda: not lives(orphan)), "a tool's process outlives its agent"

    again = """
import sys
from ctxplug import AgentMemory
from ctxplug.messages import ToolCallPart
memory = AgentMemory.open(sys.argv[1], namespace="acme/alice", session="trip", counter="estimate")
def pay(amount: int) -> str:
    "Pay."
    return f"paid again {amount}"
memory.tools.add(pay)
calls = [ToolCallPart(i, "pay", {"amount": n}) for i, n in (("one", 1), ("two", 2), ("three", 1))]
for message in memory.tools.run([*calls, ToolCallPart("new", "pay", {"amount": 9})]):
    print(message.tool_results[0].is_error, message.text[:20], sep="|")
"""
    lines = run_python(again, path).splitlines()
    expected = "False|paid 1", "True|The call was interru", "False|paid 1", "False|paid again 9"
    assert tuple(lines) == expected
    assert sorted(Path(paid).read_text().split("\n")) == ["", "paid 1", "paid 1", "paid 2"]
    with opened(path) as memory:
        outcomes = {run.call_id: run.outcome for run in memory.tools.history()}
        assert outcomes["two"] == "interrupted"
        assert len(memory.tools.history()) == (5 if in_process else 4)
        assert not memory.tools.recover()


def test_recover_gives_the_ends_of_what_a_crash_interrupted(tmp_path: Path, tools: Any) -> None:
    path, paid = str(tmp_path / "agent.db"), str(tmp_path / "paid")
    with start_python(PARENT, path, str(tmp_path), paid, stdout=-1) as child:
        assert child.stdout
        assert child.stdout.readline() + child.stdout.readline() == b"paid 1\nready\n"
        child.kill()
    with opened(path) as memory:
        recovered = {run.call_id: run for run in memory.tools.recover()}
        assert set(recovered) in ({"two"}, {"two", "three"})
        two = recovered["two"]
        assert (two.outcome, two.arguments) == ("interrupted", {"amount": 2})
        assert two.message is not None
        assert two.message.tool_results[0].is_error
        call = ToolCallPart("two", "pay", {"amount": 2})
        (message,) = memory.tools.run([call])  # there is no such tool here, nor is it needed
        assert message.to_dict() == two.message.to_dict()


def test_a_hanging_thread_does_not_hold_up_the_end_of_the_program(tmp_path: Path) -> None:
    script = """
import time
from ctxplug import AgentMemory
def hang() -> str:
    "Hang."
    time.sleep(120)
memory = AgentMemory.open("memory:", namespace="acme/alice", counter="estimate")
memory.tools.add(hang, timeout=0.1)
print(memory.tools.call("hang").outcome)
memory.close()
"""
    assert run_python(script, seconds=20.0) == "timeout\n"
