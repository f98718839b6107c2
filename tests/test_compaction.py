"""Compaction: a log entry that all readers agree on, and that loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from orders import STREAM, compactions, open_on, stands_for, turn

from ctxplug import AgentMemory, ContextWindow, Message
from ctxplug.context.validity import PROVIDERS, check
from ctxplug.storage import Append, Entry, Stream
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.testing.children import run_python, start_python
from ctxplug.tokens.estimate import estimate


def assert_valid(window: ContextWindow) -> None:
    assert window.tokens <= window.report.limit
    for provider in PROVIDERS:
        assert check(provider, window.messages) == []


class Counting(InMemoryBackend):
    """A store that counts the entries that it gives out."""

    given = 0

    def read(self, stream: Stream, **options: Any) -> list[Entry]:
        entries = super().read(stream, **options)
        self.given += len(entries)
        return entries


# -- a log entry ----------------------------------------------------------------------


def talk(memory: AgentMemory, turns: Sequence[int], **options: Any) -> ContextWindow:
    """Drive `memory` as an agent does and return the window before the next question."""
    for n in turns:
        messages = turn(n, **options)
        for message in messages:
            if message.role == "assistant":
                memory.context()
            memory.add(message)
    return memory.context()


READER = """
import sys
from ctxplug import AgentMemory
memory = AgentMemory.open(sys.argv[1], namespace="n", session="s", budget=600, counter="estimate")
window = memory.context()
print(window.tokens, [message.to_dict() for message in window.messages])
"""


@pytest.mark.parametrize("chinese", [False, True])
def test_a_reopened_session_gives_the_same_window(tmp_path: Path, chinese: bool) -> None:
    place = str(tmp_path / "agent.db")
    with open_on(place) as memory:
        window = talk(memory, range(30), chinese=chinese)
        assert window.report.compactions > 1
    with open_on(place) as memory:
        again = memory.context()
        assert again.messages == window.messages
        assert again.to_anthropic() == window.to_anthropic()
        assert again.tokens == window.tokens
        assert again.report.compactions == window.report.compactions
    printed = run_python(READER, place)
    assert printed.strip() == f"{window.tokens} {[m.to_dict() for m in window.messages]}"


def test_a_reopened_session_reads_the_tail() -> None:
    read = []
    for turns in (100, 400):
        backend = Counting()
        talk(open_on(backend), range(turns))
        backend.given = 0
        open_on(backend).context()
        read.append(backend.given)
    assert max(read) < 100  # of 400 and of 1,600 messages


def test_a_session_at_work_reads_what_is_new() -> None:
    backend = Counting()
    memory = open_on(backend)
    talk(memory, range(200))
    backend.given = 0
    memory.add("user", "And now?")
    memory.context()
    assert backend.given <= 2  # the message, and the last entry that is known


def test_a_long_backlog_is_read_in_pieces_and_nothing_of_it_is_forgotten() -> None:
    backend = InMemoryBackend()
    memory = open_on(backend)
    for n in range(0, 1_000, 100):
        memory.extend([m for i in range(n, n + 100) for m in turn(i)])
    window = memory.context()
    assert_valid(window)
    bodies = [entry.body for entry in compactions(memory)]
    assert [body["upto"] for body in bodies] == sorted(body["upto"] for body in bodies)
    assert stands_for(window) == set(range(1, 4_001))
    assert open_on(backend).context().messages == window.messages


def test_a_backlog_that_another_reads_meanwhile_is_the_same_for_both() -> None:
    backend = Crossing()
    memory, other = open_on(backend, budget=300), open_on(backend, budget=300)
    memory.extend([m for n in range(250) for m in turn(n)])
    backend.first = lambda: other.context()
    memory.context()
    assert memory.context().messages == other.context().messages
    assert stands_for(memory.context()) == set(range(1, 1_001))


def test_another_budget_has_its_own_compactions() -> None:
    backend = InMemoryBackend()
    memory = open_on(backend)
    other = open_on(backend, budget=900)
    alone = talk(open_on(InMemoryBackend()), range(30))
    for n in range(30):
        for message in turn(n):
            if message.role == "assistant":
                memory.context()
                other.context()
                memory.context(budget=1_500)
            memory.add(message)
    assert words(memory.context()) == words(alone)
    assert {entry.body["budget"] for entry in compactions(memory)} == {600, 900, 1_500}
    assert open_on(backend, budget=900).context().messages == other.context().messages


def words(window: ContextWindow) -> list[tuple[str, str]]:
    """Return what was said, without what names versions: those differ."""
    return [(m.role, m.text) for m in window.messages if m.id[0] in "uarf"]


def test_many_compactions_of_other_budgets_do_not_hide_the_own_one() -> None:
    backend = Counting()
    first = open_on(backend, budget=2_000)
    talk(first, range(40))
    mine = first.context()
    busy = open_on(backend, budget=400)
    for n in range(40, 44):
        talk(busy, [n])
    for budget in range(300, 320):
        open_on(backend, budget=budget).context()
    again = open_on(backend, budget=2_000)
    assert len(compactions(again)) > 20
    window = again.context()
    assert window.report.compactions >= mine.report.compactions
    assert window.messages == first.context().messages


def test_a_window_under_another_counter_is_counted_by_it() -> None:
    backend = InMemoryBackend()
    talk(open_on(backend, counter=estimate()), range(30))
    counter = estimate("claude")
    window = open_on(backend, counter=counter).context()
    counted = counter.request_tokens + sum(map(counter.count, window.messages))
    assert counted <= window.tokens <= window.report.limit


# -- several writers --------------------------------------------------------------------


def assert_nothing_lost(memory: AgentMemory, said: set[str]) -> None:
    entries = memory.backend.read(STREAM)
    assert [entry.version for entry in entries] == list(range(1, len(entries) + 1))
    messages = [entry for entry in entries if entry.kind == "message"]
    assert {entry.body["message"]["id"] for entry in messages} == said
    window = memory.context()
    assert_valid(window)
    assert stands_for(window) == {entry.version for entry in messages}


@pytest.mark.parametrize("place", ["memory", "file"])
def test_no_message_is_lost_to_a_compaction_in_another_thread(place: str, tmp_path: Path) -> None:
    # A file's writes are durable: each waits for the disk.
    turns: int = 60 if place == "memory" else 20
    target: Any = InMemoryBackend() if place == "memory" else str(tmp_path / "agent.db")
    writer, compactor = open_on(target), open_on(target)
    writer.extend(turn(0))
    done = threading.Event()
    seen: list[ContextWindow] = []

    def compact() -> None:
        while not done.is_set():
            window = compactor.context()
            if not seen or window.messages != seen[-1].messages:
                seen.append(window)

    thread = threading.Thread(target=compact)
    thread.start()
    try:
        for n in range(1, turns):
            for message in turn(n):
                writer.add(message)
                if message.id.startswith("u"):
                    writer.context()
    finally:
        done.set()
        thread.join()
    for window in seen:
        assert_valid(window)
    assert len(compactions(writer)) > 3
    said = {message.id for n in range(turns) for message in turn(n)}
    assert_nothing_lost(writer, said)
    assert_nothing_lost(compactor, said)
    assert writer.context().messages == compactor.context().messages
    assert open_on(writer.backend).context().messages == writer.context().messages


WRITER = """
import sys
from ctxplug import AgentMemory, Message
who, place, turns, compacts = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "yes"
memory = AgentMemory.open(place, namespace="n", session="s", budget=600, counter="estimate")
for n in range(turns):
    text = f"{who}: what about order {n} of Lisbon, 订单 {n}?"
    memory.add(Message("user", text, id=f"{who}u{n}"))
    if compacts:
        assert memory.context().messages
    memory.add(Message("assistant", f"Order {n} is packed and paid.", id=f"{who}a{n}"))
"""


def test_no_message_is_lost_to_a_compaction_in_another_process(tmp_path: Path) -> None:
    place = str(tmp_path / "agent.db")
    with open_on(place) as memory:
        memory.add(Message("user", "Hello", id="first"))
    writers = [("x", "yes"), ("y", "yes"), ("z", "no")]
    children = [start_python(WRITER, who, place, "60", mode) for who, mode in writers]
    for child in children:
        assert child.wait(timeout=120) == 0
    said = {f"{who}{role}{n}" for who, _ in writers for role in "ua" for n in range(60)}
    with open_on(place) as memory:
        assert len(compactions(memory)) > 3
        assert_nothing_lost(memory, {"first", *said})
        window = memory.context()
    printed = run_python(READER, place)
    assert printed.strip() == f"{window.tokens} {[m.to_dict() for m in window.messages]}"


class Crossing(InMemoryBackend):
    """A store in which somebody else comes first whenever a compaction is written."""

    first: Callable[[], object] | None = None

    def write(self, *ops: Any) -> list[int]:
        first = self.first
        if first and any(isinstance(op, Append) and op.kind == "compaction" for op in ops):
            self.first = None
            first()
        return super().write(*ops)


def test_of_rival_compactions_the_first_counts_for_every_reader() -> None:
    backend = Crossing()
    late, early = open_on(backend), open_on(backend)
    late.extend([message for n in range(12) for message in turn(n)])
    early_windows: list[ContextWindow] = []
    backend.first = lambda: early_windows.append(early.context())
    window = late.context()
    winner, loser = compactions(late)
    assert winner.body["base"] == loser.body["base"]
    assert early_windows[0].messages == window.messages
    assert open_on(backend).context().messages == window.messages
    assert_nothing_lost(late, {message.id for n in range(12) for message in turn(n)})
    # Both go on from the same one.
    late.extend([message for n in range(12, 40) for message in turn(n)])
    assert late.context().messages == early.context().messages
    assert open_on(backend).context().messages == late.context().messages
    assert compactions(late)[-1].body["base"] != loser.version


def test_a_message_that_comes_during_a_compaction_is_in_the_next_window() -> None:
    backend = Crossing()
    memory, other = open_on(backend), open_on(backend)
    memory.extend([message for n in range(12) for message in turn(n)])
    backend.first = lambda: other.add(Message("user", "Wait, cancel it!", id="late"))
    memory.context()
    window = memory.context()
    assert window.messages[-1].id == "late"
    assert_nothing_lost(memory, {"late", *(m.id for n in range(12) for m in turn(n))})


def test_a_recalled_block_that_a_compaction_did_not_see_is_seen_by_no_reader() -> None:
    backend = Crossing()
    memory, follower = open_on(backend), open_on(backend)
    memory.remember("Orders ship on Mondays.")
    memory.add("user", "Hello")
    follower.context()
    memory.extend([message for n in range(12) for message in turn(n)])
    memory.add("user", "When do orders ship?")
    other = open_on(backend, budget=9_000)
    backend.first = lambda: other.context("orders")  # its block is for every budget
    memory.context()
    kinds = [entry.kind for entry in backend.read(STREAM)]
    assert kinds[-2:] == ["recalled", "compaction"]
    window = memory.context()
    assert follower.context().messages == window.messages
    assert open_on(backend).context().messages == window.messages


def test_a_result_that_comes_after_a_compaction_still_joins_its_call() -> None:
    backend = InMemoryBackend()
    memory, other = open_on(backend), open_on(backend)
    memory.extend([message for n in range(12) for message in turn(n)])
    question, call, result, answer = turn(12)
    memory.extend([question, call])
    between = other.context()  # the call waits, and much is compacted
    assert between.report.compaction
    assert_valid(between)
    memory.add(result)
    for window in (memory.context(), other.context(), open_on(backend).context()):
        assert window.messages[-1] == result
        assert not window.report.repairs
    memory.add(answer)
    assert_nothing_lost(memory, {message.id for n in range(13) for message in turn(n)})


def test_a_store_that_may_only_be_read_gives_windows(tmp_path: Path) -> None:
    place = tmp_path / "agent.db"
    with open_on(str(place)) as writer:
        writer.extend([message for n in range(40) for message in turn(n)])
        with open_on(f"sqlite:///{place}?mode=ro") as reader:
            first = reader.context()
            assert_valid(first)
            assert first.report.compaction
            assert reader.context().messages == first.messages
            assert not compactions(writer)
            window = talk(writer, range(40, 60))
            assert reader.context().messages == window.messages
            assert stands_for(reader.context()) == stands_for(window)
            ahead = [message for n in range(60, 80) for message in turn(n)]
            writer.extend(ahead)
            assert_valid(reader.context())  # compacted here, before the writer did
            assert reader.context().messages == writer.context().messages


def test_what_another_memory_erased_is_gone() -> None:
    backend = InMemoryBackend()
    memory, other = open_on(backend), open_on(backend)
    talk(memory, range(30))
    other.erase()
    memory.add("user", "A new start")
    window = memory.context()
    assert [message.text for message in window.messages] == ["A new start"]
    assert window.report.compactions == 0
    for n in range(100, 140):
        memory.extend(turn(n))
    assert memory.context().messages == open_on(backend).context().messages
