"""The SQLite backend on a disk that is full or fails, across forks, and with wrong clocks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from ctxplug import AgentMemory, Message
from ctxplug.errors import StorageError, StorageFullError
from ctxplug.storage import (
    ArchiveLog,
    ArchiveRecords,
    Delete,
    Fork,
    Op,
    Put,
    Stream,
    Unarchive,
    Where,
)
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import NS, START, STREAM, at, memory, note, numbers, said
from ctxplug.testing.children import run_python
from ctxplug.testing.disks import Call, FailingDisk

T = TypeVar("T")
CANARY = "zqvkanarienvogelx"

# -- full ------------------------------------------------------------------------------------


def limit_pages(backend: SqliteBackend, pages: int) -> None:
    def unit(connection: apsw.Connection) -> None:
        connection.pragma("max_page_count", pages)

    backend._writing().run(unit, alone=True)


def test_a_full_disk_refuses_the_write_and_nothing_else(tmp_path: Path) -> None:
    with SqliteBackend(tmp_path / "agent.db", synchronous="normal") as backend:
        limit_pages(backend, 60)
        written = 0
        with pytest.raises(StorageFullError, match="Make room and try again") as caught:
            for i in range(1, 200):
                backend.write(note(i), said("x" * 3000, f"w{i}"), Put(memory("m", f"{i}")))
                written = i
        assert caught.value.target == str(tmp_path / "agent.db")
        assert written > 5

        def require_written() -> None:
            assert numbers(backend.read(STREAM, kinds=["note"])) == [*range(1, written + 1)]
            record = backend.get(NS, "m")
            assert record is not None
            assert record.content == f"{written}"
            assert len(backend.search(Where(NS), terms=[f"w{written}"])) == 1
            assert backend.search(Where(NS), terms=[f"w{written + 1}"]) == []

        require_written()
        with pytest.raises(StorageFullError):
            backend.write(said("x" * 300_000, "big"))
        require_written()
        limit_pages(backend, 10_000)
        assert backend.check().problems == ()
        assert backend.write(said("x" * 300_000, "big")) == [2 * written + 1]
        require_written()


FILE_SIZE_LIMIT = """
import resource, signal, sys, threading
from ctxplug.errors import StorageError
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import STREAM, note, numbers, said
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
acknowledged, errors = [], []
with SqliteBackend(sys.argv[1], synchronous="normal") as backend:
    backend.write(note(0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))

    def fill(thread):
        for i in range(100):
            number = 1 + thread * 100 + i
            try:
                backend.write(note(number), said("x" * 2000, "word"))
            except StorageError as exc:
                errors.append(str(exc))
                return
            acknowledged.append(number)

    threads = [threading.Thread(target=fill, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(errors) == 4 and all(sys.argv[1] in error for error in errors), errors
    assert len(acknowledged) > 2
    found = numbers(backend.read(STREAM, kinds=["note"]))
    assert sorted(found) == [0, *sorted(acknowledged)], (found, acknowledged)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    backend.write(note(1000), said("x" * 2000, "word"))
    assert backend.check().problems == ()
with SqliteBackend(sys.argv[1]) as backend:
    found = numbers(backend.read(STREAM, kinds=["note"]))
    assert sorted(found) == [0, *sorted(acknowledged), 1000]
print("DONE")
"""


def test_a_limit_on_the_size_of_files_is_survived_without_a_restart(tmp_path: Path) -> None:
    assert run_python(FILE_SIZE_LIMIT, str(tmp_path / "agent.db")) == "DONE\n"


# -- failing -----------------------------------------------------------------------------------


def work(folder: Path) -> tuple[list[int], int]:
    """Write, read and reopen, retrying what failed once; return the notes and the failures."""
    failures = 0

    def twice(call: Callable[[], T]) -> T:
        nonlocal failures
        try:
            return call()
        except StorageError as exc:
            assert str(folder) in str(exc)
            failures += 1
            return call()

    done: list[int] = []
    for opening in range(2):
        backend = twice(lambda: SqliteBackend(folder / "agent.db"))
        for i in range(opening * 3, opening * 3 + 3):
            ops: list[Op] = [note(i), said("x" * 3000, f"w{i} 消息"), Put(memory(f"m{i}"), "记忆")]
            twice(partial(backend.write, *ops))
            done.append(i)
            assert numbers(twice(partial(backend.read, STREAM, kinds=["note"]))) == done
        twice(partial(backend.write, Delete(NS, "m0")))
        there_and_back(backend, twice)
        fork_and_erase(backend, twice)
        assert len(twice(partial(backend.search, Where(NS), terms=["消息"]))) == len(done)
        twice(partial(backend.write, Put(memory("s", CANARY, namespace=("scratch",)), "s")))
        receipt = twice(partial(backend.erase, ("scratch",)))
        assert (receipt.records, len(receipt.marks)) == (1, 8)
        assert CANARY.encode() not in (folder / "agent.db").read_bytes()
        assert twice(backend.check).problems == ()
        twice(backend.close)
    return done, failures


def there_and_back(backend: SqliteBackend, twice: Callable[[Callable[[], Any]], Any]) -> None:
    """Archive what there is, look for it, and bring it back."""
    head = twice(partial(backend.head, STREAM))
    records = tuple(twice(partial(backend.find, Where(NS, kinds=["fact"]))))
    log = ArchiveLog(STREAM, head, dict.fromkeys(range(1, head + 1), "消息"), after=0)
    moved = ArchiveRecords(NS, records, {record.id: "记忆" for record in records})
    assert twice(partial(backend.write, log, moved)) == [head, len(records)]
    found = twice(partial(backend.archived, Where(NS), ["记忆"]))
    assert {one.record.id for one in found} == {record.id for record in records}
    back = partial(backend.write, Unarchive(NS, "trip", most=2), Unarchive(NS))
    assert twice(back) == [2, len(records)]
    assert twice(partial(backend.write, Unarchive(NS, "trip"))) == [head - 2]


def fork_and_erase(backend: SqliteBackend, twice: Callable[[Callable[[], Any]], Any]) -> None:
    """Let a session go on elsewhere, and erase what became of it."""
    fork, head = Stream(NS, "fork"), backend.head(STREAM)
    own = said(CANARY, f"{CANARY} 消息", fork, expected=head)
    assert twice(partial(backend.write, Fork(fork, "trip", head), own)) == [head, head + 1]
    assert len(twice(partial(backend.read, fork))) == head + 1
    assert twice(partial(backend.lineage, fork)) == [("trip", head), ("fork", head + 1)]
    receipt = twice(partial(backend.erase_session, NS, "fork"))
    assert (receipt.entries, receipt.records, len(receipt.marks)) == (1, 1, 8)
    assert receipt.remaining == 0
    assert len(twice(partial(backend.read, STREAM))) == head
    assert CANARY.encode() not in Path(backend.path).read_bytes()


def work_on_a_failing_disk(
    folder: Path, nth: int, calls: set[Call], error: type[apsw.Error]
) -> tuple[bool, int]:
    """Do the work while the nth call fails; say whether it did, and how often it was felt."""
    folder.mkdir()
    with FailingDisk(nth, calls, error) as disk:
        done, failures = work(folder)
    with SqliteBackend(folder / "agent.db") as backend:
        assert numbers(backend.read(STREAM, kinds=["note"])) == done
        found = [record.id for record in backend.find(Where(NS, kinds=["fact"]))]
        assert found == [f"m{i}" for i in reversed(done) if i]
        assert len(backend.search(Where(NS), terms=["消息"])) == len(done)
        assert backend.check().problems == ()
    assert [path.name for path in folder.iterdir()] == ["agent.db"]
    shutil.rmtree(folder)
    return disk.fired, failures


CALLS: dict[str, set[Call]] = {
    "write": {"write"},
    "sync": {"sync"},
    "open, truncate and delete": {"open", "truncate", "delete"},
    "read": {"read"},
}
ERRORS = {"I/O error": apsw.IOError, "full": apsw.FullError}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # while closing
@pytest.mark.parametrize(
    ("error", "calls"),
    [("full", "write"), *[("I/O error", calls) for calls in CALLS]],
)
def test_a_failing_call_to_the_disk_loses_and_doubles_nothing(
    tmp_path: Path, calls: str, error: str
) -> None:
    """A sample of the calls that the slow test below goes through one by one."""
    nth, felt, fired = 1, 0, True
    while fired:
        fired, failures = work_on_a_failing_disk(
            tmp_path / f"{nth}", nth, CALLS[calls], ERRORS[error]
        )
        felt += failures
        nth += 1 + nth // 3
    assert felt > 2, "the faults were hardly felt"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # while closing
@pytest.mark.parametrize("calls", CALLS)
@pytest.mark.parametrize("error", ERRORS)
def test_any_failing_call_to_the_disk_loses_and_doubles_nothing(
    tmp_path: Path, calls: str, error: str
) -> None:
    """Call 1 fails, then call 2 in a new run, and so on until no call is left to fail."""
    nth, fired = 0, True
    while fired:
        nth += 1
        folder = tmp_path / f"{nth}"
        fired, _ = work_on_a_failing_disk(folder, nth, CALLS[calls], ERRORS[error])
    assert nth > 10


# -- forks -------------------------------------------------------------------------------------

FORK = """
import os, sys, threading, traceback
from ctxplug import AgentMemory
from ctxplug.storage import Stream
from ctxplug.storage.sqlite import SqliteBackend
from ctxplug.testing.backend_data import NS, STREAM, note, numbers
CHILDREN, EACH, THREADS = 3, 10, 3

def in_children(work):
    '''Run work(number) in forked children; each must end well.'''
    pids = []
    for number in range(CHILDREN):
        pid = os.fork()
        if not pid:
            try:
                work(number)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    return pids

def require_ends(pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0

def backend_in_children_and_busy_parent(path):
    backend = SqliteBackend(path, synchronous="normal")
    backend.write(note(0))
    stop, parents = threading.Event(), []

    def append():
        while not stop.is_set():
            backend.write(note(1, Stream(NS, "parent")))
            parents.append(1)
            backend.read(STREAM, limit=3)

    threads = [threading.Thread(target=append) for _ in range(THREADS)]
    [thread.start() for thread in threads]
    while len(parents) < 20:
        stop.wait(0.001)

    def child(number):
        for i in range(EACH):
            backend.write(note(100 * (number + 1) + i))
            assert backend.head(STREAM) > i
        backend.close()

    pids = in_children(child)
    before = len(parents)
    while len(parents) < before + 20:
        stop.wait(0.001)
    stop.set()
    [thread.join() for thread in threads]
    backend.close()  # before the children have finished: it must not take their log away
    require_ends(pids)
    with SqliteBackend(path) as backend:
        expected = [0] + [100 * (n + 1) + i for n in range(CHILDREN) for i in range(EACH)]
        assert sorted(numbers(backend.read(STREAM))) == expected
        assert backend.head(Stream(NS, "parent")) == len(parents)
        assert backend.check().problems == ()

def parent_closes_first(path):
    '''What a child commits after its parent closed the store must not vanish.'''
    backend = SqliteBackend(path)
    backend.write(note(0))
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        backend.write(note(1))
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        for i in range(2, 6):
            backend.write(note(i))
        os._exit(0)  # without closing
    os.read(ready[0], 1)
    backend.write(note(9))
    backend.close()
    os.write(go[1], b"x")
    require_ends([pid])
    with SqliteBackend(path) as backend:
        assert numbers(backend.read(STREAM)) == [0, 1, 9, 2, 3, 4, 5]
        assert backend.check().problems == ()

def agent_memory(path):
    memory = AgentMemory.open(path, namespace="acme/alice", session="s")
    memory.add("user", "before")

    def child(number):
        for i in range(EACH):
            memory.add("user", f"child {number} {i}")
        assert memory.recall(f"child {number}")
        with AgentMemory.open(path, namespace="acme/alice", session="s") as again:
            again.remember(f"child {number} remembers")
        memory.close()

    pids = in_children(child)
    for i in range(EACH):
        memory.add("user", f"parent {i}")
    memory.close()
    require_ends(pids)
    with AgentMemory.open(path, namespace="acme/alice", session="s") as memory:
        expected = ["before"] + [f"parent {i}" for i in range(EACH)]
        expected += [f"child {n} {i}" for n in range(CHILDREN) for i in range(EACH)]
        assert sorted(m.text for m in memory.messages()) == sorted(expected)
        assert len(memory.recall("remembers", kinds="fact")) == CHILDREN
        assert memory.check().problems == ()

globals()[sys.argv[1]](sys.argv[2])
print("DONE")
"""


@pytest.mark.parametrize(
    "case", ["backend_in_children_and_busy_parent", "parent_closes_first", "agent_memory"]
)
def test_nothing_is_lost_when_parent_and_forked_children_write(tmp_path: Path, case: str) -> None:
    assert run_python(FORK, case, str(tmp_path / "agent.db")) == "DONE\n"


TWINS_AFTER_FORK = """
import asyncio, os, sys
from ctxplug import AgentMemory
memory = AgentMemory.open(sys.argv[1], namespace="acme/alice", session="s")
asyncio.run(memory.aadd("user", "parent"))
pid = os.fork()
if not pid:
    asyncio.run(memory.aadd("user", "child"))
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
asyncio.run(memory.aadd("user", "parent again"))
print([m.text for m in memory.messages()] if sys.argv[1] != "memory:" else "DONE")
"""


@pytest.mark.parametrize("target", ["agent.db", "memory:"])
def test_the_async_twins_work_in_a_forked_child(tmp_path: Path, target: str) -> None:
    place = target if target == "memory:" else str(tmp_path / target)
    expected = "DONE" if target == "memory:" else "['parent', 'child', 'parent again']"
    assert run_python(TWINS_AFTER_FORK, place).strip() == expected


# -- clocks ------------------------------------------------------------------------------------


def test_a_clock_that_jumps_does_not_disturb_the_order_of_the_log(tmp_path: Path) -> None:
    jumps = [0, 3650, -3650, 3650, 0, 0, -36500]
    with SqliteBackend(tmp_path / "agent.db") as backend:
        for i, days in enumerate(jumps):
            backend.write(note(i, created_at=START + timedelta(days=days)))
        assert numbers(backend.read(STREAM)) == list(range(len(jumps)))
        assert [entry.version for entry in backend.read(STREAM, newest_first=True)] == [
            *range(len(jumps), 0, -1)
        ]
        [info] = backend.sessions(NS)
        assert (info.created_at, info.updated_at) == (START, at(3650 * 86400))
        assert backend.check().ok


@pytest.mark.parametrize("target", ["agent.db", "memory:"])
def test_a_clock_that_jumps_does_not_disturb_a_memory(tmp_path: Path, target: str) -> None:
    place = target if target == "memory:" else tmp_path / target
    with AgentMemory.open(place, namespace="acme/alice", session="s") as memory:
        for i, days in enumerate([0, 3650, -3650, 0]):
            memory.add(Message("user", f"turn {i}", created_at=START + timedelta(days=days)))
            memory.add(Message("assistant", f"answer {i}", created_at=START))
        texts = [text for i in range(4) for text in (f"turn {i}", f"answer {i}")]
        assert [message.text for message in memory.messages()] == texts
        assert [message.text for message in memory.context().messages] == texts
