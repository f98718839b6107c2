"""The pool: memories that are shared, lent, and closed when nobody has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ctxplug_server.pool import Opening, Pool

from ctxplug import AgentMemory
from ctxplug.errors import ClosedError, InvalidValueError
from ctxplug.storage.in_memory import InMemoryBackend

ALICE, BOB = Opening(("alice",), "s"), Opening(("bob",), "s")


@pytest.fixture
def pool() -> Iterator[Pool]:
    backend = InMemoryBackend()

    def open(opening: Opening) -> AgentMemory:
        time.sleep(0.01)  # so that two may want it at once
        return AgentMemory.open(
            backend, namespace=opening.namespace, session=opening.session, counter="estimate"
        )

    pool = Pool(open, most=2, idle_seconds=60)
    yield pool
    pool.close()


def test_those_who_want_it_at_once_share_one(pool: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        lent = list(threads.map(lambda _: pool.lend(ALICE), range(8)))
    assert len({id(memory) for memory, _ in lent}) == 1
    for _, give_back in lent:
        give_back()
    assert len(pool) == 1


def test_what_was_asked_for_longest_ago_is_closed_unless_somebody_has_it(pool: Pool) -> None:
    openings = [Opening((f"n{i}",), "s") for i in range(4)]
    first, give_back = pool.lend(openings[0])
    others = [pool.lend(opening) for opening in openings[1:3]]
    for _, give in others:
        give()
    pool.lend(openings[3])[1]()
    first.add("user", "Still open.")
    with pytest.raises(ClosedError):
        others[0][0].add("user", "Closed.")
    give_back()


def test_a_dropped_memory_is_closed_when_it_is_given_back(pool: Pool) -> None:
    memory, give_back = pool.lend(ALICE)
    other, give_other = pool.lend(BOB)
    pool.drop(("alice",))
    memory.add("user", "It is still lent.")
    give_back()
    with pytest.raises(ClosedError):
        memory.add("user", "It is not.")
    assert pool.lend(ALICE)[0] is not memory
    other.add("user", "Another namespace is not touched.")
    give_other()


def test_idle_ones_are_closed(pool: Pool) -> None:
    memory, give_back = pool.lend(ALICE)
    pool.close_idle(now=time.monotonic() + 100)
    memory.add("user", "Lent.")
    give_back()
    pool.close_idle(now=time.monotonic() + 30)
    assert len(pool) == 1
    pool.close_idle(now=time.monotonic() + 100)
    assert len(pool) == 0
    with pytest.raises(ClosedError):
        memory.add("user", "Idle.")


def test_one_that_cannot_be_opened_leaves_nothing(pool: Pool) -> None:
    def failing(opening: Opening) -> AgentMemory:
        raise InvalidValueError("No.")

    broken = Pool(failing, most=2, idle_seconds=60)
    for _ in range(2):
        with pytest.raises(InvalidValueError):
            broken.lend(ALICE)
    assert len(broken) == 0


def test_opening_one_does_not_hold_up_others() -> None:
    entered, leave = threading.Event(), threading.Event()
    backend = InMemoryBackend()

    def open(opening: Opening) -> AgentMemory:
        if opening == ALICE:
            entered.set()
            assert leave.wait(20)
        return AgentMemory.open(backend, namespace=opening.namespace, counter="estimate")

    pool = Pool(open, most=4, idle_seconds=60)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pool.lend, ALICE)
        assert entered.wait(20)
        memory, _ = pool.lend(BOB)
        memory.add("user", "Quick.")
        leave.set()
        slow.result()
    pool.close()


def test_steps_do_not_wait_for_a_write_that_may_never_come(pool: Pool) -> None:
    memory, give_back = pool.lend(ALICE)
    memory.add("user", "Hello. 你好。")
    for _ in range(3):
        memory.context()
    pool.store_steps(idle_seconds=0)
    other = memory.beside(session="other")
    stored = [step.kind for step in other.trace.steps(session="s")]
    assert len(stored) < 3  # somebody has it still, and what it does next takes them along
    give_back()
    pool.store_steps(idle_seconds=60)
    pool.store_steps(idle_seconds=0)
    backend = memory.backend
    with AgentMemory.open(backend, namespace="alice", session="s", counter="estimate") as reader:
        assert [step.kind for step in reader.trace.steps()] == ["window"] * 3
