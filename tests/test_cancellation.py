"""An async call that is cancelled, whenever it is, was done wholly or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import pytest

from ctxplug import AgentMemory, Message
from ctxplug.storage import Backend, Where
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.storage.sqlite import SqliteBackend

WORKERS = 8
Verb: TypeAlias = Callable[[AgentMemory, str], Awaitable[Any]]

VERBS: dict[str, tuple[Verb, int]] = {
    "aadd": (lambda memory, word: memory.aadd("user", word), 1),
    "aextend": (
        lambda memory, word: memory.aextend([Message("user", f"{word} {i}") for i in range(3)]),
        3,
    ),
    "aremember": (lambda memory, word: memory.aremember(word, tags=["t"]), 1),
}


@pytest.fixture(params=["sqlite", "memory"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    made = SqliteBackend(tmp_path / "agent.db") if request.param == "sqlite" else InMemoryBackend()
    with made as backend:
        yield backend


def opened(backend: Backend, user: str = "alice") -> AgentMemory:
    return AgentMemory.open(backend, namespace=f"acme/{user}", session="s", counter="estimate")


async def settle(backend: Backend) -> None:
    """Wait until all workers have done what they were given before."""
    barrier = threading.Barrier(WORKERS)
    await asyncio.gather(*[backend.arun(barrier.wait) for _ in range(WORKERS)])


async def cancel_after(steps: int, call: Awaitable[Any]) -> bool:
    """Let the loop take `steps` steps, then cancel `call`; say whether it was cancelled."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


def pieces(memory: AgentMemory, word: str) -> int:
    """Return how many messages and memories of `word` there are, in the log and by keyword."""
    namespace = memory.scope.namespace
    stored = [message.text for message in memory.messages()]
    stored += [r.content for r in memory.backend.find(Where(namespace, kinds=["fact"]))]
    count = sum(word in text.split() for text in stored)
    hits = [one for one in memory.recall(word) if word in one.record.content.split()]
    assert len(hits) == count
    return count


@pytest.mark.parametrize("verb", VERBS)
async def test_a_call_cancelled_at_any_step_is_whole_or_absent(backend: Backend, verb: str) -> None:
    call, whole = VERBS[verb]
    memory, other = opened(backend), opened(backend, "bob")
    outcomes: dict[str, int] = {}
    steps, completed = 0, 0
    while completed < 3:
        word = f"word{steps}x{completed}"
        cancelled = await cancel_after(steps, call(memory, word))
        await settle(backend)
        found = pieces(memory, word)
        assert found in (0, whole)
        assert cancelled or found == whole
        outcomes[word] = found
        completed += not cancelled
        steps += 1 + steps // 4
        assert other.messages() == []
        assert other.recall(word) == []
    # It stays usable, and what was decided stays so.
    await call(memory, "afterwards")
    assert pieces(memory, "afterwards") == whole
    assert {word: pieces(memory, word) for word in outcomes} == outcomes
    assert (await memory.acheck()).ok
    assert 0 in outcomes.values(), "nothing was ever cancelled in time"


@pytest.mark.parametrize("verb", VERBS)
async def test_a_call_cancelled_before_it_began_is_absent(backend: Backend, verb: str) -> None:
    call, _ = VERBS[verb]
    memory = opened(backend)
    release = threading.Event()
    busy = [asyncio.ensure_future(backend.arun(release.wait)) for _ in range(WORKERS)]
    await asyncio.sleep(0)
    assert await cancel_after(3, call(memory, "word"))
    release.set()
    await asyncio.gather(*busy)
    await settle(backend)
    assert pieces(memory, "word") == 0
    await call(memory, "later")
    assert pieces(memory, "later") > 0


@pytest.mark.parametrize("verb", VERBS)
async def test_a_call_cancelled_while_its_transaction_waits_is_whole(
    tmp_path: Path, verb: str
) -> None:
    """Another process's lock keeps the writer inside its transaction's first statement."""
    call, whole = VERBS[verb]
    with SqliteBackend(tmp_path / "agent.db") as backend:
        memory, other = opened(backend), opened(backend, "bob")
        await memory.aadd("user", "first")
        lock = apsw.Connection(str(tmp_path / "agent.db"))
        lock.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(call(memory, "word"))
        theirs = asyncio.ensure_future(other.aadd("user", "theirs"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        lock.execute("ROLLBACK")
        lock.close()
        await theirs
        await settle(backend)
        assert pieces(memory, "word") == whole
        assert [message.text for message in other.messages()] == ["theirs"]
        assert (await memory.acheck()).ok


async def test_many_calls_of_which_half_are_cancelled(backend: Backend) -> None:
    memory = opened(backend)
    tasks = [
        asyncio.ensure_future(memory.aextend([Message("user", f"w{i} {j}") for j in range(3)]))
        for i in range(40)
    ]
    for task in tasks[::2]:
        await asyncio.sleep(0)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await settle(backend)
    for i, result in enumerate(results):
        found = pieces(memory, f"w{i}")
        if isinstance(result, asyncio.CancelledError):
            assert found in (0, 3)
        else:
            assert found == 3
    assert len(memory.messages()) % 3 == 0
    assert memory.check().ok


async def test_closing_while_calls_are_at_work_leaves_whole_units(tmp_path: Path) -> None:
    memory = await AgentMemory.aopen(
        tmp_path / "agent.db", namespace="acme/alice", session="s", counter="estimate"
    )
    calls = [memory.aextend([Message("user", f"w{i}") for _ in range(3)]) for i in range(30)]
    results = await asyncio.gather(*calls, memory.aclose(), return_exceptions=True)
    done = [i for i, result in enumerate(results[:30]) if isinstance(result, list)]
    with AgentMemory.open(tmp_path / "agent.db", namespace="acme/alice", session="s") as again:
        texts = [message.text for message in again.messages()]
        assert all(texts.count(f"w{i}") == 3 for i in done)
        assert all(texts.count(text) == 3 for text in texts)
        assert again.check().ok
