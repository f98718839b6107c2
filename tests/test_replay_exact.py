"""Any window of any recorded conversation is made again: after all, and in another process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctxplug import AgentMemory
from ctxplug.errors import BudgetError, EmptyContextError
from ctxplug.transcripts import Conversation, read_transcript

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CTXPLUG_DATA") or ROOT.parent / "shared" / "data")

CHECK = """
import sys
from ctxplug import AgentMemory
from ctxplug.storage import conversations
windows = exact = compacted = 0
sessions = []
with AgentMemory.open(sys.argv[1], namespace="replay/all", counter="estimate") as memory:
    for info in conversations(memory.backend, memory.scope.namespace):
        sessions.append(info.session)
        for step in memory.trace.steps(session=info.session, kind="window"):
            if step.ok:
                windows += 1
                replayed = memory.trace.window(step)
                exact += replayed.exact
                compacted += step.data["compactions"] > 0
                if not replayed.exact:
                    print(info.session, step.id, replayed.notes, file=sys.stderr)
print(len(sessions), windows, exact, compacted)
"""


def recorded(most: int | None) -> Iterator[Conversation]:
    """Yield the recorded conversations of tau-bench and LoCoMo, or the first few of each."""
    runs = [
        run for f in sorted((DATA / "tau-bench-dev").glob("*.jsonl")) for run in read_transcript(f)
    ]
    talks = sorted((DATA / "locomo-dev").glob("*.json"))
    if not runs or not talks:
        pytest.skip("there is no tau-bench-dev or locomo-dev; set CTXPLUG_DATA")
    yield from runs[: None if most is None else 10 * most]
    for file in talks[:most]:
        yield from read_transcript(file)


def played(path: Path, most: int | None, budget: int) -> int:
    """Replay the conversations into a store, with edits, snapshots, restores and forks."""
    chance = random.Random(7)
    windows = 0
    with AgentMemory.open(path, namespace="replay/all", counter="estimate") as store:
        for conversation in recorded(most):
            memory = store.beside(session=conversation.name, budget=budget)
            messages = conversation.messages
            half = len(messages) // 2
            for number, message in enumerate(messages):
                if message.role == "assistant":
                    windows += _window(memory, chance)
                memory.add(message)
                if number == half:
                    memory.session.snapshot("half")
            if chance.random() < 0.5 and len(messages) > 8:
                fork = memory.session.fork(f"{conversation.name} again", at="half")
                fork.add("user", "And what else? 还有什么？")
                windows += _window(fork, chance)
            if chance.random() < 0.5 and len(messages) > 8:
                memory.session.restore("half")
                memory.add("user", "Let us go on from here. 我们从这里继续。")
                windows += _window(memory, chance)
                memory.trace.flush()
    return windows


def _window(memory: AgentMemory, chance: random.Random) -> int:
    query = "what was said" if chance.random() < 0.1 else None
    try:
        memory.context(query, system="Be brief." if chance.random() < 0.9 else None)
    except (BudgetError, EmptyContextError):
        return 0
    return 1


def check(path: Path) -> list[int]:
    """Make every window again in another process; return what that process counted."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr[:2000]
    return [int(number) for number in done.stdout.split()]


def test_windows_of_some_conversations_are_made_again(tmp_path: Path) -> None:
    made = played(tmp_path / "agent.db", 1, budget=2_000)
    sessions, windows, exact, compacted = check(tmp_path / "agent.db")
    assert windows == exact == made > 200 and sessions >= 11 and compacted > 50


@pytest.mark.slow
@pytest.mark.parametrize("budget", [2_000, 8_000])
def test_windows_of_all_conversations_are_made_again(tmp_path: Path, budget: int) -> None:
    made = played(tmp_path / "agent.db", None, budget)
    sessions, windows, exact, compacted = check(tmp_path / "agent.db")
    print(f"{sessions} sessions, {windows} windows, {exact} exact, {compacted} after compactions")
    assert windows == exact == made > 2_000 and compacted > 100
